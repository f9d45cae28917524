"""Every case of the catalogue in `cases/`: what is changed in the compliant environment, and exactly what is reported.

Each case is also run with the changed value unknown, marked secret, and beside another unknown value.
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.kit.rule import Check
from policies.readers.problem import Problem
from policies.rules import RULES
from tests.policies.judge import HERE, PACK, UNKNOWN, Resources, baseline, change, judge, secret

OTHER_UNKNOWN = {
    "Component": "purpose",
    "ConfigMap": "data > other.conf",
    "StatefulSet": "spec > template > spec > initContainers > 0 > image",
    "Deployment": "spec > template > spec > volumes > 0",
    "CronJob": "spec > jobTemplate > spec > template > spec > initContainers",
    "Cluster": "spec > imageName",
    "Pooler": "spec > template > metadata > labels > groundwork.dev/data-class",
    "StorageClass": "metadata > labels > app.kubernetes.io/part-of",
    "NetworkPolicy": "metadata > labels > app.kubernetes.io/part-of",
    "Service": "metadata > labels > app.kubernetes.io/part-of",
    "PodDisruptionBudget": "metadata > labels > app.kubernetes.io/part-of",
    "Container": "cgroupParent",
    "Network": "driver",
    "RemoteImage": "forceRemove",
    "Volume": "driver",
}
"""For each kind, a place that some rule reads and that no case changes together with it."""


@dataclass(frozen=True)
class Case:
    """A change and what the policies report of it."""

    target: str
    rule: str
    case: str
    change: dict[str, Any]
    finds: dict[str, list[str]]
    config: dict[str, Any] = field(default_factory=dict)
    unknown: bool = True

    def __str__(self) -> str:
        return f"{self.target}: {self.rule}: {self.case}"

    def resources(self) -> Resources:
        resources = baseline(target=self.target)
        for path, value in self.change.items():
            change(resources, path, value)
        return resources


def _cases() -> Iterator[Case]:
    for path in sorted((HERE / "cases").glob("*/*.yaml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
            yield Case(target=path.parent.name, rule=path.stem, **entry)


CASES = list(_cases())


def _has_room(case: Case) -> bool:
    """Whether another place of the same resource can be made unknown."""
    path = next(iter(case.change))
    name = path.split(" > ")[0]
    other = OTHER_UNKNOWN.get(name.split(" ")[0])
    return other is not None and " > " in path and not path.startswith(f"{name} > {other}")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_broken_field_is_reported(case: Case) -> None:
    assert judge(case.resources(), config=case.config) == case.finds


@pytest.mark.parametrize("case", [case for case in CASES if case.unknown], ids=str)
def test_an_unknown_value_is_a_violation(case: Case) -> None:
    resources = baseline(target=case.target)
    path = next(iter(case.change))
    change(resources, path, UNKNOWN)
    found = judge(resources, config=case.config)
    reported = [m for policy in (case.rule, f"{case.rule}-stack") for m in found.get(policy, [])]
    assert any("could not be checked: " in message and _names(path, message) for message in reported), found


def _names(path: str, message: str) -> bool:
    """Whether a message names the unknown place: its last field that is no index."""
    last = next(key for key in reversed(path.split(" > ")) if not key.isdigit())
    return f"{last}" in message.split("could not be checked: ", 1)[1]


@pytest.mark.parametrize("case", [case for case in CASES if _has_room(case)], ids=str)
def test_an_unknown_value_elsewhere_hides_nothing(case: Case) -> None:
    resources = case.resources()
    name = next(iter(case.change)).split(" > ")[0]
    other = f"{name} > {OTHER_UNKNOWN.get(name.split(' ')[0])}"
    change(resources, other, UNKNOWN)
    found = judge(resources, config=case.config)
    for policy, messages in case.finds.items():
        assert set(messages) <= set(found.get(policy, []))
    assert "could not be checked: " in str(found)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_value_marked_secret_is_judged_all_the_same(case: Case) -> None:
    resources = case.resources()
    for path in case.change:
        name, *keys = path.split(" > ")
        if name in resources and keys:
            resources[name]["props"] = {key: secret(value) for key, value in resources[name]["props"].items()}
    assert judge(resources, config=case.config) == case.finds


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_missing_rule_is_noticed(case: Case) -> None:
    others = [rule for rule in RULES if rule.name != case.rule]
    assert judge(case.resources(), rules=others, config=case.config) != case.finds


def test_every_rule_has_cases() -> None:
    rules = {rule.name for rule in RULES}
    assert {case.rule for case in CASES if case.target == "kubernetes"} == rules
    # Nothing drains a single machine.
    assert {case.rule for case in CASES if case.target == "docker"} == rules - {"disruption-budget"}


def test_every_violation_a_rule_can_report_has_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taking any single report out of a rule or a reader makes a case fail."""
    reported: set[tuple[str, int]] = set()
    fail, init = Check.fail, Problem.__init__

    def note(depth: int) -> None:
        frame = sys._getframe(depth)
        reported.add((Path(frame.f_code.co_filename).name, frame.f_lineno))

    def noting_fail(self: Check, *args: str) -> None:
        note(2)
        fail(self, *args)

    def noting_init(self: Problem, *args: Any) -> None:
        note(2)
        init(self, *args)

    monkeypatch.setattr(Check, "fail", noting_fail)
    monkeypatch.setattr(Problem, "__init__", noting_init)
    for case in CASES:
        judge(case.resources(), config=case.config)
    missing = [f"{path.name}:{line}" for path, line in _report_sites() if (path.name, line) not in reported]
    assert missing == []


def _report_sites() -> Iterator[tuple[Path, int]]:
    for folder in ("rules", "readers"):
        for path in sorted((PACK / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] in ("fail", "Problem"):
                    yield path, node.lineno
