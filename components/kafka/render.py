"""Text of every file that the servers and their helpers read. Pure.

Settings: Kafka documentation, "Broker Configs", "Topic Configs", "Security", "KRaft"; for PEM files KIP-651, for the
minimum of copies where leaders are elected among the eligible KIP-966.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from components.core.certificates import ORGANIZATION
from components.core.mounts import OWN
from components.core.types import bytes_of, seconds_of
from components.kafka.access import Grant
from components.kafka.spec import Controllers, KafkaSpec
from components.kafka.topics import Topic

ETC = "/etc/kafka-server"
"""Directory of the configuration and the scripts. The image has a volume below /etc/kafka, which nothing may cover."""
DATA = "/var/lib/kafka/data"
SCRATCH = "/tmp"  # noqa: S108 - private to the instance
SETTLED, TRIED = f"{SCRATCH}/settled", f"{SCRATCH}/tried"
KEYSTORE = "keystore.pem"
"""Name of the file with a certificate, its chain and its key, as Kafka's own clients and servers take them."""
PORT, PEERS_PORT, CONTROLLER_PORT = 9093, 9091, 9090

SCRIPTS = ("start.sh", "topics.sh", "changes.awk", "metrics.awk", "rights.awk")
CONTROLLER_SCRIPTS = ("start.sh",)

_QUORUM = 3
_LONGEST_ROLL = 7 * 86400
_MOST_HEAP, _MOST_DEDUPE = 6144, 128
"""Mebibytes of the heap, and of the buffer of it in which the server finds old keys; that one is its own default."""
CONTROLLER = "CONTROLLER"
_LISTENERS = {"CLIENT": PORT, "PEERS": PEERS_PORT, CONTROLLER: CONTROLLER_PORT}
FIRST_CONTROLLER = 1000
"""Number of the first controller apart; servers count from 0."""


def cluster_id(environment: str, name: str) -> str:
    """Identity of a cluster: the same whenever it is made again, so that it finds its own volumes.

    The server wants 16 bytes in base64: 22 characters, of which the last stands for two bits and so can't be any. The
    others are hexadecimal, so that nobody takes them for a secret.
    """
    return sha256(f"groundwork/{environment}/{name}".encode()).hexdigest()[:21] + "g"


