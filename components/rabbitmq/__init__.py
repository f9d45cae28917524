"""RabbitMQ with its topology as data: exchanges, quorum queues, bindings, retries and dead letters.

One plan serves every target: nodes find one another by the names the target hands out. It deliberately offers no
queue that lives on one server alone, no plaintext port and no right to declare anything from outside.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import pulumi

from components.core.backups.contract import makes_backups
from components.core.backups.part import backups_of, realise
from components.core.bindings import Binding, Endpoint, Reach
from components.core.changes import Refusal
from components.core.component import Component, Context
from components.core.passwords import password
from components.core.site import Placement
from components.rabbitmq.definitions import BACKUP, MONITOR, render_definitions
from components.rabbitmq.dumping import rabbitmq_duty, restored
from components.rabbitmq.plan import plan_rabbitmq
from components.rabbitmq.render import PORT
from components.rabbitmq.spec import RabbitmqSpec

__all__ = ["Rabbitmq", "RabbitmqSpec"]


class Rabbitmq(Component):
    """A RabbitMQ with a user, a password, a client certificate and its rights for each service that uses it.

    Changed definitions, passwords and certificates are taken in without a restart. What is no longer declared stays if
    it can hold messages (queues), does nothing any more (exchanges, policies), and is taken away otherwise (users,
    bindings). The type of an exchange can't be changed: it needs another name.

    Example:
        spec = RabbitmqSpec(
            kind="rabbitmq", owner="team-data", storage="10Gi", resources={"memory": "1Gi"},
            exchanges=[{"name": "events", "type": "topic"}],
            queues=[{"name": "mail", "retry": {"attempts": 3}}],
            bindings=[{"exchange": "events", "queue": "mail", "key": "mail.#"}],
        )
        rabbitmq = Rabbitmq("rabbitmq", spec, context)
        binding = rabbitmq.bind("api")
    """

    spec_type = RabbitmqSpec
    token = "groundwork:data:Rabbitmq"  # noqa: S105 (a type token)
    stateful = True

    def __init__(
        self, name: str, spec: RabbitmqSpec, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        plan = plan_rabbitmq(name, spec, context.site)
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
        users = (MONITOR, *([BACKUP] if makes_backups(spec) else []), *plan.vhosts)
        self._passwords = {user: password(self, f"password-{user}") for user in users}
        realise(self, plan.workload, self._secrets(spec), restored)
        duty = rabbitmq_duty(plan.workload, plan.peers[0], context.site)
        self.parts = backups_of(self, duty, {f"{BACKUP}.password": self._passwords.get(BACKUP, "")})
        self.finish(host=plan.host)

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """A port of one machine leads to one instance."""
        return [*super().check(spec, target, placement), *cls.shared_port(spec, target, spec.replicas)]

    @classmethod
    def check_change(cls, deployed: Mapping[str, Any], spec: Any) -> list[Refusal]:
        """Nodes join by themselves, but one that is gone still counts when the others look for a majority."""
        if spec.replicas < deployed["replicas"]:
            why = "those that are gone would still count"
            text = f"{spec.replicas} given; {deployed['replicas']} are deployed, and {why}; put it back"
            return [Refusal("replicas", text)]
        return []

    @classmethod
    def occupies(cls, name: str, spec: Any, consumers: Sequence[str]) -> list[str]:
        """Its nodes share a secret of their own."""
        return [*super().occupies(name, spec, consumers), f"password/{name}-cookie"]

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where clients connect."""
        return (Endpoint(self.name, self._plan.host, PORT, "amqps", "mutual"),)

    def connect(self, consumer: str) -> Binding:
        """Settings, password, client certificate and address of one consumer.

        HOST reaches any node, and each serves every queue; NODES are all of them, for clients that try one after
        another. Clients must not declare what they use, or do so passively. A rejected message (nack without requeue)
        is delivered again as its queue says.
        """
        plan, password = self._plan, self._passwords[consumer]
        vhost = plan.vhosts[consumer]
        address = f"@{plan.host}:{PORT}/{quote(vhost, safe='')}"
        settings = {"HOST": plan.host, "PORT": str(PORT), "VHOST": vhost, "USERNAME": consumer, "TLS": "mutual"}
        if len(plan.peers) > 1:
            settings["NODES"] = ",".join(f"{peer}:{PORT}" for peer in plan.peers)
        return Binding(
            endpoint=self.endpoints()[0],
            settings=settings,
            files={
                "password": password,
                "url": pulumi.Output.concat(f"amqps://{consumer}:", password, address),
                **self.context.issuer.client(consumer).files(),
            },
            reach=(Reach(self.name, (PORT,)),),
        )

    def _secrets(self, spec: RabbitmqSpec) -> dict[str, pulumi.Input[str]]:
        """Content of every secret file. Users are in the definitions by the hash of their password only."""
        consumers = tuple(self._plan.vhosts)
        passwords = pulumi.Output.all(**self._passwords)
        certificate = self.context.issuer.server(self.name, self._plan.certificate_hosts, self)
        return {
            **certificate.files(),
            "cookie": password(self, "cookie"),
            "definitions.json": passwords.apply(lambda p: render_definitions(spec, consumers, p)),
        }
