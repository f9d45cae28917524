"""Processes of pods by their control groups, which bear the numbers of pod and container."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def first_processes() -> dict[str, int]:
    """Number of a container -> its first process, as this machine numbers it. proc(5), NSpid: its number inside."""
    found = {}
    for number, group in members():
        with suppress(OSError):
            status = Path(f"/proc/{number}/status").read_text(encoding="utf-8")
            inside = next(line.split()[-1] for line in status.splitlines() if line.startswith("NSpid:"))
            if inside == "1":
                found[group.rpartition("/")[2]] = number
    return found


def members() -> Iterator[tuple[int, str]]:
    """Every process of a pod and its control group, which bears the numbers of pod and container."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # A process that is in no group has an empty line.
            group = (folder / "cgroup").read_text(encoding="utf-8").partition("\n")[0].rpartition(":")[2]
            if "/kubepods/" in group:
                yield int(folder.name), group