def heap(memory: str) -> int:
    """Mebibytes of the server's heap; the rest of its memory is for threads, buffers and the cache of its files."""
    return min(bytes_of(memory) // 2**21, _MOST_HEAP)


def voters(servers: Sequence[str], controllers: Sequence[str]) -> tuple[str, ...]:
    """Who holds the quorum: the controllers, or the first servers where there are none."""
    first, hosts = (FIRST_CONTROLLER, controllers) if controllers else (0, servers[:_QUORUM])
    return tuple(f"{number}@{host}:{CONTROLLER_PORT}" for number, host in enumerate(hosts, start=first))


def render_server(spec: KafkaSpec, administrators: Sequence[str], quorum: Sequence[str]) -> str:
    """server.properties without what only an instance knows: its number, its names and whether it is a controller."""
    copies = spec.copies
    must = _must_be_written(spec)
    listeners = {name: port for name, port in _LISTENERS.items() if name != CONTROLLER or not spec.controllers}
    return _properties(
        {
            **_common(spec, administrators, quorum),
            "listeners": ",".join(f"{name}://:{port}" for name, port in listeners.items()),
            "auto.create.topics.enable": "false",
            # Consumers that say which rack they are in may read a copy there.
            "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
            "offsets.topic.replication.factor": copies,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": must,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": must,
            "log.cleaner.dedupe.buffer.size": min(_MOST_DEDUPE, heap(spec.resources.memory) // 8) * 2**20,
        }
    )


def render_controller(spec: KafkaSpec, administrators: Sequence[str], quorum: Sequence[str]) -> str:
    """server.properties of a controller apart."""
    return _properties(
        {**_common(spec, administrators, quorum), "listeners": f"{CONTROLLER}://:{CONTROLLER_PORT}"},
    )


def _common(spec: KafkaSpec, administrators: Sequence[str], quorum: Sequence[str]) -> dict[str, object]:
    """What servers and controllers have in common: the quorum, how they know whom, and what a topic has by itself."""
    return {
        "controller.quorum.voters": ",".join(quorum),
        "controller.listener.names": CONTROLLER,
        "inter.broker.listener.name": "PEERS",
        "listener.security.protocol.map": ",".join(f"{name}:SSL" for name in _LISTENERS),
        **_tls(),
        "ssl.client.auth": "required",
        # The common name. Whoever has a certificate of another form is nobody.
        "ssl.principal.mapping.rules": f"RULE:^CN=([A-Za-z0-9._-]+),O={ORGANIZATION}$/$1/",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": ";".join(f"User:{name}" for name in administrators),
        "log.dirs": f"{DATA}/log",
        "unclean.leader.election.enable": "false",
        "default.replication.factor": spec.copies,
        "min.insync.replicas": _must_be_written(spec),
    }


def render_admin() -> str:
    """admin.properties: how the tools beside a server connect to it, by its own certificate."""
    return _properties({"security.protocol": "SSL", **_tls()})


def render_settings(spec: KafkaSpec, identity: str, suffix: str, zones: int) -> str:
    """What the scripts of a server need to know, as shell assignments.

    QUORUM: how many of the servers hold it. SPREAD: whether copies share a zone unless servers say which is theirs.
    """
    quorum = 0 if spec.controllers else _QUORUM if spec.replicated else 1
    spread = "yes" if spec.replicas > spec.copies and zones > 1 else ""
    return _assignments(identity, suffix, spec.resources.memory, quorum, spread=spread)


def render_controller_settings(controllers: Controllers, identity: str, suffix: str) -> str:
    """The same for a controller apart."""
    return _assignments(identity, suffix, controllers.resources.memory, _QUORUM, first=FIRST_CONTROLLER)


def _assignments(identity: str, suffix: str, memory: str, quorum: int, first: int = 0, spread: str = "") -> str:
    lines = (
        f"CLUSTER='{identity}'",
        f"QUORUM={quorum}",
        f"FIRST={first}",
        f"SUFFIX={suffix}",
        f"HEAP={heap(memory)}m",
        f"SPREAD={spread}",
    )
    return _text(lines)


def render_topics(spec: KafkaSpec) -> str:
    """`topics`: one a line, with partitions, copies and every setting that a person can change."""
    return _text(
        f"{topic.name} {topic.partitions} {spec.copies} "
        + ",".join(f"{name}={value}" for name, value in _settings(topic, spec).items())
        for topic in spec.topics
    )


def render_rights(grants: Iterable[Grant]) -> str:
    """`rights`: one grant a line."""
    return _text(grant.line for grant in grants)


def render_logging() -> str:
    """log4j2.properties: everything to standard output. Log4j manual, "Configuration file", "Pattern Layout"."""
    return _properties(
        {
            "status": "error",
            "appender.out.type": "Console",
            "appender.out.name": "out",
            "appender.out.layout.type": "PatternLayout",
            "appender.out.layout.pattern": "%d{ISO8601} %p %c{1}: %m%n",
            "rootLogger.level": "${sys:level:-info}",
            "rootLogger.appenderRef.out.ref": "out",
        }
    )


def _must_be_written(spec: KafkaSpec) -> int:
    """Copies that have a record before it is acknowledged to a producer that waits for all."""
    return spec.copies // 2 + 1


def _tls() -> dict[str, str]:
    """Every client has libraries for TLS 1.3, so nothing older is offered."""
    return {
        "ssl.protocol": "TLSv1.3",
        "ssl.enabled.protocols": "TLSv1.3",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": f"{OWN}/{KEYSTORE}",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": f"{OWN}/ca.crt",
        "ssl.endpoint.identification.algorithm": "https",
    }


def _settings(topic: Topic, spec: KafkaSpec) -> dict[str, object]:
    """A file that is written is closed after a time too, or the records of a quiet topic would never go."""
    age = seconds_of(topic.kept) if topic.kept else None
    return {
        "cleanup.policy": topic.cleanup,
        "max.message.bytes": bytes_of(topic.max_message),
        "min.insync.replicas": _must_be_written(spec),
        "retention.bytes": bytes_of(topic.retention_bytes) if topic.retention_bytes else -1,
        "retention.ms": age * 1000 if age else -1,
        "segment.bytes": bytes_of(topic.segment),
        "segment.ms": min(age or _LONGEST_ROLL, _LONGEST_ROLL) * 1000,
    }


def _properties(settings: Mapping[str, object]) -> str:
    return _text(f"{name}={value}" for name, value in settings.items())


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
