"""Topics as a person declares them, and what they must be together. Knows no server.

Kafka documentation, "Topic Configs".
"""

import re
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.core.problems import Wrong, WrongFields
from components.core.spec import Spec
from components.core.types import DnsLabel, Duration, Memory, Storage, bytes_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_RETENTION = "7d"
_LARGEST_SEGMENT = "1Gi"
_LARGEST_MESSAGE = "16Mi"


def _name(value: str) -> str:
    if value.startswith("__"):
        raise ValueError("the server's own topics begin with two underscores; choose a name without them")
    if not _NAME.fullmatch(value):
        raise ValueError("allowed: 1 to 200 letters, digits, '.', '_' and '-', such as orders.created")
    return value


TopicName = Annotated[str, AfterValidator(_name)]


class Topic(Spec):
    """Records in some partitions, each of which keeps their order."""

    name: TopicName
    """Name of the topic; unique. Under another name it is another topic, and the old one stays as it is."""
    partitions: int = Field(default=3, ge=1, le=1000)
    """Parts that are read side by side; as many consumers of a group can share the work. They can grow, which moves
    keys to other partitions, and never shrink. Default 3."""
    cleanup: Literal["delete", "compact"] = "delete"
    """What goes: old records (delete), or all but the newest of each key (compact). Default delete."""
    retention: Duration | None = None
    """Age at which records may go, with cleanup delete. Default 7d."""
    retention_bytes: Storage | None = None
    """Most that one partition holds, with cleanup delete; the oldest records go. Default: `retention` alone counts."""
    segment: Storage = _LARGEST_SEGMENT
    """Size of the files of a partition. Records go file by file, never from the file that is written. Default 1Gi."""
    max_message: Memory = "1Mi"
    """Largest batch of records that a producer may send, compressed. Default 1Mi."""
    producers: tuple[DnsLabel, ...] | None = None
    """Services that may write to it. Default: every service that uses this Kafka."""
    consumers: tuple[DnsLabel, ...] | None = None
    """Services that may read it. Default: every service that uses this Kafka."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Topic":
        wrong = [*self._wrong_retention(), *self._wrong_sizes()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    @property
    def kept(self) -> str | None:
        """Age at which records go, in effect; None where their age doesn't count."""
        return (self.retention or _RETENTION) if self.cleanup == "delete" else None

    def _wrong_retention(self) -> Wrong:
        if self.cleanup == "compact":
            for field in ("retention", "retention_bytes"):
                given = getattr(self, field)
                if given:
                    why = "cleanup: compact keeps the newest record of each key, however old"
                    yield field, f"{given} given; {why}; remove it, or set cleanup: delete"

    def _wrong_sizes(self) -> Wrong:
        segment = bytes_of(self.segment)
        if segment > bytes_of(_LARGEST_SEGMENT):
            yield "segment", f"{self.segment} given; at most {_LARGEST_SEGMENT} is allowed; set {_LARGEST_SEGMENT}"
        if bytes_of(self.max_message) > min(segment, bytes_of(_LARGEST_MESSAGE)):
            most = min(self.segment, _LARGEST_MESSAGE, key=bytes_of)
            why = "servers hold whole batches in memory" if most == _LARGEST_MESSAGE else "it has to fit into a segment"
            yield "max_message", f"{self.max_message} given; {why}; set {most} or less"
        if self.retention_bytes and bytes_of(self.retention_bytes) < segment:
            why = f"records go by whole segments, of {self.segment}"
            fix = f"set {self.segment} or more, or a smaller segment"
            yield "retention_bytes", f"{self.retention_bytes} given; {why}; {fix}"


def wrong_topics(topics: Sequence[Topic]) -> Wrong:
    """What is wrong with the topics of one Kafka together."""
    if not topics:
        yield "topics", "an empty list given; nobody but this list makes topics; add one with name and partitions"
    first: dict[str, int] = {}
    for index, topic in enumerate(topics):
        # Both characters stand for the same one in the names of metrics, so the server refuses the second topic.
        known = first.setdefault(topic.name.replace(".", "_"), index)
        if known != index:
            other = topics[known].name
            why = f"topics.{known} has that name" if other == topic.name else f"it counts as the same name as {other}"
            yield f"topics.{index}.name", f"{topic.name} given; {why}; choose another"
