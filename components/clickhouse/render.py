"""Configuration of the servers, of Keeper and of their own clients, as YAML in the form of JSON. Pure.

ClickHouse documentation, "Server Settings", "Composable Protocols", "Configuring SSL-TLS", "ClickHouse Keeper",
"Prometheus Protocols" and "Configuration Files". Of the vendor's own configuration nothing is left in force.
"""

from collections.abc import Sequence
from json import dumps
from typing import Any

from components.clickhouse.secrets import PEERS, SECRETS, included
from components.clickhouse.spec import ClickhouseSpec
from components.clickhouse.tables import CLUSTER
from components.clickhouse.users import BACKUP_USER, SCHEMA_USER
from components.core.mounts import OWN
from components.core.types import bytes_of

ETC = "/etc/clickhouse-server"
"""Directory of the configuration and the scripts, in the place of the image's own."""
DATA = "/var/lib/clickhouse"
RUN = "/run/clickhouse"
"""Where the helper says what it has done, in memory."""
HTTPS_PORT, NATIVE_PORT, INTERSERVER_PORT, METRICS_PORT = 8443, 9440, 9010, 9363
KEEPER_PORT, RAFT_PORT = 9281, 9234
GRACE_SECONDS, KEEPER_GRACE_SECONDS = 120, 60
"""Time to stop in. Half of it is for queries that run, the rest for what is still to be written."""

SERVER_FILE, KEEPER_FILE = "clickhouse.yaml", "clickhouse-keeper.yaml"
USERS_FILE, CLIENT_FILE = "clickhouse-users.yaml", "clickhouse-client.yaml"
SERVER_SCRIPTS, KEEPER_SCRIPTS = ("schema.sh", "start.sh"), ("keeper.sh", "start.sh")

_OLDER = "sslv2,sslv3,tlsv1,tlsv1_1,tlsv1_2"
_OF_MEMORY = 0.8
"""Share of the memory that the server may use: the rest is for what it doesn't count."""
_LOG_DAYS = 7
_COMMANDS = "mntr,ruok,ydld"
"""What Keeper can be asked: how it is, whether it lives, and to give up leadership."""


