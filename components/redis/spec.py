"""What a person decides about a Redis, and what each of its four roles allows. Knows no server setting."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator, model_validator

from components.core.backups.contract import Backed
from components.core.problems import WrongFields
from components.core.spec import odd_quorum
from components.core.types import Duration, Storage, bytes_of, seconds_of

Eviction = Literal["noeviction", "allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-lfu", "volatile-ttl"]
Persistence = Literal["none", "aof", "rdb"]

_MINIMUM_MEMORY = "64Mi"


class Role(StrEnum):
    """What a Redis is used for. Roles conflict, so one instance has one."""

    CACHE = "cache"
    QUEUE = "queue"
    SESSION = "session"
    PUBSUB = "pubsub"


@dataclass(frozen=True)
class Rule:
    """What a role allows for one field; the first value is its default."""

    allowed: tuple[str, ...]
    why: str
    fix: str

    def wrong(self, given: str) -> str:
        """The error text for a value that isn't allowed."""
        return f"{given} given; {self.why}; allowed: {', '.join(self.allowed) or 'none'}; {self.fix}"


_EVICTION = {
    Role.CACHE: Rule(
        ("allkeys-lru", "allkeys-lfu", "volatile-lru", "volatile-lfu", "volatile-ttl"),
        "a full cache must evict (writes would fail)",
        "set eviction: allkeys-lru or role: queue",
    ),
    Role.QUEUE: Rule(
        ("noeviction",), "a queue must not evict (BullMQ would lose jobs)", "set eviction: noeviction or role: cache"
    ),
    Role.SESSION: Rule(
        ("noeviction",),
        "sessions must not be evicted (users would be signed out)",
        "set eviction: noeviction or role: cache",
    ),
    Role.PUBSUB: Rule(("noeviction",), "pub/sub keeps no keys to evict", "set eviction: noeviction or role: cache"),
}
_PERSISTENCE = {
    Role.CACHE: Rule(
        ("none", "rdb"),
        "a cache can be filled again, a snapshot at most keeps it warm",
        "set persistence: none or role: session",
    ),
    Role.QUEUE: Rule(("aof",), "a queue must keep its jobs over a restart", "set persistence: aof or role: cache"),
    Role.SESSION: Rule(("aof",), "sessions must survive a restart", "set persistence: aof or role: cache"),
    Role.PUBSUB: Rule(("none",), "pub/sub keeps no keys to write to disk", "set persistence: none or role: queue"),
}
_TTL = {Role.CACHE: "30m", Role.SESSION: "7d"}
_NO_TTL = {Role.QUEUE: "jobs must not expire", Role.PUBSUB: "messages are not kept"}


class RedisSpec(Backed):
    """A Redis for one of four roles, single or replicated with Sentinel."""

    role: Role
    """What it is used for: cache, queue (back end of BullMQ), session or pubsub."""
    eviction: Eviction | None = None
    """What is dropped when memory is full. Default: a cache drops what was used longest ago; others refuse writes."""
    persistence: Persistence | None = None
    """What is written to disk. Default: a queue and sessions log every write (aof), a cache and pub/sub nothing."""
    ttl: Duration | None = None
    """Time after which a key should expire; handed to consumers. Default: 30m for a cache, 7d for sessions."""
    replicas: int = Field(default=1, ge=1, le=7)
    """Instances. 1, or an odd number of at least 3, each with a Sentinel that votes. Default 1."""
    storage: Storage | None = None
    """Disk of one instance. Needed where something is written to disk; at least twice the memory."""

    @field_validator("replicas")
    @classmethod
    def _odd(cls, value: int) -> int:
        return odd_quorum(value, "a Sentinel quorum")

    @model_validator(mode="after")
    def _fits_role(self) -> "RedisSpec":
        wrong = [*self._wrong_choices(), *self._wrong_sizes(), *self._needless_backups()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    @property
    def policy(self) -> str:
        """The eviction policy in effect."""
        return self.eviction or _EVICTION[self.role].allowed[0]

    @property
    def written(self) -> str:
        """The kind of persistence in effect."""
        return self.persistence or _PERSISTENCE[self.role].allowed[0]

    @property
    def durable(self) -> bool:
        """Whether losing the data is a loss. A warm cache is on disk, but can be filled again."""
        return self.written == "aof"

    @property
    def ttl_seconds(self) -> int | None:
        """Seconds after which keys should expire, or None where the role has no such time."""
        ttl = self.ttl or _TTL.get(self.role)
        return seconds_of(ttl) if ttl else None

    def _wrong_choices(self) -> list[tuple[str, str]]:
        wrong = []
        if self.policy not in _EVICTION[self.role].allowed:
            wrong.append(("eviction", _EVICTION[self.role].wrong(self.policy)))
        if self.written not in _PERSISTENCE[self.role].allowed:
            wrong.append(("persistence", _PERSISTENCE[self.role].wrong(self.written)))
        if self.ttl and self.role in _NO_TTL:
            wrong.append(("ttl", f"{self.ttl} given; {_NO_TTL[self.role]}; remove ttl or set role: cache"))
        return wrong

    def _needless_backups(self) -> list[tuple[str, str]]:
        given = [field for field in ("backup", "restore") if getattr(self, field) is not None]
        why = f"a Redis of role {self.role} keeps nothing that must not be lost"
        fix = "remove it or set role: queue or session"
        return [] if self.durable else [(field, f"given; {why}; {fix}") for field in given]

    def _wrong_sizes(self) -> list[tuple[str, str]]:
        memory = self.resources.memory
        if bytes_of(memory) < bytes_of(_MINIMUM_MEMORY):
            return [
                ("resources.memory", f"{memory} given; a Redis needs at least {_MINIMUM_MEMORY}; set {_MINIMUM_MEMORY}")
            ]
        needed = f"{2 * bytes_of(memory) // 2**20}Mi"
        if self.written == "none":
            text = f"{self.storage} given; nothing is written to disk with persistence: none; remove storage"
            return [("storage", text)] if self.storage else []
        if self.storage is None:
            return [("storage", f"missing; persistence: {self.written} needs a disk; add storage: {needed} or more")]
        if bytes_of(self.storage) < bytes_of(needed):
            why = f"rewriting the file on disk needs room for twice the memory ({memory})"
            return [("storage", f"{self.storage} given; {why}; set {needed} or more")]
        return []
