"""What a person decides about a Kafka. Knows no server setting."""

from typing import Any

from pydantic import Field, field_validator, model_validator

from components.core.problems import WrongFields
from components.core.spec import ServiceSpec
from components.core.types import Storage, bytes_of
from components.kafka.topics import Topic, wrong_topics

COPIES = 3
"""Of every partition and of the metadata, where there are several instances."""
_MINIMUM_MEMORY = "512Mi"
_NO_BACKUP = (
    "given; a Kafka has no backups, since records, what its groups have read and its metadata are no state of one "
    f"moment; remove it, set replicas: {COPIES} or more, and mirror the topics to a Kafka in another region"
)


class KafkaSpec(ServiceSpec):
    """An event log whose topics are declared, single or replicated."""

    topics: tuple[Topic, ...]
    """What it keeps; at least one topic."""
    storage: Storage
    """Disk of one instance. A fifth of it is for what topics need besides their records."""
    replicas: int = Field(default=1, ge=1, le=9)
    """Instances. Default 1, with one copy of everything; else at least 3, with three copies, of which two must be
    written. The first three hold the quorum, so that any number of at least 3 will do. One can't become several."""

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
        wrong = []
        bounded = [topic for topic in self.topics if topic.retention_bytes]
        held = sum(topic.partitions * bytes_of(topic.retention_bytes or "0") for topic in bounded)
        held = held * self.copies // self.replicas
        if held > bytes_of(self.storage) * 4 // 5:
            why = f"by their retention_bytes its topics may hold {held // 2**20}Mi, and a fifth of the disk is for more"
            fix = f"set {-(-held * 5 // 4 // 2**20)}Mi or more, or lower a retention_bytes"
            wrong.append(("storage", f"{self.storage} given; {why}; {fix}"))
        memory = self.resources.memory
        if bytes_of(memory) < bytes_of(_MINIMUM_MEMORY):
            text = f"{memory} given; a Kafka needs at least {_MINIMUM_MEMORY}; set {_MINIMUM_MEMORY}"
            wrong.append(("resources.memory", text))
        return wrong
