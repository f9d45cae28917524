"""A value inside a resource together with its path. Reading an unknown value is noted, never passed over.

Works on plain data, in which UNKNOWN stands for what only `up` will know. Deliberately has no way to read a value
without its unknowns being noted.
"""

from collections.abc import Callable
from typing import Any


class _Unknown:
    """Stands for a value that only `up` will know."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = _Unknown()
TRUE, FALSE = True, False
"""Named, so that a comparison reads as one."""


def all_known(*nodes: "Node") -> bool:
    """Whether every value can be judged; each one that can't is noted, not only the first."""
    return all([node.known for node in nodes])  # noqa: C419  a generator would stop at the first


class Node:
    """A value at a path. Missing values read as empty; unknown ones read as empty and are noted by their path."""

    __slots__ = ("_note", "path", "value")

    def __init__(self, value: Any, path: str, note: Callable[[str], None]) -> None:
        self.value = value
        self.path = path
        self._note = note

    def at(self, *keys: str | int) -> "Node":
        """The value below, by names and indexes. Below an unknown value everything is unknown."""
        value, path = self.value, self.path
        for key in keys:
            if value is UNKNOWN:
                break
            path = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}" if path else key
            if isinstance(key, int):
                value = value[key] if isinstance(value, list) and key < len(value) else None
            else:
                value = value.get(key) if isinstance(value, dict) else None
        return Node(value, path, self._note)

    def holding(self, value: Any) -> "Node":
        """The same place with its value read in another way. What is unknown stays so."""
        return Node(UNKNOWN if self.value is UNKNOWN else value, self.path, self._note)

    @property
    def known(self) -> bool:
        """Whether the value can be judged; notes it if not."""
        if self.value is UNKNOWN:
            self.note_unknown()
            return False
        return True

    def note_unknown(self) -> None:
        """Report that this value could not be judged."""
        self._note(self.path)

    @property
    def missing(self) -> bool:
        """Whether there is no value, or an empty one. An unknown value is not missing."""
        return self.known and (self.value is None or self.value == "" or self.value == [] or self.value == {})

    def differs(self, *allowed: object) -> bool:
        """Whether the value is known and none of `allowed`. True and 1 are different things."""
        return self.known and not any(self.value == one and type(self.value) is type(one) for one in allowed)

    @property
    def text(self) -> str:
        """The value as text; empty for anything that has none."""
        if not self.known or self.value is None or isinstance(self.value, dict | list):
            return ""
        return str(self.value)

    @property
    def number(self) -> int | None:
        """The value as a whole number; None for anything else."""
        return self.value if self.known and isinstance(self.value, int) and not isinstance(self.value, bool) else None

    @property
    def items(self) -> list["Node"]:
        """Entries of a list."""
        size = len(self.value) if self.known and isinstance(self.value, list) else 0
        return [self.at(index) for index in range(size)]

    @property
    def fields(self) -> dict[str, "Node"]:
        """Entries of a mapping."""
        names = list(self.value) if self.known and isinstance(self.value, dict) else []
        return {
            name: Node(self.value[name], f"{self.path}.{name}" if self.path else name, self._note) for name in names
        }
