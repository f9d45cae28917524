"""Approved exceptions as data: who asked, who approved, why, and until when.

An exception that is wrong in any way counts for nothing. The shape converts to Pulumi's own exceptions: `policy` and
`target` to their lists, `reason` as it is.
Does not decide whether an exception is wise; the approver does.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from policies.kit.rule import Finding

FIELDS = ("policy", "target", "environment", "owner", "approver", "reason", "ticket", "expires")
LONGEST = 180
"""Days an exception may still last."""
NEAR = 14
"""Days before its end from which on it is announced."""
_TARGET = re.compile(r"[a-z0-9][a-z0-9.-]*/([A-Z][A-Za-z0-9]*|\*)")


@dataclass(frozen=True)
class Exemption:
    """One exception in force."""

    policy: str
    target: str
    """A URN, or `service/Kind`; `service/*` is everything of one service."""
    environment: str
    owner: str
    approver: str
    reason: str
    ticket: str
    expires: date

    @property
    def label(self) -> str:
        """How messages name it."""
        return f"{self.policy} for {self.target} in {self.environment}"

    def covers(self, finding: Finding) -> bool:
        """Whether it exempts this violation."""
        resource = finding.resource
        if self.policy != finding.rule or self.environment != resource.stack:
            return False
        kind = "Component" if resource.is_service else resource.kind
        return self.target in (resource.urn, f"{resource.service}/{kind}", f"{resource.service}/*")


@dataclass
class Exemptions:
    """The exceptions of a file: those in force, and what is wrong with the others."""

    valid: list[Exemption] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def covering(self, finding: Finding) -> Exemption | None:
        """The exception that exempts a violation, if one does."""
        return next((one for one in self.valid if one.covers(finding)), None)


def load_exemptions(path: Path, rules: Iterable[str], today: date) -> Exemptions:
    """Exceptions of a file; none if there is no file. Never raises: an unreadable file is a problem in the result."""
    if not path.exists():
        return Exemptions()
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = document["exceptions"]
    except (ValueError, KeyError, TypeError):
        return Exemptions(problems=[_problem(path.name, "is not readable", 'JSON of the form {"exceptions": [...]}')])
    if not isinstance(entries, list):
        return Exemptions(problems=[_problem(f"{path.name}, exceptions", "is no list", "a list of exceptions")])
    result = Exemptions()
    for index, entry in enumerate(entries):
        where = f"exceptions[{index}]"
        problems = _problems(where, entry, frozenset(rules), today)
        result.problems += problems
        if not problems:
            result.valid.append(Exemption(**{**entry, "expires": date.fromisoformat(entry["expires"])}))
    return result


def _problem(where: str, what: str, allowed: str, fix: str = "correct the entry or delete it") -> str:
    return f"{where} {what}; allowed: {allowed}; fix: {fix}"


def _problems(where: str, entry: Any, rules: frozenset[str], today: date) -> list[str]:
    if not isinstance(entry, Mapping):
        return [_problem(where, "is no mapping", f"a mapping with {', '.join(FIELDS)}")]
    problems = [
        _problem(f"{where}.{name}", "is missing", "a text that is not empty")
        for name in FIELDS
        if not isinstance(entry.get(name), str) or not entry[name].strip()
    ]
    others = [name for name in entry if name not in FIELDS]
    problems += [_problem(f"{where}.{name}", "is not a known field", ", ".join(FIELDS)) for name in others]
    if problems:
        return problems
    if entry["policy"] not in rules:
        problems.append(_problem(f"{where}.policy", "names no rule", ", ".join(sorted(rules))))
    if not entry["target"].startswith("urn:pulumi:") and not _TARGET.fullmatch(entry["target"]):
        problems.append(_problem(f"{where}.target", "is too wide or malformed", "a URN, service/Kind or service/*"))
    if entry["approver"] == entry["owner"]:
        problems.append(_problem(f"{where}.approver", "is also the owner", "a second person"))
    return problems + _term(where, entry["expires"], today)


def _term(where: str, expires: str, today: date) -> list[str]:
    try:
        end = date.fromisoformat(expires)
    except ValueError:
        return [_problem(f"{where}.expires", "is no date", "a date such as 2027-01-31")]
    if end < today:
        renew = "remove it and the violation, or have it approved again"
        return [_problem(f"{where}.expires", f"was {end}, so it no longer counts", "a date from today on", renew)]
    if (end - today).days > LONGEST:
        return [_problem(f"{where}.expires", f"is {end}, too far away", f"at most {LONGEST} days from today")]
    return []
