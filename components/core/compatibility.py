"""Which versions are supported, until when, and which go together. Pure, but for reading the one file that says it.

The matrix lies beside the policies, since it is what must hold: the gate reads the same file by code of its own. This
answers when the environment loads; it reads no clock, so that a version that has come to its end is the gate's matter.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path

from pydantic import Field, model_validator

from components.core.spec import Spec

FILE = Path(__file__).parents[2] / "policies" / "compatibility.json"
_TAG = re.compile(r"v?(\d+(?:\.\d+)*)(?![\w.])")


class Range(Spec):
    """Versions from one to another. A bound counts with everything below it: 1.36.3 is within 1.36."""

    since: str = ""
    """Oldest. Empty: any."""
    to: str = ""
    """Newest. Empty: any."""

    def holds(self, version: str) -> bool:
        """Whether a version is among them."""
        return not is_before(version, self.since) and not is_after(version, self.to)

    def __str__(self) -> str:
        if self.since == self.to:
            return self.since or "any"
        if not self.since or not self.to:
            return f"{self.since} or later" if self.since else f"{self.to} or earlier"
        return f"{self.since} to {self.to}"


class System(Spec):
    """One server, operator or platform."""

    title: str
    """Its name in sentences."""
    images: tuple[str, ...]
    """Repositories it is had from, without registry."""
    minimum: str | None
    """Oldest version that is supported. None: nobody has found one that is too old."""
    recommended: str
    """What runs unless a person chooses another, and what is tested most."""
    maximum: str | None
    """Newest version that is supported. None: nobody has found one that is too new."""
    end_of_life: dict[str, date | None]
    """Last day with fixes of each release series, as upstream announces it. None, or no entry: unknown."""
    note: str = ""
    deployment: str = ""
    """What the label app.kubernetes.io/name says of its Deployment in a cluster, for an operator."""
    source: str
    """Where upstream says so."""

    @property
    def supported(self) -> Range:
        """From minimum to maximum."""
        return Range(since=self.minimum or "", to=self.maximum or "")

    def series(self, version: str) -> str:
        """The release series of a version, as long as the recommended one is written: 17 for 17.11."""
        return ".".join(version.split(".")[: self.recommended.count(".") + 1])

    def end(self, version: str) -> date | None:
        """Last day with fixes of a version; None where that is unknown."""
        return next((day for series, day in self.end_of_life.items() if f"{version}.".startswith(f"{series}.")), None)

    def unsupported(self, version: str) -> str:
        """Why a version is not supported; empty where it is."""
        if self.minimum and is_before(version, self.minimum):
            return f"{self.title} before {self.minimum} is not supported"
        if self.maximum and is_after(version, self.maximum):
            return f"{self.title} after {self.maximum} is not supported"
        return ""


class CrossRule(Spec):
    """`system` needs to be of certain versions where it `uses` another, or where another is `beside` it."""

    system: str
    needs: Range
    uses: str = ""
    beside: str = ""
    of: Range = Range()
    """Versions of the other one with which it counts. Default: all."""
    why: str
    """The reason, as the beginning of a sentence."""
    source: str

    @model_validator(mode="after")
    def _one_relation(self) -> "CrossRule":
        if bool(self.uses) == bool(self.beside):
            raise ValueError("a rule is about what a system uses, or about what is beside it")
        return self

    @property
    def other(self) -> str:
        """The system it is about besides its own."""
        return self.uses or self.beside


class Matrix(Spec):
    """All systems and the rules between them."""

    snapshot: date
    """Day of which the dates are."""
    systems: dict[str, System]
    rules: tuple[CrossRule, ...] = Field(default=())

    def system_of(self, image: str) -> str:
        """The system that an image is of, whatever registry or mirror it comes from; empty for any other image."""
        name = f"/{image.partition('@')[0]}"
        name = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
        # One word names an image of Docker's own library. Docker documentation, "docker image tag".
        name = f"/library{name}" if name.count("/") == 1 else name
        return next((key for key, one in self.systems.items() if any(name.endswith(f"/{i}") for i in one.images)), "")


@dataclass(frozen=True)
class Part:
    """A system in the version that a service consists of. `service` is empty for what the environment runs on."""

    service: str
    system: str
    version: str
    uses: tuple[str, ...] = ()
    """Services that its service uses."""


@cache
def load_matrix() -> Matrix:
    """The matrix of this checkout."""
    return Matrix.model_validate_json(FILE.read_text(encoding="utf-8"))


def tagged_version(image: str) -> str:
    """The version that an image's tag begins with: 18.6 for `postgres:18.6-trixie`; empty where it tells none."""
    match = _TAG.match(image.partition("@")[0].rpartition("/")[2].partition(":")[2])
    return match[1] if match else ""


def is_before(version: str, bound: str) -> bool:
    """Whether a version is older than a bound. 1.36.3 is not before 1.36, and 1.9 is before 1.10."""
    given, limit = _numbers(version), _numbers(bound)
    return given[: len(limit)] < limit[: len(given)]


def is_after(version: str, bound: str) -> bool:
    """Whether a version is newer than a bound and everything below it."""
    given, limit = _numbers(version), _numbers(bound)
    return given[: len(limit)] > limit[: len(given)]


def broken_rules(matrix: Matrix, parts: Sequence[Part]) -> Iterator[tuple[Part, CrossRule, Part]]:
    """Every part in a version that a rule does not allow, with the rule and the other part that makes it count."""
    for rule in matrix.rules:
        others = [one for one in parts if one.system == rule.other and rule.of.holds(one.version)]
        for part in parts:
            if part.system == rule.system and not rule.needs.holds(part.version):
                met = (one for one in others if rule.beside or one.service in part.uses)
                yield from ((part, rule, one) for one in islice(met, 1))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".") if number)
