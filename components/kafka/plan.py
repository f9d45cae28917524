"""KafkaSpec -> the workload of a Kafka and the facts its consumers get. Pure: the same on every target."""

from collections.abc import Iterator
from dataclasses import dataclass

from components.core.bindings import Reach
from components.core.catalogue import CATALOGUE
from components.core.exporter import METRICS, file_exporter, web_config
from components.core.mounts import OWN, own_files
from components.core.peers import PeersPlan
from components.core.problems import ConfigError, Problem, strangers
from components.core.scripting import scripts
from components.core.site import Site, peer_hosts
from components.core.workload import Container, File, Listener, Probe, Scratch, SecretFile, Volume, Workload
from components.kafka import render
from components.kafka.access import grants
from components.kafka.render import (
    CONTROLLER_PORT,
    DATA,
    ETC,
    KEYSTORE,
    PEERS_PORT,
    PORT,
    SCRATCH,
)
from components.kafka.spec import KafkaSpec

_UID = 1000
"""Of the user `appuser` in the image."""
_GRACE_SECONDS = 60


@dataclass(frozen=True)
class KafkaPlan(PeersPlan):
    """Everything that follows from a spec and its surroundings."""


def plan_kafka(name: str, spec: KafkaSpec, site: Site) -> KafkaPlan:
    """Plan a Kafka. Raises ConfigError where a topic names a service that doesn't use it."""
    consumers = site.consumers_of(name)
    problems = list(_strangers(name, spec, consumers))
    if problems:
        raise ConfigError(problems)
    host, peers = site.names.host(name), peer_hosts(site.names, name, spec.replicas)
    workload = Workload(
        name=name,
        kind="kafka",
        version=CATALOGUE["kafka"].version,
        containers=(_server(spec, site), _topics(site), file_exporter(site, f"{ETC}/exporter.yml")),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        replicas=spec.replicas,
        stateful=True,
        files=_files(name, spec, site),
        secrets=(*own_files(), SecretFile(f"{OWN}/{KEYSTORE}", KEYSTORE)),
        volumes=(Volume("data", DATA, spec.storage),),
        scratch=(Scratch("metrics", METRICS, "64Mi"), Scratch("tmp", SCRATCH, "128Mi")),
        callers=tuple(Reach(consumer, (PORT,)) for consumer in consumers),
        peers=(PEERS_PORT, CONTROLLER_PORT) if spec.replicated else (),
        parallel_start=spec.replicated,
        grace_seconds=_GRACE_SECONDS,
    )
    return KafkaPlan(workload, host, peers)


def _strangers(name: str, spec: KafkaSpec, consumers: tuple[str, ...]) -> Iterator[Problem]:
    for index, topic in enumerate(spec.topics):
        for field, services in (("producers", topic.producers), ("consumers", topic.consumers)):
            yield from strangers(name, f"topics.{index}.{field}", services or (), consumers)


def _server(spec: KafkaSpec, site: Site) -> Container:
    """It opens its ports once it is one of the cluster's servers again; a disk that was not closed takes minutes."""
    return Container(
        name="kafka",
        image=site.image(CATALOGUE["kafka"].reference),
        command=("/bin/sh", f"{ETC}/start.sh"),
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        readiness=_dial(PORT, period=5),
        liveness=_dial(PEERS_PORT, period=10, failures=6),
        startup=_dial(PEERS_PORT, period=3, failures=400),
        listeners=(
            Listener("kafka", PORT, "kafka", "mutual"),
            Listener("peers", PEERS_PORT, "kafka", "mutual", service=False),
            Listener("controller", CONTROLLER_PORT, "kafka", "mutual", service=False),
        ),
        mounts=(ETC, OWN, DATA),
    )


def _dial(port: int, period: int, failures: int = 3) -> Probe:
    """Whether a port is open. Java would take more than a second of a processor to ask for more."""
    return Probe(command=("bash", "-c", f"</dev/tcp/localhost/{port}"), period=period, failures=failures)


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


def _files(name: str, spec: KafkaSpec, site: Site) -> tuple[File, ...]:
    host, peers = site.names.host(name), peer_hosts(site.names, name, spec.replicas)
    identity = render.cluster_id(site.environment, name)
    content = {
        "admin.properties": render.render_admin(),
        "exporter.yml": web_config(),
        "log4j2.properties": render.render_logging(),
        "rights.txt": render.render_rights(grants(site.consumers_of(name), spec.topics)),
        "server.properties": render.render_server(spec, host, peers),
        "settings.sh": render.render_settings(spec, identity, site.names.peer_suffix(name)),
        "topics.txt": render.render_topics(spec),
        **scripts("kafka", *render.SCRIPTS),
    }
    return tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items()))
