"""Redis for one of four roles: cache, queue, session or pub/sub; single, or replicated with Sentinel.

One plan serves every target: peers find one another by the names the target hands out. It deliberately offers no
cluster mode (sharding) and no plaintext port.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi

from components.core.backups.part import backups_of, realise
from components.core.bindings import Binding, Endpoint, Reach
from components.core.changes import Kept, Refusal
from components.core.component import Component, Context
from components.core.passwords import password
from components.core.site import Placement
from components.redis import render
from components.redis.dumping import redis_duty, restored
from components.redis.plan import RedisPlan, plan_redis
from components.redis.spec import RedisSpec, Role

__all__ = ["Redis", "RedisSpec", "Role"]


class Redis(Component):
    """A Redis with a user, a password and a client certificate for each service that uses it.

    Example:
        spec = RedisSpec(kind="redis", owner="team-data", role="cache")
        cache = Redis("cache", spec, context)
        binding = cache.bind("api")
    """

    spec_type = RedisSpec
    token = "groundwork:data:Redis"  # noqa: S105 (a type token)

    def __init__(
        self, name: str, spec: RedisSpec, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        plan = plan_redis(name, spec, context.site)
        super().__init__(
            name,
            spec,
            context,
            listeners=plan.workload.listeners,
            version=plan.workload.version,
            replicas=spec.replicas,
            opts=opts,
        )
        self._plan = plan
        self._ttl_seconds = spec.ttl_seconds
        self._passwords = {user.name: password(self, f"password-{user.name}") for user in plan.users}
        realise(self, plan.workload, self._secrets(), restored)
        self.parts = backups_of(self, redis_duty(spec, plan.workload, plan.host), self._backup_secrets())
        self.finish(host=plan.host)

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """A port of one machine leads to one instance."""
        return [*super().check(spec, target, placement), *cls.shared_port(spec, target, spec.replicas)]

    @classmethod
    def kept(cls, spec: Any) -> Kept:
        """A warm cache is on disk too, but can be filled again."""
        return replace(super().kept(spec), durable=spec.durable)

    @classmethod
    def check_change(cls, deployed: Mapping[str, Any], spec: Any) -> list[Refusal]:
        """A single one goes on with the data of the first instance, and the newest may be another's."""
        if spec.replicas == 1 < deployed["replicas"]:
            text = f"1 given, {deployed['replicas']} deployed; what their master alone has would be lost"
            return [Refusal("replicas", f"{text}; keep at least 3")]
        return []

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers, and the Sentinels where it is replicated."""
        protocols = ("rediss", "redis-sentinel")
        return tuple(
            Endpoint(self.name, self._plan.host, port, protocol, "mutual")
            for port, protocol in zip(self._plan.ports, protocols, strict=False)
        )

    def connect(self, consumer: str) -> Binding:
        """Settings, password and client certificate of one consumer.

        Where it is replicated, HOST reaches any instance, of which only the master takes writes: clients ask the
        SENTINELS, with the same user and password, who is master of SENTINEL_MASTER. For the same reason there is a
        `url` file only where it is single.
        """
        plan, password = self._plan, self._passwords[consumer]
        files: dict[str, pulumi.Input[str]] = {
            "password": password,
            **self.context.issuer.client(consumer).files(),
        }
        if not plan.replicated:
            files["url"] = pulumi.Output.concat(f"rediss://{consumer}:", password, f"@{plan.host}:{render.PORT}/0")
        return Binding(
            endpoint=self.endpoints()[0],
            settings=self._settings(plan, consumer),
            files=files,
            reach=(Reach(self.name, plan.ports),),
        )

    def _settings(self, plan: RedisPlan, consumer: str) -> dict[str, str]:
        settings = {"HOST": plan.host, "PORT": str(render.PORT), "USERNAME": consumer, "TLS": "mutual"}
        if self._ttl_seconds:
            settings["TTL_SECONDS"] = str(self._ttl_seconds)
        if plan.replicated:
            settings["SENTINELS"] = ",".join(f"{peer}:{render.SENTINEL_PORT}" for peer in plan.peers)
            settings["SENTINEL_MASTER"] = self.name
            settings["SENTINEL_USERNAME"] = consumer
        return settings

    def _backup_secrets(self) -> dict[str, pulumi.Input[str]]:
        name = f"{render.BACKUP}.password"
        return {name: self._passwords[render.BACKUP]} if render.BACKUP in self._passwords else {}

    def _secrets(self) -> dict[str, pulumi.Input[str]]:
        """Content of every secret file. Consumers are in the access lists by the hash of their password only."""
        users = self._plan.users
        passwords = pulumi.Output.all(**self._passwords)
        certificate = self.context.issuer.server(self.name, self._plan.certificate_hosts, self)
        return {
            **certificate.files(),
            **{f"{user}.password": password for user, password in self._passwords.items()},
            "users.acl": passwords.apply(lambda p: render.render_acl(users, p, of_sentinel=False)),
            "sentinel-users.acl": passwords.apply(lambda p: render.render_acl(users, p, of_sentinel=True)),
            "exporter.json": self._passwords[render.MONITOR].apply(render.render_exporter_passwords),
        }
