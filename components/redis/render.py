"""Text of every file a Redis reads: server and Sentinel configuration, access lists, scripts. Pure.

Settings: redis.conf and sentinel.conf of Redis 8 and the pages "TLS", "ACL" and "High availability with Redis
Sentinel" of its documentation.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from json import dumps

from components.core.mounts import OWN, ROOT
from components.redis.memory import shares_of
from components.redis.spec import RedisSpec, Role

ETC = "/etc/redis"
"""Directory of the configuration and the scripts."""
ACCESS = f"{ROOT}/access"
"""Directory of the access lists and passwords of servers and Sentinels."""
EXPORTER = f"{ROOT}/exporter"
"""Directory of the exporter's password."""
DATA = "/data"
RESTORED = f"{DATA}/restore"
"""Where a helper puts what it fetches of a backup, on the server's volume."""
PORT, SENTINEL_PORT, METRICS_PORT = 6379, 26379, 9121
REPLICATION, SENTINEL, MONITOR, BACKUP = "gw_replication", "gw_sentinel", "gw_monitor", "gw_backup"
"""Users of the servers themselves. No service can have these names: a service's name has no underscore."""

SCRIPTS = ("lib.sh", "start.sh", "probe.sh")

_DOWN_AFTER_SECONDS = 5
_GUARD_LAG_SECONDS = 3
"""A master cut off from its replicas stops taking writes before the others can elect a successor."""


@dataclass(frozen=True)
class User:
    """Someone who may connect, and what they may do on the server and on the Sentinels (empty: not connect)."""

    name: str
    rules: str
    sentinel_rules: str = ""


_CONSUMER = "+@all -@admin -@dangerous +info +role"
_RULES = {
    Role.CACHE: f"~* &* {_CONSUMER}",
    Role.QUEUE: f"~* &* {_CONSUMER} +client|list",
    Role.SESSION: f"~* &* {_CONSUMER}",
    Role.PUBSUB: "resetkeys &* -@all +@pubsub +@connection +info +role",
}
_CONSUMER_OF_SENTINEL = (
    "&* -@all +auth +hello +ping +info +role +command +subscribe +psubscribe +unsubscribe +punsubscribe"
    " +client|getname +client|id +client|setname +client|setinfo +sentinel|get-master-addr-by-name +sentinel|master"
    " +sentinel|masters +sentinel|myid +sentinel|replicas +sentinel|slaves +sentinel|sentinels"
)
_INTERNAL = (
    User(
        MONITOR,
        "resetkeys resetchannels -@all +ping +info +client|setname"
        " +latency|latest +latency|histogram +slowlog|len +slowlog|get",
        "resetchannels -@all +ping +info +sentinel|get-master-addr-by-name",
    ),
)
_INTERNAL_OF_REPLICATED = (
    User(REPLICATION, "resetkeys resetchannels -@all +psync +replconf +ping"),
    User(
        SENTINEL,
        "resetkeys allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +config|set +role +publish"
        " +info +client|setname +client|kill +script|kill",
        "allchannels -@all +@connection +@pubsub +info +role +sentinel",
    ),
)


BACKUP_USER = User(BACKUP, "resetkeys resetchannels -@all +sync +replconf +ping")
"""By whom the part that makes backups takes snapshots."""


def internal_users(replicated: bool) -> tuple[User, ...]:
    """Users by which the servers, Sentinels, probes and the exporter know one another."""
    return (*_INTERNAL, *_INTERNAL_OF_REPLICATED) if replicated else _INTERNAL


def consumer_user(name: str, role: Role, replicated: bool) -> User:
    """The user of one consumer: data of this Redis, nothing that administers it."""
    return User(name, _RULES[role], _CONSUMER_OF_SENTINEL if replicated else "")


