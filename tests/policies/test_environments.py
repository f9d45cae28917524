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
    declared = _declared(environment)
    names = {f"{name}-id": str(inputs.get("name")) for type_, name, inputs in declared if type_.startswith("docker:")}
    resources: Resources = {}
    for type_, name, inputs in declared:
        key = f"Component {name}" if type_.startswith("groundwork:") else f"{type_.rsplit(':', 1)[-1]} {name}"
        resources[key] = {"type": type_, "props": _named(dict(inputs), names)}
    return resources


def _named(value: Any, names: Mapping[str, str]) -> Any:
    """A value with containers meant by their names: the ids of mocks come from nowhere that a policy is told."""
    if isinstance(value, dict):
        return {key: _named(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    prefix, separator, id_ = value.rpartition(":") if isinstance(value, str) else ("", "", value)
    return f"{prefix}{separator}{names[id_]}" if id_ in names else value


@pytest.mark.parametrize("environment", committed())
def test_a_committed_environment_has_no_finding(environment: str) -> None:
    assert judge(_resources(environment), environment=environment) == {}
