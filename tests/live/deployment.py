"""What runs, whoever runs it: processes by their number, and what an engine tells of them.

Everything else that a proof looks at goes through /proc and the namespaces of a process, which are the same for a
container and for a pod. Needs root and Linux.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

HOLDER = "sandbox"
"""The container of an instance that holds its network and serves nothing."""


@dataclass(frozen=True)
class Process:
    """The first process of a container."""

    service: str
    instance: str
    """Service and number: `cache-0`."""
    container: str
    pid: int

    @property
    def place(self) -> str:
        """Instance and container, for messages."""
        return f"{self.instance}/{self.container}"

    @property
    def root(self) -> Path:
        """Its root directory, as this machine sees it."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def uid(self) -> int:
        """User it runs as."""
        return int(_status(self.pid)["Uid"].split()[0])

    def family(self) -> list[int]:
        """Every process of its container: those that see the same files."""
        own = _mounts_seen(self.pid)
        return [number for number in _numbers() if _mounts_seen(number) == own]

    def mounts(self) -> list[tuple[str, list[str]]]:
        """Where something is mounted in it, and the mount's own options. proc(5), mountinfo."""
        lines = Path(f"/proc/{self.pid}/mountinfo").read_text(encoding="utf-8").splitlines()
        return [(words[4], words[5].split(",")) for words in map(str.split, lines)]

    def kill(self) -> None:
        """End it at once, without a word."""
        os.kill(self.pid, signal.SIGKILL)


class Deployment(Protocol):
    """An environment on one target."""

    target: str
    """`docker` or `node`."""

    def processes(self) -> list[Process]:
        """The first process of each container that runs now."""
        ...

    def addresses(self) -> dict[str, list[str]]:
        """Every address by which others may reach an instance, by the instance's name."""
        ...

    def connected(self, inventory: Inventory, source: Process, target: Process, port: int) -> bool:
        """Whether the instance of `source` may open connections to that of `target` at this port."""
        ...

    def names(self, process: Process, service: Sequence[str], *, stateful: bool) -> list[str]:
        """Names by which an instance is dialled: those of its `service` that lead to it, and its own among peers."""
        ...

    def declared(self, process: Process, listeners: Sequence[Listener]) -> list[Listener]:
        """Those listeners of a service that an instance has."""
        ...

    def is_foreign(self, process: Process, address: str, port: int) -> bool:
        """Whether a socket in the network of an instance belongs to whoever runs it."""
        ...

    def is_operated(self, process: Process) -> bool:
        """Whether an operator gives it its configuration and secrets."""
        ...

    def insider(self, process: Process) -> Insider | None:
        """Who may ask an instance, where no consumer of its service may."""
        ...

    def published(self) -> set[tuple[str, int]]:
        """Addresses and ports of this machine that lead to an instance."""
        ...

    def address(self, service: str) -> str:
        """Where this machine reaches a service that is meant for clients outside."""
        ...

    def told(self) -> Iterator[tuple[str, str]]:
        """All that it tells of each container, its log included, and whose it is."""
        ...

    def opened(self, source: str, target: str) -> Any:
        """Context in which instance `source` can reach instance `target`, though no edge says so."""
        ...

    def lose(self, instance: str) -> None:
        """End everything of an instance at once, its network included, so that it stays away until the next `up`."""
        ...

    def is_ready(self, service: str) -> bool:
        """Whether every instance of a stateful service of ours is there and ready."""
        ...

    def note(self) -> None:
        """Remember what bears no sign of the environment, for `remains`."""
        ...

    def remains(self) -> list[str]:
        """Every object that it has of the environment."""
        ...


Inventory = Mapping[str, Mapping[str, Any]]
"""Facts of each service by its name, as the stack's output `inventory` tells them; `ports`: where consumers call it."""
Listener = Mapping[str, Any]
"""A port that a service says it has."""


@dataclass(frozen=True)
class Insider:
    """A client that belongs to the service."""

    user: str
    database: str
    files: Path
    """Folder with its certificate."""


def _numbers() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _mounts_seen(number: int) -> str:
    """Which mounts a process sees; empty when it has ended."""
    with suppress(OSError):
        return str(Path(f"/proc/{number}/ns/mnt").readlink())
    return ""


def _status(number: int) -> dict[str, str]:
    lines = Path(f"/proc/{number}/status").read_text(encoding="utf-8").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
