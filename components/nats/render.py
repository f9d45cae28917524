"""Text of every file that the servers and their helpers read. Pure.

Settings: NATS documentation, "Configuration" ("TLS", "Clustering", "JetStream", "Lame Duck Mode"); for streams and
consumers "NATS API Reference" (JetStream).
"""

from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from typing import Any

from components.core.mounts import OWN
from components.core.types import bytes_of, seconds_of
from components.nats.access import User
from components.nats.spec import NatsSpec
from components.nats.streams import Durable, Stream

ETC = "/etc/nats"
"""Directory of the configuration and the scripts."""
DATA = "/var/tmp"  # noqa: S108 - a volume
"""The image has no folder for data. A new volume takes over the mode of what it covers, and here any user may write."""
SCRATCH = "/tmp"  # noqa: S108 - private to the instance
APPLIED, TRIED = f"{SCRATCH}/applied", f"{SCRATCH}/tried"
PORT, CLUSTER_PORT, MONITOR_PORT = 4222, 6222, 8222

SCRIPTS = ("start.sh", "streams.sh", "change.jq", "metrics.jq")

_NANOSECONDS = 10**9
_DUPLICATES_SECONDS = 120
"""How long a stream knows the ids of messages, so that a publisher may send one again; the server's own default."""


def render_conf(name: str, spec: NatsSpec, users: Iterable[User], peers: Sequence[str]) -> str:
    """nats.conf without what only an instance knows: its own name. In JSON, which is a subset of its own language.

    `handshake_first`: without it the server greets in plaintext before it starts TLS.
    """
    conf: dict[str, Any] = {
        "listen": f"0.0.0.0:{PORT}",
        "https": f"0.0.0.0:{MONITOR_PORT}",
        "tls": {**_tls(), "verify_and_map": True, "handshake_first": True},
        "authorization": {"users": [_user(user) for user in users]},
        "jetstream": {
            "store_dir": DATA,
            "max_memory_store": 0,
            "max_file_store": spec.room,
            "sync_interval": f"{seconds_of(spec.sync)}s" if spec.sync else "always",
        },
        "lame_duck_duration": "30s",
        "lame_duck_grace_period": "5s",
    }
    if spec.replicas > 1:
        conf["cluster"] = {
            "name": name,
            "listen": f"0.0.0.0:{CLUSTER_PORT}",
            "routes": [f"tls://{peer}:{CLUSTER_PORT}" for peer in peers],
            # The authority signs for every service: only a certificate with the name of a peer makes a peer.
            "tls": {**_tls(), "verify_cert_and_check_known_urls": True},
        }
    return _json(conf)


def render_drill_conf(user: User, store: str, room: int) -> str:
    """nats-drill.conf: a server on this host alone, for the one who made the backup, with `room` bytes in `store`."""
    conf: dict[str, Any] = {
        "listen": f"127.0.0.1:{PORT}",
        "tls": {**_tls(), "verify_and_map": True, "handshake_first": True},
        "authorization": {"users": [{"user": user.name}]},
        "jetstream": {"store_dir": store, "max_memory_store": 0, "max_file_store": room},
    }
    return _json(conf)


def render_settings(spec: NatsSpec, suffix: str) -> str:
    """What start.sh needs to know, as shell assignments."""
    return f"REPLICAS={spec.replicas}\nSUFFIX={suffix}\n"


def render_streams(spec: NatsSpec) -> str:
    """streams.json: each stream with its durable consumers, as the JetStream API takes them."""
    return _json([{"config": _stream(s, spec), "consumers": [_durable(d) for d in s.durables]} for s in spec.streams])


def client_environment(host: str = "localhost") -> Mapping[str, str]:
    """Has the command line `nats --tlsfirst` reach a server. natscli's README, "Configuration Contexts"."""
    files = {"NATS_CA": "ca.crt", "NATS_CERT": "tls.crt", "NATS_KEY": "tls.key"}
    return {
        "HOME": SCRATCH,
        "NATS_URL": f"tls://{host}:{PORT}",
        **{name: f"{OWN}/{file}" for name, file in files.items()},
    }


def memory_limit(memory: str) -> Mapping[str, str]:
    """Has Go's runtime collect garbage harder before the limit is met. Go documentation, package runtime."""
    return {"GOMEMLIMIT": f"{bytes_of(memory) * 85 // 100 // 2**20}MiB"}


def _tls() -> dict[str, Any]:
    return {
        "cert_file": f"{OWN}/tls.crt",
        "key_file": f"{OWN}/tls.key",
        "ca_file": f"{OWN}/ca.crt",
        "min_version": "1.3",
    }


def _user(user: User) -> dict[str, Any]:
    """An empty list of what is allowed would allow everything."""
    sides = {"publish": user.publish, "subscribe": user.subscribe}
    rules = {side: {"allow": list(subjects)} if subjects else {"deny": [">"]} for side, subjects in sides.items()}
    return {"user": user.name, "permissions": rules}


def _stream(stream: Stream, spec: NatsSpec) -> dict[str, Any]:
    age = seconds_of(stream.max_age) if stream.max_age else 0
    return {
        "name": stream.name,
        "subjects": list(stream.subjects),
        "retention": stream.retention.value,
        "storage": "file",
        "num_replicas": spec.replicas,
        "max_bytes": bytes_of(stream.max_bytes),
        "max_age": age * _NANOSECONDS,
        "discard": stream.dropped,
        "duplicate_window": min(age or _DUPLICATES_SECONDS, _DUPLICATES_SECONDS) * _NANOSECONDS,
    }


def _durable(durable: Durable) -> dict[str, Any]:
    waits = [seconds_of(wait) * _NANOSECONDS for wait in durable.backoff]
    return {
        "name": durable.name,
        "durable_name": durable.name,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        # The server takes the first of the waits for it.
        "ack_wait": waits[0] if waits else seconds_of(durable.ack_wait or "30s") * _NANOSECONDS,
        "max_deliver": durable.max_deliver or -1,
        "backoff": waits,
        "filter_subject": durable.filter or "",
    }


def _json(content: Any) -> str:
    return dumps(content, indent=1) + "\n"
