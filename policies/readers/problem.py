"""What a reader finds in a configuration file."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One setting, or the lack of one, that lets plaintext in."""

    line: int
    """Line number; 0 for something that is missing from the file."""
    setting: str
    """Name of the setting and, where it can't be a secret, its value."""
    what: str
    allowed: str
    fix: str


def listed(values: Sequence[str]) -> str:
    """Values as a message lists them."""
    return ", ".join(values)
