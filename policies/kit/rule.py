"""What a rule is, what it is given, and how it reports.

A rule notes what it finds and goes on; a value that is unknown at preview and a crash of the rule are findings too.
Nothing in a message is printed that was not looked at for secrets.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePath
from typing import Any

from policies.kit.node import Node
from policies.kit.resource import Resource
from policies.kit.secrets import redact


@dataclass(frozen=True)
class Finding:
    """One violation of one rule by one resource."""

    rule: str
    resource: Resource
    message: str


class Check:
    """One rule looking at one resource."""

    def __init__(
        self, rule: str, resource: Resource, params: Mapping[str, Any], services: Mapping[str, Resource], today: date
    ) -> None:
        self.resource = resource
        self.params = params
        self.today = today
        self.findings: list[Finding] = []
        self.root = Node(resource.props, "", self._unknown)
        self._rule = rule
        self._services = services

    @property
    def component(self) -> Node | None:
        """The facts the resource's service declares about itself; None where no component of that name was seen."""
        facts = self._services.get(self.resource.service)
        return Node(facts.props, "", self._unknown) if facts else None

    def fail(self, where: str, what: str, allowed: str, fix: str) -> None:
        """Report a violation: where in the object, what is wrong, what is allowed, and the edit that fixes it."""
        self._add(
            f"{where} {what}; allowed: {allowed}; fix: {fix}" if where else f"{what}; allowed: {allowed}; fix: {fix}"
        )

    def crashed(self, error: Exception) -> None:
        """Report that the rule itself failed. The error's text is left out: it may quote a value."""
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{PurePath(frames[-1].filename).name} line {frames[-1].lineno}" if frames else "an unknown place"
        self._add(
            f"the rule could not run: {type(error).__name__} in {place}; "
            f"allowed: a rule that ran to its end; fix: correct the rule or the value it stumbled over"
        )

    def _unknown(self, path: str) -> None:
        self._add(
            f"could not be checked: {path or 'it'} is unknown until apply; allowed: a value known at preview; "
            f"fix: make it plain data that does not come from another resource"
        )

    def _add(self, text: str) -> None:
        service = self.resource.service or self.resource.name
        finding = Finding(self._rule, self.resource, redact(f"{service}: {self.resource.title}, {text}"))
        if finding not in self.findings:
            self.findings.append(finding)


class StackCheck:
    """One rule looking at all resources together."""

    def __init__(self, rule: str, resources: Sequence[Resource], params: Mapping[str, Any], today: date) -> None:
        self.resources = resources
        self.params = params
        self.today = today
        self.findings: list[Finding] = []
        self._rule = rule

    def on(self, resource: Resource) -> Check:
        """A check of one of the resources; what it finds is found by this one."""
        check = Check(self._rule, resource, self.params, {}, self.today)
        check.findings = self.findings
        return check


@dataclass(frozen=True)
class Rule:
    """A rule: its name, what it demands, why, and the functions that look."""

    name: str
    description: str
    severity: str
    """low, medium, high or critical."""
    references: tuple[str, ...]
    """Controls it implements: PSS (Kubernetes Pod Security Standards), NSA (NSA/CISA Kubernetes Hardening Guide 1.2,
    section), CIS (CIS Kubernetes Benchmark 1.9, number)."""
    fix: str
    check: Callable[[Check], None] | None = None
    check_stack: Callable[[StackCheck], None] | None = None
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """JSON schema of each parameter; every pack gives each of them a value."""


def run_check(rule: Rule, check: Check) -> list[Finding]:
    """Everything a rule finds on a resource. Never raises."""
    assert rule.check is not None
    try:
        rule.check(check)
    except Exception as error:  # noqa: BLE001  whatever a rule stumbles over, the run goes on and names it
        check.crashed(error)
    return check.findings


def run_stack_check(rule: Rule, check: StackCheck) -> list[Finding]:
    """Everything a rule finds in the whole stack. Never raises."""
    assert rule.check_stack is not None
    try:
        rule.check_stack(check)
    except Exception as error:  # noqa: BLE001  see run_check
        whole = Resource(urn="", type="stack", name="stack", props={})
        check.on(check.resources[0] if check.resources else whole).crashed(error)
    return check.findings


STRINGS = {"type": "array", "items": {"type": "string"}}
SWITCH = {"type": "boolean"}
NUMBER = {"type": "number"}
TEXT = {"type": "string"}
PORTS_BY_SERVICE = {
    "type": "object",
    "additionalProperties": {"type": "array", "items": {"type": "number"}},
}
REGIONS_BY_CLASS = {"type": "object", "additionalProperties": STRINGS}
