"""KafkaSpec -> the workload of a Kafka and the facts its consumers get. Pure: the same on every target."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from components.core.bindings import Reach
from components.core.catalogue import CATALOGUE
from components.core.exporter import METRICS, file_exporter, web_config
from components.core.mounts import OWN, own_files
from components.core.peers import PeersPlan
from components.core.problems import ConfigError, Problem, strangers
from components.core.scripting import scripts
from components.core.site import Site, peer_hosts
from components.core.spec import Resources
from components.core.workload import Container, File, Listener, Probe, Scratch, SecretFile, Volume, Workload
from components.kafka import render
from components.kafka.access import grants
from components.kafka.render import (
    CONTROLLER_PORT,
    DATA,
    ETC,
    FIRST_CONTROLLER,
    KEYSTORE,
    PEERS_PORT,
    PORT,
    SCRATCH,
)
from components.kafka.spec import COPIES, Controllers, KafkaSpec

_UID = 1000
"""Of the user `appuser` in the image."""
_GRACE_SECONDS = 60
_SERVER = (
    Listener("kafka", PORT, "kafka", "mutual"),
    Listener("peers", PEERS_PORT, "kafka", "mutual", service=False),
)
_CONTROLLER = Listener("controller", CONTROLLER_PORT, "kafka", "mutual", service=False)


_SERVERS, CONTROLLERS = "servers", "controllers"
"""Parts of the service, where the quorum is apart from the servers."""


@dataclass(frozen=True)
class KafkaPlan(PeersPlan):
    """Everything that follows from a spec and its surroundings."""

    controllers: Workload | None
    """The quorum, where it is apart from the servers."""
    controller_hosts: tuple[str, ...]
    """Every name that its instances are dialled by; the first is the common name."""

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Every listener of its workloads."""
        return (*self.workload.listeners, *(self.controllers.listeners if self.controllers else ()))


def plan_kafka(name: str, spec: KafkaSpec, site: Site) -> KafkaPlan:
    """Plan a Kafka. Raises ConfigError where a topic names a service that doesn't use it."""
    consumers = site.consumers_of(name)
    problems = list(_strangers(name, spec, consumers))
    if problems:
        raise ConfigError(problems)
    apart = f"{name}-{CONTROLLERS}"
    controllers = peer_hosts(site.names, apart, COPIES) if spec.controllers else ()
    quorum = _Quorum(site.names.host(name), peer_hosts(site.names, name, spec.replicas), controllers)
    listeners = _SERVER if spec.controllers else (*_SERVER, _CONTROLLER)
    server = replace(_server(site, spec.resources, listeners, _dial(PORT, period=5), PEERS_PORT), zone_variable="ZONE")
    workload = Workload(
        name=name,
        kind="kafka",
        version=CATALOGUE["kafka"].version,
        containers=(server, _topics(site), file_exporter(site, f"{ETC}/exporter.yml")),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        part=_SERVERS if spec.controllers else "",
        replicas=spec.replicas,
        stateful=True,
        files=_files(name, spec, site, quorum),
        secrets=(*own_files(), SecretFile(f"{OWN}/{KEYSTORE}", KEYSTORE)),
        volumes=(Volume("data", DATA, spec.storage),),
        scratch=(Scratch("metrics", METRICS, "64Mi"), Scratch("tmp", SCRATCH, "128Mi")),
        callers=tuple(Reach(consumer, (PORT,)) for consumer in consumers),
        reaches=(Reach(name, (CONTROLLER_PORT,)),) if spec.controllers else (),
        peers=_peer_ports(spec),
        parallel_start=spec.replicated,
        grace_seconds=_GRACE_SECONDS,
    )
    return KafkaPlan(
        workload,
        quorum.host,
        quorum.servers,
        controllers=_controllers(apart, spec, spec.controllers, site, quorum) if spec.controllers else None,
        controller_hosts=(*quorum.controllers, apart, "localhost"),
    )


@dataclass(frozen=True)
class _Quorum:
    """Names of those who may hold the quorum, and of whoever administers."""

    host: str
    servers: tuple[str, ...]
    controllers: tuple[str, ...]

    @property
    def voters(self) -> tuple[str, ...]:
        return render.voters(self.servers, self.controllers)

    @property
    def administrators(self) -> tuple[str, ...]:
        """Common names of the certificates of servers and controllers."""
        return (self.host, *self.controllers[:1])


def _peer_ports(spec: KafkaSpec) -> tuple[int, ...]:
    if not spec.replicated:
        return ()
    return (PEERS_PORT,) if spec.controllers else (PEERS_PORT, CONTROLLER_PORT)


