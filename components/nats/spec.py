"""What a person decides about a NATS. Knows no server setting."""

from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from components.core.backups.contract import Backed
from components.core.problems import WrongFields
from components.core.spec import odd_quorum
from components.core.types import Duration, Storage, bytes_of
from components.nats.streams import Stream, wrong_streams

_MINIMUM_MEMORY = "64Mi"


class NatsSpec(Backed):
    """An event bus whose streams and durable consumers are declared, single or replicated."""

    many_begin: ClassVar[bool] = True
    """One could not become several later; the first gives the streams to all."""
    streams: tuple[Stream, ...]
    """What it keeps; at least one stream. Every instance has all of them."""
    storage: Storage
    """Disk of one instance. A fifth of it is for what streams need besides their messages."""
    replicas: int = Field(default=1, ge=1, le=5)
    """Instances: 1, 3 or 5. Default 1. With data in it, one can't become several or several one."""
    sync: Duration | None = None
    """Longest time that an acknowledged message may not be on disk yet. Default: none, it is there before the
    acknowledgement."""

    @field_validator("replicas")
    @classmethod
    def _odd(cls, value: int) -> int:
        return odd_quorum(value, "a quorum")

    @model_validator(mode="after")
    def _fits_together(self) -> "NatsSpec":
        wrong = [*wrong_streams(self.streams), *self._wrong_sizes()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    @property
    def room(self) -> int:
        """Bytes that all streams together may hold on one instance."""
        return bytes_of(self.storage) * 4 // 5

    def _wrong_sizes(self) -> list[tuple[str, str]]:
        wrong = []
        held = sum(bytes_of(stream.max_bytes) for stream in self.streams)
        if held > self.room:
            why = f"its streams may hold {held // 2**20}Mi, and a fifth of the disk is for their logs"
            fix = f"set {-(-held * 5 // 4 // 2**20)}Mi or more, or lower a max_bytes"
            wrong.append(("storage", f"{self.storage} given; {why}; {fix}"))
        memory = self.resources.memory
        if bytes_of(memory) < bytes_of(_MINIMUM_MEMORY):
            text = f"{memory} given; a NATS with streams needs at least {_MINIMUM_MEMORY}; set {_MINIMUM_MEMORY}"
            wrong.append(("resources.memory", text))
        return wrong
