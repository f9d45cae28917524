"""The compatibility matrix: which versions of a system are supported, until when, and which go together.

`compatibility.json` lies beside the pack, so that a copy of the pack has it; the program answers by the same file when
an environment loads. A version is compared number by number, and a bound holds for everything below it: 1.36.3 is
neither before nor after 1.36.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "compatibility.json"
_TAG = re.compile(r"v?(\d+(?:\.\d+)*)(?![\w.])")


@cache
def load_matrix() -> Mapping[str, Any]:
    """Snapshot, systems and rules, as the file has them."""
    matrix: Mapping[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return matrix


def system_of(image: str) -> str:
    """The system that an image is of, whatever registry or mirror it comes from; empty for any other image."""
    path, _ = _parts(image)
    name = f"/{path}" if "/" in path else f"/library/{path}"
    systems = load_matrix()["systems"].items()
    return next((key for key, row in systems if any(name.endswith(f"/{one}") for one in row["images"])), "")


def version_of(image: str) -> str:
    """The version that an image's tag begins with; empty where it tells none."""
    match = _TAG.match(_parts(image)[1])
    return match[1] if match else ""


def is_before(version: str, bound: str) -> bool:
    """Whether a version is older than a bound."""
    given, limit = _numbers(version), _numbers(bound)
    return given[: len(limit)] < limit[: len(given)]


def is_after(version: str, bound: str) -> bool:
    """Whether a version is newer than a bound and all that is below it."""
    given, limit = _numbers(version), _numbers(bound)
    return given[: len(limit)] > limit[: len(given)]


def is_within(version: str, span: Mapping[str, str]) -> bool:
    """Whether a version is between `since` and `to`, where they are given."""
    return not is_before(version, span.get("since", "")) and not is_after(version, span.get("to", ""))


def shown_span(span: Mapping[str, str]) -> str:
    """Such a span in words: `1.34 to 1.36`, `3.1 or later`."""
    since, to = span.get("since", ""), span.get("to", "")
    return f"{since} to {to}" if since and to else f"{since} or later" if since else f"{to} or earlier"


def _parts(image: str) -> tuple[str, str]:
    """Name and tag of a reference."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".") if number)