def _controllers(name: str, spec: KafkaSpec, controllers: Controllers, site: Site, quorum: _Quorum) -> Workload:
    identity = render.cluster_id(site.environment, name.removesuffix(f"-{CONTROLLERS}"))
    suffix = site.names.peer_suffix(name)
    content = {
        "log4j2.properties": render.render_logging(),
        "server.properties": render.render_controller(spec, quorum.administrators, quorum.voters),
        "settings.sh": render.render_controller_settings(controllers, identity, suffix),
        **scripts("kafka", *render.CONTROLLER_SCRIPTS),
    }
    return Workload(
        name=name,
        kind="kafka",
        version=CATALOGUE["kafka"].version,
        containers=(_server(site, controllers.resources, (_CONTROLLER,), _knows_who_leads(), CONTROLLER_PORT),),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        part=CONTROLLERS,
        replicas=COPIES,
        stateful=True,
        files=tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items())),
        secrets=(*own_files(), SecretFile(f"{OWN}/{KEYSTORE}", KEYSTORE)),
        volumes=(Volume("data", DATA, controllers.storage),),
        # Servers are pods of the same service.
        peers=(CONTROLLER_PORT,),
        parallel_start=True,
        grace_seconds=_GRACE_SECONDS,
    )


def _strangers(name: str, spec: KafkaSpec, consumers: tuple[str, ...]) -> Iterator[Problem]:
    for index, topic in enumerate(spec.topics):
        for field, services in (("producers", topic.producers), ("consumers", topic.consumers)):
            yield from strangers(name, f"topics.{index}.{field}", services or (), consumers)


def _server(site: Site, resources: Resources, listeners: tuple[Listener, ...], ready: Probe, port: int) -> Container:
    """It opens its ports once it is one of the cluster's servers again; a disk that was not closed takes minutes.

    `port`: one that is open while it lives.
    """
    return Container(
        name="kafka",
        image=site.image(CATALOGUE["kafka"].reference),
        command=("/bin/sh", f"{ETC}/start.sh"),
        cpu=resources.cpu,
        memory=resources.memory,
        readiness=ready,
        liveness=_dial(port, period=10, failures=6),
        startup=_dial(port, period=3, failures=400),
        listeners=listeners,
        mounts=(ETC, OWN, DATA),
    )


def _dial(port: int, period: int, failures: int = 3) -> Probe:
    """Whether a port is open. Java would take more than a second of a processor to ask for more."""
    return Probe(command=("bash", "-c", f"</dev/tcp/localhost/{port}"), period=period, failures=failures)


def _knows_who_leads() -> Probe:
    """Whether a controller follows one, or leads. KIP-595, "Quorum State"."""
    noted = f"{DATA}/log/__cluster_metadata-0/quorum-state"
    known = f"grep -q '\"leaderId\":{FIRST_CONTROLLER // 1000}' {noted}"
    return Probe(command=("bash", "-c", f"{known} && </dev/tcp/localhost/{CONTROLLER_PORT}"), period=5)


def _topics(site: Site) -> Container:
    """Ready once what is declared is there and the server has caught up; restarted when it no longer tries."""
    return Container(
        name="topics",
        image=site.image(CATALOGUE["kafka"].reference),
        command=("/bin/sh", f"{ETC}/topics.sh"),
        cpu="50m",
        memory="256Mi",
        readiness=Probe(command=("test", "-e", render.SETTLED), period=5),
        liveness=Probe(command=("sh", "-c", f"find {render.TRIED} -mmin -10 | grep -q ."), period=60),
        startup=Probe(command=("test", "-e", render.SETTLED), period=3, failures=400),
        mounts=(ETC, OWN, METRICS, SCRATCH),
    )


def _files(name: str, spec: KafkaSpec, site: Site, quorum: _Quorum) -> tuple[File, ...]:
    identity = render.cluster_id(site.environment, name)
    content = {
        "admin.properties": render.render_admin(),
        "exporter.yml": web_config(),
        "log4j2.properties": render.render_logging(),
        "rights.txt": render.render_rights(grants(site.consumers_of(name), spec.topics)),
        "server.properties": render.render_server(spec, quorum.administrators, quorum.voters),
        "settings.sh": render.render_settings(spec, identity, site.names.peer_suffix(name), site.placement.zones),
        "topics.txt": render.render_topics(spec),
        **scripts("kafka", *render.SCRIPTS),
    }
    return tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items()))