def render_server(spec: ClickhouseSpec, shards: Sequence[Sequence[str]], keepers: Sequence[str]) -> str:
    """The configuration of a server. `shards`: host names of the replicas of each; `keepers`: host names."""
    memory = bytes_of(spec.resources.memory)
    return _text(
        {
            **_common(GRACE_SECONDS // 2),
            "include_from": SECRETS,
            "https_port": HTTPS_PORT,
            "tcp_port_secure": NATIVE_PORT,
            "users_config": USERS_FILE,
            "mark_cache_size": memory // 10,
            "index_mark_cache_size": memory // 20,
            "uncompressed_cache_size": 0,
            "max_concurrent_queries": 100,
            "query_log": _log("query_log"),
            "part_log": _log("part_log"),
            **(_cluster(shards, keepers) if spec.replicated else {}),
        }
    )


def render_keeper(keepers: Sequence[str]) -> str:
    """The configuration of a Keeper. A server runs it: Keeper by itself serves its metrics in plaintext only."""
    servers = [{"id": id_, "hostname": host, "port": RAFT_PORT} for id_, host in enumerate(keepers, start=1)]
    keeper: dict[str, Any] = {
        "tcp_port_secure": KEEPER_PORT,
        "server_id": {"@from_env": "SERVER_ID"},
        "log_storage_path": f"{DATA}/coordination/log",
        "snapshot_storage_path": f"{DATA}/coordination/snapshots",
        "four_letter_word_white_list": _COMMANDS,
        "coordination_settings": {
            "operation_timeout_ms": 10_000,
            "session_timeout_ms": 30_000,
            "raft_logs_level": "warning",
        },
        "raft_configuration": {"secure": "true", "server": servers},
    }
    nobody: dict[str, Any] = {"users": {}, "profiles": {"default": {}}, "quotas": {"default": {}}}
    return _text({**_common(KEEPER_GRACE_SECONDS // 2), "mark_cache_size": 0, **nobody, "keeper_server": keeper})


def start_command(file: str, shard: str, suffix: str) -> tuple[str, ...]:
    """How a server or a Keeper is started. `suffix`: what follows its own name in the one that peers dial, if anything:
    Docker takes no empty word."""
    return ("/bin/sh", f"{ETC}/start.sh", file, shard, *filter(None, (suffix,)))


def render_client() -> str:
    """That of the client with which tables are made."""
    return _client(SCHEMA_USER, host="localhost")


def render_backup_client() -> str:
    """That of the client with which backups are taken; it is told the host."""
    return _client(BACKUP_USER)


def _client(user: str, **more: str) -> str:
    to = {**more, "port": NATIVE_PORT, "secure": "true", "user": user}
    return _text({**to, "openSSL": {"client": _tls()}})


def _common(patience: int) -> dict[str, Any]:
    """What servers and Keepers have in common: where they listen, how they prove themselves, and what they may use.

    `patience`: seconds that queries have to finish once the server was told to stop.
    """
    return {
        "logger": {"level": "information", "console": "true"},
        "path": f"{DATA}/",
        "listen_host": ["::", "0.0.0.0"],  # noqa: S104 (who may connect is the network's matter)
        # Where the first takes both kinds of addresses, the second finds its own taken.
        "listen_try": "true",
        "max_server_memory_usage_to_ram_ratio": _OF_MEMORY,
        "shutdown_wait_unfinished": patience,
        "shutdown_wait_unfinished_queries": "true",
        "openSSL": {
            "server": {**_tls(), "cacheSessions": "false", "preferServerCiphers": "true"},
            "client": {**_tls(), "cacheSessions": "false"},
        },
        "protocols": {
            "watched": {"type": "http", "handlers": "watched_handlers"},
            # Who scrapes and probes has no certificate; nothing but this is offered to them.
            "metrics": {"type": "tls", "impl": "watched", "port": METRICS_PORT, **_tls("none")},
        },
        "watched_handlers": {
            "rule_metrics": _rule("/metrics", "prometheus"),
            "rule_ping": _rule("/ping", "ping"),
            "rule_replicas": _rule("/replicas_status", "replicas_status"),
        },
    }


def _tls(verification: str = "strict") -> dict[str, str]:
    """TLS 1.3, and the other's certificate. The server compares no names, and gives Keeper none to compare."""
    return {
        "certificateFile": f"{OWN}/tls.crt",
        "privateKeyFile": f"{OWN}/tls.key",
        "caConfig": f"{OWN}/ca.crt",
        "verificationMode": verification,
        "loadDefaultCAFile": "false",
        "disableProtocols": _OLDER,
    }


def _rule(url: str, kind: str) -> dict[str, Any]:
    return {"url": url, "methods": "GET,HEAD", "handler": {"type": kind}}


def _log(table: str) -> dict[str, Any]:
    """A table of the server's own, which must not fill the disk."""
    return {
        "database": "system",
        "table": table,
        "partition_by": "toYYYYMM(event_date)",
        "ttl": f"event_date + INTERVAL {_LOG_DAYS} DAY",
        "flush_interval_milliseconds": 7500,
    }


def _cluster(shards: Sequence[Sequence[str]], keepers: Sequence[str]) -> dict[str, Any]:
    """Servers find each other and Keeper by name, and know each other by certificate and secret."""
    replicas = [
        [{"host": host, "port": NATIVE_PORT, "secure": 1} for host in hosts]
        for hosts in shards
    ]  # fmt: skip
    return {
        "interserver_https_port": INTERSERVER_PORT,
        "interserver_https_host": {"@from_env": "OWN_HOST"},
        "interserver_http_credentials": {"user": "replica", "password": included(PEERS)},
        "macros": {"shard": {"@from_env": "SHARD"}, "replica": {"@from_env": "REPLICA"}},
        "remote_servers": {
            CLUSTER: {
                "secret": included(PEERS),
                "shard": [{"internal_replication": "true", "replica": found} for found in replicas],
            }
        },
        "zookeeper": {"node": [{"host": host, "port": KEEPER_PORT, "secure": 1} for host in keepers]},
        "distributed_ddl": {"path": "/clickhouse/task_queue/ddl"},
    }


def _text(content: dict[str, Any]) -> str:
    return f"{dumps(content, indent=1)}\n"