def render_redis_conf(spec: RedisSpec) -> str:
    """redis.conf without what only an instance knows: its own name, its master and passwords."""
    shares = shares_of(spec.resources.memory, spec.replicas)
    lines = [
        *_tls_lines(PORT),
        f"aclfile {ACCESS}/users.acl",
        f"dir {DATA}",
        "tcp-keepalive 60",
        f"maxmemory {shares.data}mb",
        f"maxmemory-policy {spec.policy}",
        *_persistence_lines(spec.written),
        "latency-monitor-threshold 100",
    ]
    if spec.role is Role.CACHE:
        lines += ["lazyfree-lazy-eviction yes", "lazyfree-lazy-expire yes"]
    if spec.replicas > 1:
        lines += [
            "min-replicas-to-write 1",
            f"min-replicas-max-lag {_GUARD_LAG_SECONDS}",
            f"repl-backlog-size {shares.backlog}mb",
            f"repl-diskless-sync-max-replicas {spec.replicas - 1}",
            f"client-output-buffer-limit replica {shares.buffer}mb {shares.backlog}mb 60",
        ]
    return _text(lines)


def render_sentinel_conf(name: str) -> str:
    """sentinel.conf without what only an instance knows: its own name, its peers, the master and passwords."""
    return _text(
        [
            *_tls_lines(SENTINEL_PORT),
            f"aclfile {ACCESS}/sentinel-users.acl",
            f"dir {DATA}",
            "sentinel resolve-hostnames yes",
            "sentinel announce-hostnames yes",
            f"sentinel announce-port {SENTINEL_PORT}",
            "sentinel deny-scripts-reconfig yes",
            f"sentinel down-after-milliseconds {name} {_DOWN_AFTER_SECONDS * 1000}",
            f"sentinel failover-timeout {name} 30000",
            f"sentinel parallel-syncs {name} 1",
        ]
    )


def render_settings(name: str, spec: RedisSpec, suffix: str, peers: Sequence[str]) -> str:
    """What the scripts need to know, as shell assignments."""
    return _text(
        [
            f"NAME={name}",
            f"REPLICAS={spec.replicas}",
            f"QUORUM={spec.replicas // 2 + 1}",
            f"DURABLE={'yes' if spec.durable else 'no'}",
            f"SUFFIX={suffix}",
            f"PEERS='{' '.join(peers)}'",
            *([f"RESTORE='sh {ETC}/restore.sh {RESTORED} {spec.restore.choice} {DATA}'"] if spec.restore else []),
        ]
    )


def render_acl(users: Iterable[User], passwords: Mapping[str, str], *, of_sentinel: bool) -> str:
    """users.acl of the server or of the Sentinels: whoever isn't listed, and the user `default`, is refused."""
    lines = ["user default off"]
    for user in users:
        rules = user.sentinel_rules if of_sentinel else user.rules
        if rules:
            lines.append(f"user {user.name} on #{sha256(passwords[user.name].encode()).hexdigest()} {rules}")
    return _text(lines)


def render_exporter_passwords(password: str) -> str:
    """The exporter's password file: JSON, by address. redis_exporter's README, "Authenticating with Redis"."""
    return dumps({f"rediss://{MONITOR}@localhost:{PORT}": password})


def _tls_lines(port: int) -> list[str]:
    """redis.conf, section TLS/SSL. Every client has libraries for TLS 1.3, so nothing older is offered."""
    return [
        "port 0",
        f"tls-port {port}",
        "bind * -::*",
        f"tls-cert-file {OWN}/tls.crt",
        f"tls-key-file {OWN}/tls.key",
        f"tls-ca-cert-file {OWN}/ca.crt",
        "tls-auth-clients yes",
        "tls-replication yes",
        'tls-protocols "TLSv1.3"',
    ]


def _persistence_lines(written: str) -> list[str]:
    """redis.conf, sections SNAPSHOTTING and APPEND ONLY MODE."""
    if written == "aof":
        return ["appendonly yes", "appendfsync everysec", 'save ""']
    return ["appendonly no", "save 3600 1 300 100 60 10000" if written == "rdb" else 'save ""']


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
