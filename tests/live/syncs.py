"""How often the processes of a container ask the kernel to bring a file to the disk.

Whoever is killed loses nothing that the kernel has, so killing alone does not show that a server waits for its disk.
Kernel documentation, "Event Tracing"; needs root, and a kernel that traces system calls.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.live.deployment import Process

CALLS = ("fsync", "fdatasync")


class Syncs:
    """The count for one container, from now on."""

    def __init__(self, instance: Path) -> None:
        self._instance = instance

    @property
    def count(self) -> int:
        """Calls so far, of threads and processes that began later too."""
        lines = (self._instance / "trace").read_text(encoding="utf-8").splitlines()
        return sum(not line.startswith("#") for line in lines)


@contextmanager
def syncs(processes: list[Process]) -> Iterator[list[Syncs]]:
    """A count for each of these containers."""
    with ExitStack() as stack:
        tracing = stack.enter_context(_tracing())
        yield [stack.enter_context(_counted(tracing, process)) for process in processes]


@contextmanager
def _tracing() -> Iterator[Path]:
    """The kernel's tracing files, at a place of our own."""
    with TemporaryDirectory(prefix="groundwork-") as folder:
        done = subprocess.run(["mount", "-t", "tracefs", "tracefs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this kernel can't be traced: {done.stderr.strip()}")
        try:
            if not (Path(folder) / "events/syscalls").exists():
                pytest.skip("this kernel traces no system calls")
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


@contextmanager
def _counted(tracing: Path, process: Process) -> Iterator[Syncs]:
    instance = tracing / "instances" / f"groundwork-{process.pid}"
    instance.mkdir()
    try:
        threads = [task.name for number in process.family() for task in Path(f"/proc/{number}/task").iterdir()]
        (instance / "options/event-fork").write_text("1", encoding="ascii")
        (instance / "set_event_pid").write_text(" ".join(threads), encoding="ascii")
        for call in CALLS:
            (instance / f"events/syscalls/sys_enter_{call}/enable").write_text("1", encoding="ascii")
        yield Syncs(instance)
    finally:
        instance.rmdir()
