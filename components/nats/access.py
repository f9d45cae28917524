"""Who may do what: one user for each consumer, known by its certificate, with the subjects of its streams. Pure.

NATS documentation, "TLS Authentication" (mapping client certificates to users), "Authorization", "NATS API Reference"
(JetStream); nats-architecture-and-design, ADR-15, for the subjects of acknowledgements.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from components.core.certificates import ORGANIZATION
from components.nats.streams import Stream

API = "$JS.API"
_SNAPSHOT = "$JS.SNAPSHOT"


@dataclass(frozen=True)
class User:
    """Someone who may connect, the subjects they may publish and those they may subscribe to; no others."""

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def certificate_name(common_name: str) -> str:
    """The subject of a certificate of the environment's authority, as the server compares it (RFC 4514)."""
    return f"CN={common_name},O={ORGANIZATION}"


def inbox(consumer: str) -> str:
    """Prefix of the subjects that answers to a consumer arrive on; with the default one they could be read by all."""
    return f"_INBOX_{consumer}"


def administrator(host: str, *, restores: bool = False) -> User:
    """Whoever shows the servers' own certificate: the process beside each that looks after the streams."""
    parts = (f"{_SNAPSHOT}.RESTORE.>",) if restores else ()
    return User(certificate_name(host), (f"{API}.>", *parts), ("_INBOX.>",))


def backup_user(part: str) -> User:
    """The part that makes the backups: it has each stream, and may change none."""
    asks = ("STREAM.NAMES", "STREAM.INFO.*", "STREAM.SNAPSHOT.*", "CONSUMER.LIST.*")
    publish = (*(f"{API}.{one}" for one in asks), f"{_SNAPSHOT}.ACK.>")
    return User(certificate_name(part), publish, (f"{inbox(part)}.>",))


def consumer_user(consumer: str, streams: Iterable[Stream]) -> User:
    """A consumer: publishes to streams, fetches by durables and acknowledges, listens as it happens."""
    publish: list[str] = []
    subscribe = [f"{inbox(consumer)}.>"]
    for stream in streams:
        if may(consumer, stream.publishers):
            publish += stream.subjects
        if may(consumer, stream.consumers):
            publish += _reading(stream)
            subscribe += stream.subjects
    return User(certificate_name(consumer), tuple(publish), tuple(subscribe))


def may(consumer: str, named: Sequence[str] | None) -> bool:
    """Whether a stream's list of services has the consumer; no list has all."""
    return named is None or consumer in named


def _reading(stream: Stream) -> Iterator[str]:
    """What a client says while it fetches. The second form of an acknowledgement is that of a coming release."""
    yield f"{API}.STREAM.INFO.{stream.name}"
    for durable in stream.durables:
        place = f"{stream.name}.{durable.name}"
        yield f"{API}.CONSUMER.INFO.{place}"
        yield f"{API}.CONSUMER.MSG.NEXT.{place}"
        yield f"$JS.ACK.{place}.>"
        yield f"$JS.ACK.*.*.{place}.>"
