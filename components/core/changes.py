"""What a change of a running service would lose: what is deployed against what is asked for. Pure.

Knows what holds for every kind; what only one kind can tell is in its component's `check_change`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.core.types import bytes_of


@dataclass(frozen=True)
class Kept:
    """What a service keeps, as far as a later change of it has to respect that."""

    durable: bool = False
    """Whether losing it is a loss."""
    growing: Mapping[str, str | int] = field(default_factory=dict)
    """Sizes and numbers that may grow and never shrink, by the field that sets them: `storage`, or
    `topics.orders.partitions`."""


@dataclass(frozen=True)
class Refusal:
    """Why a service can't be changed so: what is lost, what is allowed, and the edit that keeps it."""

    field: str
    text: str
    final: bool = False
    """Whether it is refused without deletion protection too: nothing would be deleted, and the server fail."""


def refusals(deployed: Mapping[str, Any], kind: str, version: str, kept: Kept) -> Iterator[Refusal]:
    """Why a deployed service can't become one of this kind and version that keeps this. `deployed`: its facts."""
    durable = bool(deployed["stateful"])
    if kind != deployed["kind"]:
        text = f"{kind} given, {deployed['kind']} deployed; one can't take over the names of the other"
        fix = "give it a name of its own, or remove the old one and run `up` first"
        yield Refusal("kind", f"{text}; {fix}", final=True)
        return
    if durable and not kept.durable:
        yield Refusal("kind", f"{kind} given; with these settings it no longer keeps its data; put the old ones back")
        return
    yield from _shrinking(deployed.get("growing", {}), kept.growing)
    if durable:
        yield from _unfit_version(deployed["version"], version)


def volumes(growing: Mapping[str, str | int]) -> dict[str, str]:
    """Sizes of volumes among what may only grow."""
    return {path: size for path, size in growing.items() if isinstance(size, str)}


def grown(deployed: Mapping[str, Any], kept: Kept) -> dict[str, tuple[str, str]]:
    """Volumes that grow: what they have and what they get, by field."""
    before, after = volumes(deployed.get("growing", {})), volumes(kept.growing)
    pairs = {path: (before[path], size) for path, size in after.items() if path in before}
    return {path: (old, new) for path, (old, new) in pairs.items() if bytes_of(new) > bytes_of(old)}


def _shrinking(before: Mapping[str, Any], after: Mapping[str, str | int]) -> Iterator[Refusal]:
    for path, new in after.items():
        old = before.get(path, new)
        if _amount(new) < _amount(old):
            yield Refusal(path, f"{new} given, {old} deployed; it can grow, never shrink; set {old} or more")


def _amount(value: str | int) -> int:
    return bytes_of(value) if isinstance(value, str) else value


def _unfit_version(before: str, after: str) -> Iterator[Refusal]:
    old, new = _numbers(before), _numbers(after)
    if not old or not new:
        return
    if new < old:
        text = f"{after} given, {before} deployed; an older server can't read what a newer one wrote"
        yield Refusal("version", f"{text}; stay at {before} or newer", final=True)
    elif new[0] > old[0] + 1:
        text = f"{after} given, {before} deployed; data is upgraded one major version at a time"
        yield Refusal("version", f"{text}; go to {old[0] + 1} first", final=True)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with; none where it has none."""
    begins = re.match(r"[0-9]+(\.[0-9]+)*", version)
    return tuple(int(number) for number in begins[0].split(".")) if begins else ()
