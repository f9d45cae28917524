"""Where an environment goes, as the commands see it: what is started before `pulumi`, and waited for after it.

Reads the environment's file only as far as needed for that; the program validates the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

Say = Callable[[str], None]

_READY_SECONDS = 180


class Place(Protocol):
    """Somewhere an environment can be."""

    def start(self) -> bool:
        """Make sure that it answers. True if it is new and empty, whatever state says."""
        ...

    def provide(self, images: Sequence[str]) -> None:
        """Make sure that it has these images."""
        ...

    def mend(self) -> None:
        """Bring to life again what state can't tell of."""
        ...

    def is_missing_any(self, names: Mapping[str, bool]) -> bool:
        """Whether something that state tells of is not there, by its name; True marks what must run."""
        ...

    def remove(self, kind: str, name: str) -> None:
        """Remove an object that an interrupted run may have left."""
        ...

    def await_ready(self) -> None:
        """Wait until everything serves, where `pulumi` does not wait itself."""
        ...

    def last_words(self) -> str:
        """What those that should serve and don't have said last, where `pulumi` has not told; may be empty."""
        ...

    def await_gone(self) -> None:
        """Wait until what was removed is gone, where `pulumi` does not wait itself."""
        ...

    def hints(self, endpoints: Sequence[Mapping[str, Any]]) -> list[str]:
        """How to reach what is meant to be reached from outside."""
        ...


def await_all(what: str, unready: Callable[[], list[str]], last_words: Callable[[], str], say: Say) -> None:
    """Wait until nothing is `unready`, and say at the start what is. Raises ToolchainError that ends with its words."""
    from toolchain.waiting import wait_until

    waiting = unready()
    if waiting:
        say(f"waiting for {', '.join(waiting)}")
    wait_until(what, _READY_SECONDS, lambda: not unready(), last_words)


def place_of(stack: str, settings: Mapping[str, Any], say: Say) -> Place:
    """The place that the settings of an environment name."""
    if settings.get("target") == "docker":
        from stacks.places.docker import Engine

        return Engine(stack, settings.get("docker"), say)
    from stacks.places.kubernetes import Cluster, EmbeddedCluster, NodeCluster

    placement = settings.get("placement")
    region = str(placement.get("region") or "") if isinstance(placement, dict) else ""
    if settings.get("cluster") == "embedded":
        return EmbeddedCluster(stack, region)
    if settings.get("cluster") == "node":
        return NodeCluster(stack, region, say)
    return Cluster(stack)
