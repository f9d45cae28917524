"""Show what is being done and for how long: one moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

TERMINAL_SECONDS = 0.2
LOG_SECONDS = 30.0
LOG_COLUMNS = 110


def duration(seconds: float) -> str:
    """A length of time for people: 0.4 s, 12 s, 4 min 5 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Progress:
    """Reports steps one after another; a step's detail may change while it runs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.moving = self.stream.isatty()
        self.detail = ""

    def say(self, text: str) -> None:
        """Print one plain line."""
        print(text, file=self.stream, flush=True)

    def note(self, detail: str) -> None:
        """Change what the running step shows."""
        self.detail = detail

    @contextmanager
    def step(self, title: str, on_error: str = "failed after") -> Iterator[None]:
        """Show `title` with the time elapsed until the block ends, then how long it took or what `on_error` says."""
        self.detail = ""
        started = time.monotonic()
        stop = threading.Event()
        if not self.moving:
            self.say(f"{title} ...")
        thread = threading.Thread(target=self._tick, args=(title, started, stop), daemon=True)
        thread.start()
        outcome = on_error
        try:
            yield
            outcome = "done in"
        finally:
            stop.set()
            thread.join()
            self._clear()
            self.say(f"{title}: {outcome} {duration(time.monotonic() - started)}")

    def _tick(self, title: str, started: float, stop: threading.Event) -> None:
        while not stop.wait(TERMINAL_SECONDS if self.moving else LOG_SECONDS):
            text = f"{title}: {duration(time.monotonic() - started)}  {self.detail}"
            if self.moving:
                self._clear()
                self.stream.write(text[: shutil.get_terminal_size().columns - 1])
                self.stream.flush()
            else:
                self.say(f"  {text[:LOG_COLUMNS]}")

    def _clear(self) -> None:
        if self.moving:
            self.stream.write("\r\x1b[K")
            self.stream.flush()
