"""What a target must do: the only place where plans become resources.

A target hands out names before anything exists and realises workloads; nothing above it knows which one it is.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, Self

import pulumi

from components.core.site import Names
from components.core.workload import Workload


class Target(Protocol):
    """Docker on one machine or Kubernetes."""

    @property
    def kind(self) -> str:
        """`docker` or `kubernetes`: for the halves of components that an operator owns, and for exports."""
        ...

    @property
    def names(self) -> Names:
        """The host names this target hands out."""
        ...

    @property
    def made(self) -> list[pulumi.Resource]:
        """Everything it has created so far."""
        ...

    def growth(self) -> pulumi.ResourceHookBinding | None:
        """What has to be done before the component of a service changes whose volumes may grow by that."""
        ...

    def following(self, services: Iterable[str]) -> Self:
        """The same target, for what must start after these services can serve."""
        ...

    def realise(
        self, parent: Any, workload: Workload, secrets: Mapping[str, pulumi.Input[str]]
    ) -> list[pulumi.Resource]:
        """Create everything the workload needs below the component `parent`. `secrets`: content of each of its slots.

        Raises KeyError where a slot has no content.
        """
        ...
