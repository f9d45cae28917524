"""Where a plan runs, as plain data: environment, placement and the names peers are addressed by.

A plan may read nothing else about the world.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import Field, model_validator

from components.core.bindings import Instances
from components.core.problems import WrongFields
from components.core.spec import Spec
from components.core.types import Region
from components.core.workload import Listener


class Placement(Spec):
    """Where data and pods may be."""

    region: Region
    """The one region in which everything runs."""
    zones: int = Field(default=1, ge=1, le=6)
    """Zones of that region over which replicas are spread. Default 1."""
    residency: tuple[Region, ...] = ()
    """Regions that data may be in, backups included. Default: the region alone."""

    @model_validator(mode="after")
    def _region_in_residency(self) -> "Placement":
        if self.residency and self.region not in self.residency:
            allowed = ", ".join(self.residency)
            fix = f"set one of them or add {self.region} to residency"
            text = f"{self.region} given; outside the residency list (regional-placement); allowed: {allowed}; {fix}"
            raise WrongFields(("region", text))
        return self

    @property
    def allowed_regions(self) -> tuple[str, ...]:
        """Regions that data may be in; never empty."""
        return self.residency or (self.region,)


class Names(Protocol):
    """Host names a target hands out. The same plan on another target differs in nothing else."""

    def host(self, service: str) -> str:
        """Name that reaches any instance of a service."""
        ...

    def port(self, listener: Listener) -> int:
        """Port at which a service's own name offers a listener."""
        ...

    def peer_suffix(self, service: str) -> str:
        """What follows an instance's own host name to make it resolvable by its peers; may be empty."""
        ...

    def instances(self, service: str, listener: str, replicas: int) -> Instances:
        """How to find every ready instance of a headless workload by the name of one of its listeners."""
        ...


def peer_hosts(names: Names, service: str, replicas: int) -> tuple[str, ...]:
    """Full host name of every instance of a service whose instances address one another."""
    suffix = names.peer_suffix(service)
    return tuple(f"{service}-{index}{suffix}" for index in range(replicas))


@dataclass(frozen=True)
class Site:
    """Everything a plan may know about its surroundings."""

    environment: str
    placement: Placement
    names: Names
    consumers: Mapping[str, tuple[str, ...]]
    """For each service, the services that use it."""
    registry: str = ""
    """Mirror that every image is had from. Empty: each from its own registry."""
    generation: int = 1
    """Of all keys and passwords but the roots': those of another one are made anew."""
    roots: tuple[int, ...] = (1,)
    """Numbers of the roots that everybody trusts."""
    issuer: int = 1
    """Number of the root that certificates lead to."""
    place: Mapping[str, str] = field(default_factory=dict)
    """Where data lies, by the environment's fields that say so: data stays behind where one of them changes."""
    reshaped: frozenset[str] = frozenset()
    """Services that are deployed in another shape: with other volumes, or as one instance instead of several. One whose
    last change has not come to its end may be."""

    def consumers_of(self, service: str) -> tuple[str, ...]:
        """Services that use this one, sorted."""
        return tuple(sorted(self.consumers.get(service, ())))

    def image(self, reference: str) -> str:
        """The image as it is had here. A mirror keeps the whole name, so that two registries can't be mixed up."""
        return f"{self.registry}/{reference}" if self.registry else reference
