"""Who may do what: each service that uses a Kafka is known by its certificate and has rights on its topics. Pure.

Kafka documentation, "Authorization and ACLs": Read and Write imply Describe, and whoever may write to a topic may do so
idempotently.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from components.kafka.topics import Topic


@dataclass(frozen=True)
class Grant:
    """The same rights on the same things for some services: what one call of the server's tool can give."""

    operations: str
    """With commas between them."""
    kinds: str
    """TOPIC, GROUP, TRANSACTIONAL_ID, with commas between them."""
    pattern: str
    """LITERAL or PREFIXED."""
    names: tuple[str, ...]
    services: tuple[str, ...]

    @property
    def line(self) -> str:
        """The grant as topics.sh reads it."""
        return " ".join((self.operations, self.kinds, self.pattern, ",".join(self.names), *self.services))


def prefix(consumer: str) -> str:
    """What the names of a consumer's groups and transactions begin with. No service's name has a dot in it."""
    return f"{consumer}."


def grants(consumers: Sequence[str], topics: Iterable[Topic]) -> Iterator[Grant]:
    """All rights: of the consumers on topics, and of each on its own groups and transactions. Others have none."""
    shared: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for topic in topics:
        writing, reading = (may(consumers, named) for named in (topic.producers, topic.consumers))
        both = tuple(one for one in writing if one in reading)
        only_writing, only_reading = (tuple(o for o in some if o not in both) for some in (writing, reading))
        for operations, services in (("READ,WRITE", both), ("WRITE", only_writing), ("READ", only_reading)):
            if services:
                shared.setdefault((operations, services), []).append(topic.name)
    for (operations, services), names in shared.items():
        yield Grant(operations, "TOPIC", "LITERAL", tuple(names), services)
    for consumer in consumers:
        yield Grant("ALL", "GROUP,TRANSACTIONAL_ID", "PREFIXED", (prefix(consumer),), (consumer,))


def may(consumers: Sequence[str], named: Sequence[str] | None) -> tuple[str, ...]:
    """The consumers that a topic's list of services has; no list has all."""
    return tuple(one for one in consumers if named is None or one in named)
