"""Kafka without ZooKeeper: an event log whose topics are declared; single or replicated.

One plan serves every target: peers find one another by the names the target hands out. It deliberately offers no
Connect, no tiered storage, no passwords and no plaintext port.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pulumi

from components.core.bindings import Binding, Certificate, Endpoint, Reach
from components.core.changes import Kept, Refusal
from components.core.component import Component, Context
from components.core.site import Placement
from components.kafka.access import prefix
from components.kafka.plan import CONTROLLERS, plan_kafka
from components.kafka.render import KEYSTORE, PORT
from components.kafka.spec import Controllers, KafkaSpec
from components.kafka.topics import Topic

__all__ = ["Controllers", "Kafka", "KafkaSpec", "Topic"]

_APART = "controllers.storage"
"""Field that only controllers apart have."""


class Kafka(Component):
    """An event log on which each service that uses it is known by its client certificate.

    Example:
        orders = Topic(name="orders", partitions=6, retention="30d", producers=("api",))
        spec = KafkaSpec(kind="kafka", owner="team-data", storage="10Gi", topics=(orders,))
        kafka = Kafka("kafka", spec, context)
        binding = kafka.bind("api")
    """

    spec_type = KafkaSpec
    token = "groundwork:messaging:Kafka"  # noqa: S105 (a type token)
    stateful = True

    def __init__(
        self, name: str, spec: KafkaSpec, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        plan = plan_kafka(name, spec, context.site)
        super().__init__(
            name,
            spec,
            context,
            listeners=plan.listeners,
            version=plan.workload.version,
            replicas=spec.replicas,
            opts=opts,
        )
        self._plan = plan
        certificate = context.issuer.server(name, plan.certificate_hosts, self)
        if plan.controllers:
            own = context.issuer.server(plan.controllers.name, plan.controller_hosts, self)
            context.target.realise(self, plan.controllers, _files_of(own))
        context.target.realise(self, plan.workload, _files_of(certificate))
        self.finish(host=plan.host)

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """Clients go on to the instances by their names."""
        wrong = super().check(spec, target, placement)
        if spec.publish and target == "docker":
            why = "clients are sent on to the instances by names that this machine doesn't know"
            wrong.append(("publish", f"{spec.publish} given; {why}; remove it"))
        return wrong

    @classmethod
    def kept(cls, spec: Any) -> Kept:
        """Its servers and the partitions of each topic only grow."""
        kept = super().kept(spec)
        partitions = {f"topics.{topic.name}.partitions": topic.partitions for topic in spec.topics}
        controllers = {_APART: spec.controllers.storage} if spec.controllers else {}
        return replace(kept, growing={**kept.growing, **controllers, "replicas": spec.replicas, **partitions})

    @classmethod
    def check_change(cls, deployed: Mapping[str, Any], spec: Any) -> list[Refusal]:
        """The quorum of one server and that of three know nothing of one another."""
        if deployed["replicas"] == 1 < spec.replicas:
            text = f"{spec.replicas} given, 1 deployed; two empty servers would outvote the one that has the data"
            return [Refusal("replicas", f"{text}; set 1, or give the new service a name of its own", final=True)]
        apart, was = spec.controllers is not None, _APART in deployed.get("growing", {})
        if apart != was:
            given = "a mapping given, none" if apart else "none given, a mapping"
            text = f"{given} deployed; another quorum would begin empty, and know no topic"
            return [
                Refusal("controllers", f"{text}; put it back, or give the new service a name of its own", final=True)
            ]
        return []

    @classmethod
    def occupies(cls, name: str, spec: Any, consumers: Sequence[str]) -> list[str]:
        """Controllers apart are a workload with a certificate of its own."""
        names, apart = super().occupies(name, spec, consumers), f"{name}-{CONTROLLERS}"
        if spec.controllers:
            names += [f"object/{apart}", f"object/{apart}-peers", f"certificate/{apart}-server"]
        return names

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where clients connect first; they are sent on to the instances by name."""
        return (Endpoint(self.name, self._plan.host, PORT, "kafka", "mutual"),)

    def connect(self, consumer: str) -> Binding:
        """Settings and client certificate of one consumer. Its certificate is its user.

        Its groups and transactional ids must begin with GROUP_PREFIX. Clients in Java take `keystore.pem` and `ca.crt`
        as stores of type PEM, others the three files.
        """
        settings = {
            "HOST": self._plan.host,
            "PORT": str(PORT),
            "BOOTSTRAP_SERVERS": ",".join(f"{peer}:{PORT}" for peer in self._plan.peers),
            "SECURITY_PROTOCOL": "SSL",
            "TLS": "mutual",
            "GROUP_PREFIX": prefix(consumer),
        }
        files = _files_of(self.context.issuer.client(consumer))
        return Binding(self.endpoints()[0], settings, files, (Reach(self.name, (PORT,)),))


def _files_of(certificate: Certificate) -> dict[str, pulumi.Input[str]]:
    """A certificate's files, and chain and key in one as Kafka takes them."""
    return {**certificate.files(), KEYSTORE: pulumi.Output.concat(certificate.chain, certificate.key)}
