"""NATS with JetStream: an event bus whose streams and durable consumers are declared; single or replicated.

One plan serves every target: peers find one another by the names the target hands out. It deliberately offers no leaf
nodes, no gateways to other clusters, no WebSocket or MQTT listener and no plaintext port.
"""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.core.backups.part import backups_of, realise
from components.core.bindings import Binding, Endpoint, Reach
from components.core.changes import Refusal
from components.core.component import Component, Context
from components.core.site import Placement
from components.nats.access import inbox
from components.nats.dumping import nats_duty, restored
from components.nats.plan import plan_nats
from components.nats.render import PORT
from components.nats.spec import NatsSpec
from components.nats.streams import Durable, Retention, Stream

__all__ = ["Durable", "Nats", "NatsSpec", "Retention", "Stream"]


class Nats(Component):
    """An event bus on which each service that uses it is known by its client certificate.

    Example:
        orders = Stream(name="ORDERS", subjects=("orders.>",), max_bytes="1Gi")
        spec = NatsSpec(kind="nats", owner="team-data", storage="2Gi", streams=(orders,))
        nats = Nats("nats", spec, context)
        binding = nats.bind("api")
    """

    spec_type = NatsSpec
    token = "groundwork:messaging:Nats"  # noqa: S105 (a type token)
    stateful = True

    def __init__(self, name: str, spec: NatsSpec, context: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        plan = plan_nats(name, spec, context.site)
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
        certificate = context.issuer.server(name, plan.certificate_hosts, self)
        realise(self, plan.workload, certificate.files(), restored)
        self.parts = backups_of(self, nats_duty(spec, plan.workload, plan.host, context.site), {})
        self.finish(host=plan.host)

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """A port of one machine leads to one instance."""
        return [*super().check(spec, target, placement), *cls.shared_port(spec, target, spec.replicas)]

    @classmethod
    def check_change(cls, deployed: Mapping[str, Any], spec: Any) -> list[Refusal]:
        """Streams and votes are on every instance; start.sh refuses what gets past this."""
        before = deployed["replicas"]
        if before == 1 < spec.replicas:
            text = f"{spec.replicas} given; 1 is deployed, and a cluster deletes the streams of a server that was alone"
            return [Refusal("replicas", f"{text}; keep 1, or move to a service of another name", final=True)]
        if spec.replicas < before:
            text = f"{spec.replicas} given; {before} are deployed, and those left could lack messages and a majority"
            return [Refusal("replicas", f"{text}; keep {before}", final=True)]
        return []

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where clients connect; NATS clients take the URL as it is."""
        return (Endpoint(self.name, self._plan.host, PORT, "tls", "mutual"),)

    def connect(self, consumer: str) -> Binding:
        """Settings and client certificate of one consumer. Its certificate is its user.

        Clients do the TLS handshake first (`TLS_FIRST`), prefix their inboxes with INBOX_PREFIX, and name streams and
        durables instead of having them looked up.
        """
        plan, endpoint = self._plan, self.endpoints()[0]
        settings = {
            "HOST": plan.host,
            "PORT": str(PORT),
            "URL": endpoint.url,
            "SERVERS": ",".join(f"tls://{peer}:{PORT}" for peer in plan.peers),
            "TLS": "mutual",
            "TLS_FIRST": "true",
            "INBOX_PREFIX": inbox(consumer),
        }
        files = self.context.issuer.client(consumer).files()
        return Binding(endpoint, settings, files, (Reach(self.name, (PORT,)),))
