"""Text of every file a RabbitMQ reads, but for its definitions: configuration, environment, TLS between nodes. Pure.

RabbitMQ documentation, "Configuration", "TLS Support", "Securing Cluster (Inter-node) Communication with TLS", "Cluster
Formation and Peer Discovery", "Quorum Queues" and "Memory and Disk Alarms".
"""

from collections.abc import Iterable, Sequence
from json import dumps

from components.core.mounts import OWN, ROOT
from components.core.types import bytes_of
from components.rabbitmq.spec import RabbitmqSpec

ETC = "/etc/rabbitmq"
"""Directory of the configuration and the scripts."""
CLUSTER = f"{ROOT}/cluster"
"""Directory of the definitions and of the cookie by which nodes know one another."""
DATA = "/var/lib/rabbitmq"
RUN = "/run/rabbitmq"
"""Home directory of the process, in memory: what Erlang will have as files of its own."""
PORT, MANAGEMENT_PORT, METRICS_PORT, NODE_PORT = 5671, 15671, 15691, 25672

SCRIPTS = ("groundwork_nodes.erl", "probe.sh", "prune.erl", "start.sh", "topology.sh")

_MEBIBYTE = 2**20
_LOG_SHARE = 8
_LARGEST_LOG = 512 * _MEBIBYTE
_TRIES = 1_000_000
"""How often a new node looks for others, a second between two times: alone it would be a cluster of its own."""
_TLS_ARGUMENTS = f"-proto_dist inet_tls -ssl_dist_optfile {ETC}/inter_node_tls.config"


def render_conf(name: str, spec: RabbitmqSpec, peers: Sequence[str]) -> str:
    """rabbitmq.conf. Every client has libraries for TLS 1.3, so nothing older is offered."""
    memory = bytes_of(spec.resources.memory)
    settings = {
        "listeners.tcp": "none",
        "listeners.ssl.default": PORT,
        **_tls("ssl_options"),
        "ssl_options.verify": "verify_peer",
        "ssl_options.fail_if_no_peer_cert": "true",
        "auth_mechanisms.1": "PLAIN",
        "management.ssl.port": MANAGEMENT_PORT,
        **_tls("management.ssl"),
        "management_agent.disable_metrics_collector": "true",
        "prometheus.tcp.listener": "none",
        "prometheus.ssl.port": METRICS_PORT,
        **_tls("prometheus.ssl"),
        "cluster_name": name,
        "default_queue_type": "quorum",
        "queue_leader_locator": "balanced",
        # With anything to load it makes no user `guest`.
        "load_definitions": f"{ETC}/boot.json",
        "log.console": "true",
        "log.console.level": "info",
        "log.file": "false",
        "vm_memory_high_watermark.absolute": memory * 6 // 10,
        "disk_free_limit.absolute": memory,
        # What is written to it is in memory too.
        "raft.wal_max_size_bytes": min(memory // _LOG_SHARE, _LARGEST_LOG),
        **(_formation(peers) if len(peers) > 1 else {}),
    }
    return _text(f"{key} = {value}" for key, value in settings.items())


def render_environment(suffix: str) -> str:
    """rabbitmq-env.conf, which the server and every tool read. `suffix`: what follows a host name in a node's name."""
    return _text(
        [
            f"NODENAME=rabbit@$(uname -n){suffix}",
            f"USE_LONGNAME={'true' if '.' in suffix else 'false'}",
            f"DIST_PORT={NODE_PORT}",
            "LOGS=-",
            f'SERVER_ADDITIONAL_ERL_ARGS="{_TLS_ARGUMENTS} -erl_epmd_port {NODE_PORT}"',
            f'CTL_ERL_ARGS="{_TLS_ARGUMENTS} -dist_listen false"',
            f'export ERL_AFLAGS="-start_epmd false -epmd_module groundwork_nodes -pa {RUN}"',
            # A dump would hold what was in memory.
            "export ERL_CRASH_DUMP_SECONDS=0",
            f"export HOME={RUN}",
        ]
    )


def render_inter_node_tls(host: str) -> str:
    """inter_node_tls.config: Erlang's options for connections between nodes, which prove their names on both sides."""
    files = ", ".join(f'{{{option}, "{OWN}/{file}"}}' for option, file in _FILES.items())
    both = f"{files}, {{versions, ['tlsv1.3']}}, {{verify, verify_peer}}"
    only = f"{{verify_fun, {{fun groundwork_nodes:only_nodes/3, {dumps(host)}}}}}"
    return f"[{{server, [{both}, {{fail_if_no_peer_cert, true}}, {only}]}},\n {{client, [{both}]}}].\n"


def render_plugins() -> str:
    """enabled_plugins: an Erlang term."""
    return "[rabbitmq_management,rabbitmq_prometheus].\n"


_FILES = {"cacertfile": "ca.crt", "certfile": "tls.crt", "keyfile": "tls.key"}


def _tls(prefix: str) -> dict[str, str]:
    files = {f"{prefix}.{option}": f"{OWN}/{file}" for option, file in _FILES.items()}
    return {**files, f"{prefix}.versions.1": "tlsv1.3"}


def _formation(peers: Sequence[str]) -> dict[str, object]:
    """Nodes find each other by name; a queue that lacks a member, since a node came later, gets it."""
    nodes = {f"cluster_formation.classic_config.nodes.{n}": f"rabbit@{peer}" for n, peer in enumerate(peers, start=1)}
    return {
        "cluster_formation.peer_discovery_backend": "classic_config",
        **nodes,
        "cluster_formation.discovery_retry_limit": _TRIES,
        "quorum_queue.continuous_membership_reconciliation.enabled": "true",
        "quorum_queue.continuous_membership_reconciliation.target_group_size": len(peers),
    }


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
