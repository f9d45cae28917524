"""ClickHouse with its tables as data: single, or in shards of replicas that a Keeper of three keeps together.

One plan serves every target: servers find one another by the names the target hands out. It deliberately offers no
plaintext port, no user that is made by SQL, and no Keeper of one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pulumi

from components.clickhouse.dumping import clickhouse_duty, restored
from components.clickhouse.plan import KEEPER, plan_clickhouse, shard_names
from components.clickhouse.render import HTTPS_PORT, NATIVE_PORT
from components.clickhouse.secrets import PEERS, render_secrets
from components.clickhouse.spec import ClickhouseSpec
from components.clickhouse.tables import CLUSTER
from components.core.backups.part import backups_of, realise
from components.core.bindings import Binding, Endpoint, Reach
from components.core.changes import Kept, Refusal
from components.core.component import Component, Context
from components.core.passwords import password
from components.core.site import Placement

__all__ = ["Clickhouse", "ClickhouseSpec"]


class Clickhouse(Component):
    """A ClickHouse with a database, a user, a password and a client certificate for each service that uses it.

    Changed tables, users, passwords and certificates restart the servers one by one. Tables and columns that are no
    longer declared stay.

    Example:
        columns = {"tenant_id": "UInt32", "timestamp": "DateTime64(3)", "value": "Float64"}
        spec = ClickhouseSpec(
            kind="clickhouse", owner="team-data", storage="200Gi", replicas=2, resources={"memory": "16Gi"},
            tables=[{"name": "metrics", "columns": columns, "order_by": ["tenant_id", "timestamp"], "ttl": {}}],
        )
        clickhouse = Clickhouse("telemetry", spec, context)
        binding = clickhouse.bind("api")
    """

    spec_type = ClickhouseSpec
    token = "groundwork:data:Clickhouse"  # noqa: S105 (a type token)
    stateful = True

    def __init__(
        self, name: str, spec: ClickhouseSpec, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        plan = plan_clickhouse(name, spec, context.site)
        super().__init__(
            name,
            spec,
            context,
            listeners=plan.listeners,
            version=plan.servers[0].version,
            replicas=spec.replicas,
            opts=opts,
        )
        self._plan = plan
        self._passwords = {user: password(self, f"password-{user}") for user in context.site.consumers_of(name)}
        if plan.keeper:
            certificate = context.issuer.server(plan.keeper.name, plan.keeper_hosts, self)
            context.target.realise(self, plan.keeper, certificate.files())
        secrets = self._secrets()
        restoring = partial(restored, shards=spec.shards)
        for server in plan.servers:
            realise(self, server, secrets, restoring)
        self.parts = backups_of(self, clickhouse_duty(name, spec, plan, context.site), {})
        self.finish(host=plan.host)

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """A port of one machine leads to one instance."""
        return [*super().check(spec, target, placement), *cls.shared_port(spec, target, spec.shards * spec.replicas)]

    @classmethod
    def kept(cls, spec: Any) -> Kept:
        """Shards and replicas only grow, and Keeper has volumes of its own."""
        kept = super().kept(spec)
        more = {"shards": spec.shards, "replicas": spec.replicas, "keeper.storage": spec.keeper.storage}
        return replace(kept, growing={**kept.growing, **more}) if spec.replicated else kept

    @classmethod
    def check_change(cls, deployed: Mapping[str, Any], spec: Any) -> list[Refusal]:
        """A server that was alone has no Keeper that knows its tables, and one that becomes alone would forget it."""
        before = deployed["replicas"]
        if (before > 1) == spec.replicated:
            return []
        why = "a Keeper of three begins empty" if spec.replicated else "without Keeper the tables could not be written"
        fix = "put it back, or copy the tables into a new service"
        return [Refusal("replicas", f"{spec.replicas} given, {before} deployed; {why}; {fix}")]

    @classmethod
    def occupies(cls, name: str, spec: Any, consumers: Sequence[str]) -> list[str]:
        """A replicated one is a workload for each shard and one for Keeper, which has a certificate of its own."""
        names = super().occupies(name, spec, consumers)
        if spec.replicated:
            parts = (*shard_names(name, spec), f"{name}-{KEEPER}")
            names += [f"object/{part}{suffix}" for part in parts for suffix in ("", "-peers")]
            names.append(f"certificate/{name}-{KEEPER}-server")
        return [*names, f"password/{name}-{PEERS}"]

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where clients connect, by HTTP and by ClickHouse's own protocol."""
        return (
            Endpoint(self.name, self._plan.host, HTTPS_PORT, "https", "mutual"),
            Endpoint(self.name, self._plan.host, NATIVE_PORT, "clickhouse", "mutual"),
        )

    def connect(self, consumer: str) -> Binding:
        """Database, user, password and certificate of one consumer.

        PORT is that of ClickHouse's own protocol. HOST reaches any replica of the first shard, and each server the
        tables of all; NODES are all servers, for clients that choose. Where there are several, statements that make a
        table end in `ON CLUSTER` and the name in CLUSTER, and its engine is a replicated one.
        """
        plan, password = self._plan, self._passwords[consumer]
        settings = {
            "HOST": plan.host,
            "PORT": str(NATIVE_PORT),
            "HTTPS_PORT": str(HTTPS_PORT),
            "DATABASE": consumer,
            "USER": consumer,
            "TLS": "mutual",
        }
        if plan.keeper:
            settings |= {"CLUSTER": CLUSTER, "NODES": ",".join(plan.nodes)}
        address = f"@{plan.host}:{HTTPS_PORT}/?database={consumer}"
        return Binding(
            endpoint=self.endpoints()[0],
            settings=settings,
            files={
                "password": password,
                "url": pulumi.Output.concat(f"https://{consumer}:", password, address),
                **self.context.issuer.client(consumer).files(),
            },
            reach=(Reach(self.name, (HTTPS_PORT, NATIVE_PORT)),),
        )

    def _secrets(self) -> dict[str, pulumi.Input[str]]:
        """Content of every secret file of the servers."""
        certificate = self.context.issuer.server(self.name, self._plan.certificate_hosts, self)
        peers = password(self, PEERS) if self._plan.keeper else ""
        known = pulumi.Output.all(self._passwords, peers)
        return {**certificate.files(), "secrets.xml": known.apply(lambda values: render_secrets(*values))}
