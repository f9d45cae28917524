"""What a person decides about a RabbitMQ. Knows no server setting."""

from pydantic import Field, field_validator, model_validator

from components.core.backups.contract import Backed
from components.core.problems import WrongFields
from components.core.spec import odd_quorum
from components.core.types import Storage, bytes_of
from components.rabbitmq.checks import wrong_topology
from components.rabbitmq.topology import Topology

_MINIMUM_MEMORY = "512Mi"


class RabbitmqSpec(Backed, Topology):
    """A message broker with its exchanges, queues and bindings, single or replicated."""

    storage: Storage
    """Disk of one instance; at least twice the memory."""
    replicas: int = Field(default=1, ge=1, le=7)
    """Instances. 1, or an odd number of at least 3, of which more than half must be there. Default 1."""

    @field_validator("replicas")
    @classmethod
    def _odd(cls, value: int) -> int:
        return odd_quorum(value, "a quorum")

    @model_validator(mode="after")
    def _fits_together(self) -> "RabbitmqSpec":
        wrong = [*wrong_topology(self), *self._wrong_sizes()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    def _wrong_sizes(self) -> list[tuple[str, str]]:
        memory = self.resources.memory
        if bytes_of(memory) < bytes_of(_MINIMUM_MEMORY):
            text = f"{memory} given; a RabbitMQ needs at least {_MINIMUM_MEMORY}; set {_MINIMUM_MEMORY}"
            return [("resources.memory", text)]
        needed = f"{2 * bytes_of(memory) // 2**20}Mi"
        if bytes_of(self.storage) < bytes_of(needed):
            why = f"publishers are stopped where less than the memory ({memory}) is free on the disk"
            return [("storage", f"{self.storage} given; {why}; set {needed} or more")]
        return []
