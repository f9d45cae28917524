"""Writers that never stop, and a count of what they were promised: lost acknowledged writes, seconds without service.

Several threads write values that are never the same, in the place of an app, while a test kills what it likes. A write
counts once its acknowledgement has arrived; what failed, or was cut off, promises nothing.
"""

from __future__ import annotations

import itertools
import os
import select
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from typing import Any, Self

from tests.live.consumer import SPAWN, enter
from tests.live.written import Writer

PATIENCE_SECONDS = 120
_PACE_SECONDS = 0.001
"""Between two writes of a thread, and more after a failure: what is being measured needs the processor too."""
_PAUSE_SECONDS = 0.02

Place = Callable[[], int | None]
"""Number of the app's process in whose place to write, or None while there is none. Asked again once it has ended."""


@dataclass
class Tally:
    """What writers saw."""

    acknowledged: dict[str, float] = field(default_factory=dict)
    """Each value by when its acknowledgement arrived, on the machine's monotonic clock."""
    failed: Counter[str] = field(default_factory=Counter)
    """Attempts that raised, by what."""

    @property
    def gap(self) -> float:
        """Longest time in which no write was acknowledged, in seconds."""
        times = sorted(self.acknowledged.values())
        return max((after - before for before, after in itertools.pairwise(times)), default=float("inf"))

    def lost(self, stored: set[str]) -> int:
        """Number of acknowledged writes that are not there."""
        return len(self.acknowledged.keys() - stored)

    def figure(self, stored: set[str]) -> str:
        """Both in words, for the table."""
        return f"{self.gap:.1f} s without service, {self.lost(stored)} of {len(self.acknowledged)} lost"

    def add(self, other: Tally) -> None:
        """Take in what others saw."""
        self.acknowledged |= other.acknowledged
        self.failed += other.failed


class Writing:
    """Writers at work: `with Writing(place, Queue) as writing: kill(); writing.await_more()`, then `writing.tally`.

    Without a place they are clients outside. `service` is importable by its name.
    """

    def __init__(self, place: Place | None, service: Callable[[], Writer], threads: int = 4) -> None:
        self.tally = Tally()
        self._place = place
        self._work = (service, threads)
        self._count = SPAWN.Value("Q", 0)
        self._stop = SPAWN.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Self:
        self._supervisor.start()
        try:
            self.await_more()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._supervisor.join()

    @property
    def count(self) -> int:
        """Writes that are acknowledged by now."""
        return int(self._count.value)

    def await_more(self, number: int = 100) -> None:
        """Wait until so many more writes are acknowledged."""
        wanted = self.count + number
        end = time.monotonic() + PATIENCE_SECONDS
        while self.count < wanted:
            assert self._supervisor.is_alive(), "the writers ended; their traceback is on standard error"
            assert time.monotonic() < end, f"no {number} more writes acknowledged within {PATIENCE_SECONDS} s"
            time.sleep(0.01)

    def _supervise(self) -> None:
        """Keep a process in the place, also in the one that takes its place."""
        while not self._stop.is_set():
            pid = self._place() if self._place else None
            if self._place and pid is None:
                self._stop.wait(_PAUSE_SECONDS * 10)
            elif not self._run(pid):
                return

    def _run(self, pid: int | None) -> bool:
        """One process until it ends; whether it told what it saw, or could not for lack of its place."""
        receiving, sending = SPAWN.Pipe(duplex=False)
        arguments = (pid, *self._work, self._count, self._stop, sending)
        process = SPAWN.Process(target=_write_all, args=arguments, daemon=True)
        process.start()
        sending.close()
        try:
            self.tally.add(receiving.recv())
        except EOFError:
            return pid is not None and not os.path.exists(f"/proc/{pid}")  # noqa: PTH110
        finally:
            process.join()
        return True


class _Home:
    """The process in whose place this one is."""

    def __init__(self, pid: int | None) -> None:
        self._file = None if pid is None else os.pidfd_open(pid)
        if pid is not None:
            enter(pid)

    @property
    def is_gone(self) -> bool:
        """Whether it has ended: its network and its secrets are then of the past."""
        return self._file is not None and bool(select.select([self._file], [], [], 0)[0])


def _write_all(
    pid: int | None, service: Callable[[], Writer], threads: int, count: Any, stop: Event, results: Connection
) -> None:
    home = _Home(pid)
    tallies = [Tally() for _ in range(threads)]
    workers = [
        threading.Thread(target=_write, args=(f"{time.time_ns():x}-{n}", service, tally, count, stop, home))
        for n, tally in enumerate(tallies)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    together = Tally()
    for tally in tallies:
        together.add(tally)
    results.send(together)


def _write(name: str, service: Callable[[], Writer], tally: Tally, count: Any, stop: Event, home: _Home) -> None:
    target: Writer | None = None
    for number in itertools.count():
        if stop.is_set():
            return
        value = f"{name}-{number}"
        try:
            target = target or service()
            value = target.write(value) or value
        except Exception as error:  # noqa: BLE001 (each library has its own; every one means: not acknowledged)
            target = None
            tally.failed[f"{type(error).__name__}: {error}".splitlines()[0]] += 1
            if home.is_gone:
                return
            stop.wait(_PAUSE_SECONDS)
            continue
        tally.acknowledged[value] = time.monotonic()
        with count.get_lock():
            count.value += 1
        stop.wait(_PACE_SECONDS)
