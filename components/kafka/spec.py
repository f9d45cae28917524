"""What a person decides about a Kafka. Knows no server setting."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator, model_validator

from components.core.problems import WrongFields
from components.core.spec import Resources, ServiceSpec, Spec
from components.core.types import Cpu, Memory, Storage, bytes_of
from components.kafka.topics import Topic, wrong_topics

COPIES = 3
"""Of every partition and of the metadata, where there are several instances."""
_MINIMUM_MEMORY = "512Mi"
_NO_BACKUP = (
    "given; a Kafka has no backups, since records, what its groups have read and its metadata are no state of one "
    f"moment; remove it, set replicas: {COPIES} or more, and mirror the topics to a Kafka in another region"
)


class ControllerResources(Resources):
    """What one of the three controllers may use."""

    cpu: Cpu = "500m"
    """Cores reserved for one instance. Default half a core."""
    memory: Memory = "1Gi"
    """Memory reserved for one instance and its limit at the same time. Default 1Gi."""


class Controllers(Spec):
    """Three instances that hold the quorum and no records, so that load on the servers doesn't slow it."""

    storage: Storage = "10Gi"
    """Disk of one instance. Default 10Gi."""
    resources: ControllerResources = ControllerResources()
    """What one instance may use."""


class KafkaSpec(ServiceSpec):
    """An event log whose topics are declared, single or replicated."""

    topics: tuple[Topic, ...]
    """What it keeps; at least one topic."""
    storage: Storage
    """Disk of one instance. A fifth of it is for what topics need besides their records."""
    replicas: int = Field(default=1, ge=1, le=9)
    """Instances. Default 1, with one copy of everything; else at least 3, with three copies, of which two must be
    written. The first three hold the quorum, so that any number of at least 3 will do. One can't become several."""
    controllers: Controllers | None = None
    """The quorum, where it is to be apart from the servers: three more instances, for much load. Default: the servers
    hold it. It stays where it began."""

    @model_validator(mode="before")
    @classmethod
    def _no_backups(cls, values: Any) -> Any:
        """Fields that other kinds with data have are answered with the reason."""
        wrong = [(field, _NO_BACKUP) for field in ("backup", "restore") if isinstance(values, dict) and field in values]
        if wrong:
            raise WrongFields(*wrong)
        return values

    @field_validator("replicas")
    @classmethod
    def _one_or_copies(cls, value: int) -> int:
        if 1 < value < COPIES:
            raise ValueError(f"two can't lose one and go on; set 1, or {COPIES} or more")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "KafkaSpec":
        wrong = [*wrong_topics(self.topics), *self._wrong_sizes()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    @property
    def replicated(self) -> bool:
        """Whether losing an instance loses nothing."""
        return self.replicas > 1

    @property
    def copies(self) -> int:
        """Instances that have each partition."""
        return COPIES if self.replicated else 1

    def _wrong_sizes(self) -> list[tuple[str, str]]:
        wrong = list(self._wrong_controllers())
        bounded = [topic for topic in self.topics if topic.retention_bytes]
        held = sum(topic.partitions * bytes_of(topic.retention_bytes or "0") for topic in bounded)
        held = held * self.copies // self.replicas
        if held > bytes_of(self.storage) * 4 // 5:
            why = f"by their retention_bytes its topics may hold {held // 2**20}Mi, and a fifth of the disk is for more"
            fix = f"set {-(-held * 5 // 4 // 2**20)}Mi or more, or lower a retention_bytes"
            wrong.append(("storage", f"{self.storage} given; {why}; {fix}"))
        wrong += _too_small("resources.memory", self.resources.memory, "a Kafka")
        return wrong

    def _wrong_controllers(self) -> Iterator[tuple[str, str]]:
        if not self.controllers:
            return
        if not self.replicated:
            yield "controllers", f"a mapping given; a single server is its own; remove it, or set replicas: {COPIES}"
        yield from _too_small("controllers.resources.memory", self.controllers.resources.memory, "a controller")


def _too_small(field: str, memory: str, what: str) -> Iterator[tuple[str, str]]:
    if bytes_of(memory) < bytes_of(_MINIMUM_MEMORY):
        yield field, f"{memory} given; {what} needs at least {_MINIMUM_MEMORY}; set {_MINIMUM_MEMORY}"
