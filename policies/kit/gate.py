"""The wiring between rules and the engine: guards, levels, parameters and exceptions around each rule.

Levels and parameters follow the stack's name in the resource's URN: the engine tells a pack its stack in no other way
that holds for every language host. What is not mandatory is reported by one more policy, `notices`.
"""

import threading
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyComplianceFramework,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    Severity,
    StackValidationArgs,
    StackValidationPolicy,
)

from policies.kit.exceptions import NEAR, Exemption, Exemptions, load_exemptions
from policies.kit.node import plain
from policies.kit.packs import LEVELS, Packs
from policies.kit.resource import Resource
from policies.kit.rule import Check, Finding, Rule, StackCheck, run_check, run_stack_check

NOTICES = "notices"
EXCEPTIONS = "exceptions"


class Gate:
    """All rules with what surrounds them. One per process of the pack."""

    def __init__(self, rules: Sequence[Rule], packs: Packs, exemptions: Exemptions, today: date) -> None:
        self._rules = rules
        self._packs = packs
        self._exemptions = exemptions
        self._today = today
        self._lock = threading.Lock()
        self._seen: dict[str, Resource] = {}
        self._services: dict[str, dict[str, Resource]] = {}
        self._used: set[Exemption] = set()
        self._request = threading.local()

    def policies(self) -> list[Policy]:
        """What the policy pack consists of."""
        looking: list[Policy] = [self._resource_policy(rule) for rule in self._rules if rule.check]
        notices: list[Policy] = [
            ResourceValidationPolicy(
                NOTICES, _NOTICES, self._report_notices, enforcement_level=EnforcementLevel.ADVISORY
            )
        ]
        whole: list[Policy] = [self._stack_policy(rule) for rule in self._rules if rule.check_stack]
        last: list[Policy] = [
            StackValidationPolicy(EXCEPTIONS, _EXCEPTIONS, self._report_exceptions, EnforcementLevel.MANDATORY),
            StackValidationPolicy(f"{NOTICES}-stack", _NOTICES, self._report_near, EnforcementLevel.ADVISORY),
        ]
        return looking + notices + whole + last

    def _resource_policy(self, rule: Rule) -> Policy:
        return ResourceValidationPolicy(rule.name, validate=partial(self._look, rule), **_metadata(rule))

    def _stack_policy(self, rule: Rule) -> Policy:
        return StackValidationPolicy(f"{rule.name}-stack", validate=partial(self._look_at_all, rule), **_metadata(rule))

    def _look(self, rule: Rule, args: ResourceValidationArgs, report: ReportViolation) -> None:
        resource = self._resource(rule, args)
        settings = self._packs.settings(resource.stack, rule.name, args.get_config())
        if settings.level != "disabled":
            check = Check(rule.name, resource, settings.params, self._services.get(resource.stack, {}))
            self._sort(run_check(rule, check), settings.level, report)

    def _look_at_all(self, rule: Rule, args: StackValidationArgs, report: ReportViolation) -> None:
        resources = [self._remembered(one) for one in args.resources]
        stack = resources[0].stack if resources else ""
        settings = self._packs.settings(stack, rule.name, args.get_config())
        if settings.level != "disabled":
            check = StackCheck(rule.name, resources, settings.params)
            self._sort(run_stack_check(rule, check), settings.level, report)

    def _sort(self, findings: Sequence[Finding], level: str, report: ReportViolation) -> None:
        for finding in findings:
            exemption = self._exemptions.covering(finding)
            if exemption:
                with self._lock:
                    self._used.add(exemption)
                term = f"exempted until {exemption.expires} by {exemption.approver} ({exemption.ticket})"
                self._notices().append((f"{finding.rule}: {term}: {finding.message}", finding.resource.urn))
            elif level == "advisory":
                self._notices().append((f"{finding.rule}: {finding.message}", finding.resource.urn))
            else:
                report(finding.message, finding.resource.urn or None)

    def _notices(self) -> list[tuple[str, str]]:
        """Notices of the request that this thread serves."""
        if not hasattr(self._request, "notices"):
            self._request.notices = []
        notices: list[tuple[str, str]] = self._request.notices
        return notices

    def _report_notices(self, _args: ResourceValidationArgs, report: ReportViolation) -> None:
        notices, self._request.notices = self._notices(), []
        for message, urn in notices:
            report(message, urn or None)

    def _report_exceptions(self, args: StackValidationArgs, report: ReportViolation) -> None:
        for problem in self._exemptions.problems:
            report(problem, None)
        stack = _stack_of(args)
        for exemption in self._exemptions.valid:
            if exemption.environment == stack and exemption not in self._used:
                what = f"exception {exemption.label} covers no violation"
                report(f"{what}; allowed: exceptions that are needed; fix: delete it from exceptions.json", None)

    def _report_near(self, args: StackValidationArgs, report: ReportViolation) -> None:
        notices, self._request.notices = self._notices(), []
        for message, urn in notices:
            report(message, urn or None)
        for exemption in self._exemptions.valid:
            days = (exemption.expires - self._today).days
            if exemption.environment == _stack_of(args) and days <= NEAR:
                end = f"ends in {days} days, on {exemption.expires}"
                report(f"exception {exemption.label} {end}; owner {exemption.owner}", None)

    def _resource(self, rule: Rule, args: ResourceValidationArgs) -> Resource:
        """The resource of this request, read once for all rules. A rule that asks twice serves a new request."""
        current = self._request
        if getattr(current, "urn", None) != args.urn or rule.name in current.asked:
            current.urn, current.asked = args.urn, set()
            current.resource = Resource(
                args.urn, args.resource_type, args.name, plain(args.props), bool(args.opts and args.opts.protect)
            )
            with self._lock:
                self._seen[args.urn] = current.resource
                if current.resource.is_service:
                    self._services.setdefault(current.resource.stack, {})[args.name] = current.resource
        current.asked.add(rule.name)
        resource: Resource = current.resource
        return resource

    def _remembered(self, one: Any) -> Resource:
        """A resource of the whole stack with the inputs it had when it was looked at alone, or else its outputs."""
        with self._lock:
            known = self._seen.get(one.urn)
        return known or Resource(one.urn, one.resource_type, one.name, plain(one.props))


_NOTICES = "Findings that do not block: advisory rules, exempted violations, exceptions that end soon."
_EXCEPTIONS = "Exceptions are complete, approved, in force and needed."


def _stack_of(args: StackValidationArgs) -> str:
    return args.resources[0].urn.split(":", 3)[2] if args.resources else ""


def _metadata(rule: Rule) -> dict[str, Any]:
    level = {"type": "string", "enum": list(LEVELS)}
    return {
        "description": rule.description,
        "enforcement_level": EnforcementLevel.MANDATORY,
        "config_schema": PolicyConfigSchema({"level": level, **{k: dict(v) for k, v in rule.parameters.items()}}),
        "severity": Severity(rule.severity),
        "framework": PolicyComplianceFramework(
            name="PSS, NSA/CISA Kubernetes Hardening Guide, CIS Kubernetes Benchmark",
            reference=", ".join(rule.references),
        ),
        "tags": list(rule.references),
        "remediation_steps": rule.fix,
    }


def build_gate(folder: Path) -> Gate:
    """The gate of a pack's folder, as of today. Raises ValueError for a pack file that is no JSON."""
    from policies.rules import RULES

    names = [rule.name for rule in RULES]
    today = date.today()
    return Gate(RULES, Packs(folder / "packs"), load_exemptions(folder / "exceptions.json", names, today), today)
