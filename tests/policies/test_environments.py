"""The committed environments, as the program declares them, pass every rule; what a rule reads is really there."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from tests.policies.judge import Resources, judge
from tests.support.environments import committed, load
from tests.support.recording import record


@cache
def _declared(environment: str) -> tuple[tuple[str, str, Mapping[str, Any]], ...]:
    _, recorded = record(load(environment))
    # The engine registers a component before its objects; mocks may answer in another order.
    ordered = sorted(recorded, key=lambda one: not one.type.startswith("groundwork:"))
    return tuple((one.type, one.name, one.inputs) for one in ordered)


def _resources(environment: str) -> Resources:
    resources: Resources = {}
    for type_, name, inputs in _declared(environment):
        key = f"Component {name}" if type_.startswith("groundwork:") else f"{type_.rsplit(':', 1)[-1]} {name}"
        resources[key] = {"type": type_, "props": dict(inputs)}
    return resources


@pytest.mark.parametrize("environment", committed())
def test_a_committed_environment_has_no_finding(environment: str) -> None:
    assert judge(_resources(environment), environment=environment) == {}
