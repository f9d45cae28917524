"""The processes of the embedded cluster, found by the program they run instead of by process numbers on file.

A number written down before a reboot or a crash may belong to a stranger today. A process counts as ours only when it
runs a program below the cluster's own folder; nothing else is ever signalled.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
POLITE_SECONDS = 3.0


def running(programs: Path) -> dict[str, int]:
    """Program name -> process number, for the live processes started from the folder `programs`."""
    prefix = f"{programs}/"
    return {name.removeprefix(prefix): number for number, name in _processes() if name.startswith(prefix)}


def terminate(numbers: list[int], seconds: float | None = None) -> None:
    """Ask the processes to end, end them by force after `seconds` (a few), and wait until they are gone."""
    _signal(numbers, signal.SIGTERM)
    deadline = time.monotonic() + (POLITE_SECONDS if seconds is None else seconds)
    while any(map(_alive, numbers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    _signal([number for number in numbers if _alive(number)], signal.SIGKILL)
    while any(map(_alive, numbers)) and time.monotonic() < deadline + POLITE_SECONDS:
        time.sleep(0.02)


def program(number: int) -> str:
    """Name of the program that a live process runs, as it was called; empty when there is no such process."""
    return next((Path(name).name for other, name in _processes() if other == number), "")


def memory(number: int) -> int:
    """Resident bytes of a process, 0 when it has ended."""
    statm = PROC / str(number) / "statm"
    if statm.exists():
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGESIZE")
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(number)], capture_output=True, text=True, check=False)
    return int(done.stdout.strip() or 0) * 1024


def command_lines() -> Iterator[tuple[int, list[str]]]:
    """Number, program and arguments of every process of a Linux system that has not ended."""
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # A process that ended but was not collected yet has an empty command line.
            content = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if content.strip(b"\0"):
            yield int(folder.name), [os.fsdecode(word) for word in content.rstrip(b"\0").split(b"\0")]


def _signal(numbers: list[int], number: signal.Signals) -> None:
    for process in numbers:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue


def _alive(number: int) -> bool:
    return bool(program(number))


def _processes() -> Iterator[tuple[int, str]]:
    """Number and program of every process that has not ended; one that waits to be collected counts as ended."""
    return _linux() if PROC.is_dir() else _portable()


def _linux() -> Iterator[tuple[int, str]]:
    return ((number, words[0]) for number, words in command_lines())


def _portable() -> Iterator[tuple[int, str]]:
    done = subprocess.run(["ps", "-axo", "pid=,stat=,command="], capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        number, state, command = line.split(maxsplit=2)
        if not state.startswith("Z"):
            yield int(number), command.split(" --", 1)[0]
