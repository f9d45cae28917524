"""Waiting for a condition, with a limit and an error that names it."""

from __future__ import annotations

import time
from collections.abc import Callable

from toolchain.errors import ToolchainError


def wait_until(what: str, seconds: float, condition: Callable[[], bool], hint: Callable[[], str]) -> None:
    """Ask `condition` every 50 ms until it is true; raises ToolchainError with `hint` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ToolchainError(f"waited {seconds:g} s for {what}, in vain; {hint()}")
        time.sleep(0.05)
