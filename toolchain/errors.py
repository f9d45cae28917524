"""The one exception of the toolchain: its text says what failed and what to do, and needs no traceback."""

from __future__ import annotations


class ToolchainError(Exception):
    """Something the user can act on; printed as one message, exit code 1."""
