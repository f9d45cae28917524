"""Streams and durable consumers as a person declares them, and what they must be together. Knows no server."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import combinations
from typing import Literal

from pydantic import Field, model_validator

from components.core.problems import Wrong, WrongFields
from components.core.spec import Spec
from components.core.types import DnsLabel, Duration, Storage
from components.nats.subjects import AssetName, Subject, covers, overlap

_MOST_DURABLES = 100


class Retention(StrEnum):
    """When a stream lets a message go."""

    LIMITS = "limits"
    """When it is too old or the stream is full, whoever has read it."""
    INTEREST = "interest"
    """When every durable consumer that it is for has acknowledged it."""
    WORKQUEUE = "workqueue"
    """When the one durable consumer that it is for has acknowledged it."""


class Durable(Spec):
    """A durable pull consumer: its place in the stream outlives every client that fetches by it."""

    name: AssetName
    """Name by which services fetch; unique in its stream."""
    filter: Subject | None = None
    """The part of the stream's subjects that it is for. Default: all of them."""
    ack_wait: Duration | None = None
    """Time after which a message that nobody acknowledged is delivered again. Default 30s."""
    max_deliver: int | None = Field(default=None, ge=1, le=10_000)
    """Times that a message is delivered until it is given up. Default: until it is acknowledged."""
    backoff: tuple[Duration, ...] = ()
    """Waits between deliveries of one message, in place of `ack_wait`; the last one is repeated. Default none."""

    @model_validator(mode="after")
    def _waits_agree(self) -> "Durable":
        waits = len(self.backoff)
        if waits and self.ack_wait:
            text = f"{self.ack_wait} given; backoff says how long to wait; remove one of the two"
            raise WrongFields(("ack_wait", text))
        if self.max_deliver and waits > self.max_deliver:
            fix = f"set max_deliver: {waits} or more, or remove waits"
            raise WrongFields(("backoff", f"{waits} waits given; max_deliver is {self.max_deliver}; {fix}"))
        return self


class Stream(Spec):
    """Messages of some subjects, kept on the disk of every instance."""

    name: AssetName
    """Name of the stream; unique. Under another name it is another stream, and the old one stays as it is."""
    subjects: tuple[Subject, ...]
    """What it captures. A message belongs to one stream at most."""
    max_bytes: Storage
    """Most that it holds, on each instance."""
    retention: Retention = Retention.LIMITS
    """When messages go: limits, interest (all durables have it) or workqueue (one durable has it). Default limits."""
    max_age: Duration | None = None
    """Age at which a message goes, acknowledged or not. Default: none, `max_bytes` alone bounds the stream."""
    discard: Literal["old", "new"] | None = None
    """What a full stream drops: old messages, or new ones, of which the publisher is told. Default: old with retention
    limits, new with the others, since no job should vanish."""
    publishers: tuple[DnsLabel, ...] | None = None
    """Services that may publish to it. Default: every service that uses this NATS."""
    consumers: tuple[DnsLabel, ...] | None = None
    """Services that may read it, by its durables or as it happens. Default: every service that uses this NATS."""
    durables: tuple[Durable, ...] = Field(default=(), max_length=_MOST_DURABLES)
    """Its durable consumers; at least one with retention interest and workqueue."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Stream":
        wrong = [*self._wrong_subjects(), *self._wrong_durables(), *self._wrong_retention()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    @property
    def dropped(self) -> str:
        """What a full stream drops, in effect."""
        return self.discard or ("old" if self.retention is Retention.LIMITS else "new")

    def _wrong_subjects(self) -> Wrong:
        if not self.subjects:
            yield "subjects", "an empty list given; a stream captures something; add a subject such as orders.>"
        for first, second in combinations(range(len(self.subjects)), 2):
            one, other = self.subjects[first], self.subjects[second]
            if overlap(one, other):
                yield f"subjects.{second}", f"{other} given; it overlaps {one} above; remove one of the two"

    def _wrong_durables(self) -> Wrong:
        names = [durable.name for durable in self.durables]
        for index, durable in enumerate(self.durables):
            if durable.name in names[:index]:
                yield f"durables.{index}.name", f"{durable.name} given; another one has that name; choose another"
            wanted = durable.filter
            if wanted and not any(covers(subject, wanted) for subject in self.subjects):
                allowed = f"allowed: a part of {', '.join(self.subjects)}"
                yield f"durables.{index}.filter", f"{wanted} given; the stream does not capture all of it; {allowed}"

    def _wrong_retention(self) -> Wrong:
        if self.retention is Retention.LIMITS:
            return
        if not self.durables:
            why = "it keeps messages for durables alone"
            yield "durables", f"none given; retention {self.retention} needs one, since {why}; add one, or set limits"
        if self.retention is Retention.WORKQUEUE:
            for first, second in combinations(range(len(self.durables)), 2):
                one, other = self.durables[first], self.durables[second]
                if not (one.filter and other.filter) or overlap(one.filter, other.filter):
                    why = f"it overlaps {one.name}, and a workqueue gives each message to one durable"
                    fix = "give both filters that don't overlap, or set retention: interest"
                    yield f"durables.{second}.filter", f"{other.filter or 'none'} given; {why}; {fix}"


def wrong_streams(streams: Sequence[Stream]) -> Wrong:
    """What is wrong with the streams of one NATS together."""
    if not streams:
        yield "streams", "an empty list given; a NATS needs a stream; add one with name, subjects and max_bytes"
    for first, second in combinations(range(len(streams)), 2):
        one, other = streams[first], streams[second]
        if one.name == other.name:
            yield f"streams.{second}.name", f"{other.name} given; streams.{first} has that name; choose another"
        for index, subject in enumerate(other.subjects):
            taken = next((known for known in one.subjects if overlap(known, subject)), "")
            if taken:
                why = f"it overlaps {taken} of {one.name}, and a message belongs to one stream"
                yield f"streams.{second}.subjects.{index}", f"{subject} given; {why}; change one of the two"
