"""What surrounds the rules: guards, levels, parameters and exceptions.

Levels and parameters follow the stack's name in the resource's URN: the engine tells a pack its stack in no other way
that holds for every language host. Knows nothing of how the engine is spoken to.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from policies.kit.exceptions import NEAR, Exemption, Exemptions, load_exemptions
from policies.kit.packs import Packs, check_packs
from policies.kit.resource import Resource
from policies.kit.rule import Check, Finding, Rule, StackCheck, run_check, run_stack_check

EXCEPTIONS = "exceptions"
WHOLE = "-stack"
"""Follows a rule's name where it looks at the whole stack: the engine tells policies of one resource from others."""


@dataclass(frozen=True)
class Report:
    """What the engine is told: a violation, or with `blocks` unset a notice."""

    policy: str
    message: str
    urn: str
    blocks: bool


class Gate:
    """All rules with what surrounds them. One per process of the pack; requests may come side by side."""

    def __init__(self, rules: Sequence[Rule], packs: Packs, exemptions: Exemptions, today: date) -> None:
        self.rules = rules
        self._packs = packs
        self._exemptions = exemptions
        self._today = today
        self._given: Mapping[str, Mapping[str, Any]] = {}
        self._lock = threading.Lock()
        self._seen: dict[str, Resource] = {}
        self._services: dict[str, dict[str, Resource]] = {}
        self._used: set[Exemption] = set()

    def configure(self, given: Mapping[str, Mapping[str, Any]]) -> None:
        """Take what `--policy-pack-config` says of each policy."""
        self._given = given

    def seen(self, urn: str) -> Resource | None:
        """A resource as it was when it was looked at alone, with the inputs it had."""
        with self._lock:
            return self._seen.get(urn)

    def look(self, resource: Resource) -> list[Report]:
        """What every rule says of one resource."""
        with self._lock:
            self._seen[resource.urn] = resource
            services = self._services.setdefault(resource.stack, {})
            if resource.is_service:
                services[resource.name] = resource
        reports: list[Report] = []
        for rule in self.rules:
            settings = self._packs.settings(resource.stack, rule.name, self._given.get(rule.name, {}))
            if rule.check and settings.level != "disabled":
                check = Check(rule.name, resource, settings.params, services, self._today)
                reports += self._sorted(rule.name, run_check(rule, check), settings.level)
        return reports

    def look_at_all(self, resources: Sequence[Resource]) -> list[Report]:
        """What every rule says of the whole stack, and what is wrong with the exceptions."""
        stack = resources[0].stack if resources else ""
        reports: list[Report] = []
        for rule in self.rules:
            policy = f"{rule.name}{WHOLE}"
            settings = self._packs.settings(stack, rule.name, self._given.get(policy, {}))
            if rule.check_stack and settings.level != "disabled":
                check = StackCheck(rule.name, resources, settings.params, self._today)
                reports += self._sorted(policy, run_stack_check(rule, check), settings.level)
        return [*reports, *self._exceptions(stack)]

    def _sorted(self, policy: str, findings: Sequence[Finding], level: str) -> Iterator[Report]:
        for finding in findings:
            exemption = self._exemptions.covering(finding)
            message = finding.message
            if exemption:
                with self._lock:
                    self._used.add(exemption)
                term = f"exempted until {exemption.expires} by {exemption.approver} ({exemption.ticket})"
                message = f"{term}: {message}"
            yield Report(policy, message, finding.resource.urn, level == "mandatory" and not exemption)

    def _exceptions(self, stack: str) -> Iterator[Report]:
        for problem in self._exemptions.problems:
            yield Report(EXCEPTIONS, problem, "", blocks=True)
        for exemption in self._exemptions.valid:
            if exemption.environment != stack:
                continue
            if exemption not in self._used:
                what = f"exception {exemption.label} covers no violation"
                fix = "delete it from exceptions.json"
                yield Report(EXCEPTIONS, f"{what}; allowed: exceptions that are needed; fix: {fix}", "", blocks=True)
            days = (exemption.expires - self._today).days
            if days <= NEAR:
                end = f"ends in {days} days, on {exemption.expires}"
                text = f"exception {exemption.label} {end}; owner {exemption.owner}"
                yield Report(EXCEPTIONS, text, "", blocks=False)


def build_gate(folder: Path) -> Gate:
    """The gate of a pack's folder, as of today. Raises ValueError that says what is wrong in a file of `packs/`."""
    from policies.rules import RULES

    names = [rule.name for rule in RULES]
    today = date.today()
    check_packs(folder / "packs", {rule.name: rule.parameters for rule in RULES})
    return Gate(RULES, Packs(folder / "packs"), load_exemptions(folder / "exceptions.json", names, today), today)
