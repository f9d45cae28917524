"""What earlier runs of this stack have said of what they made. Reads state through the engine, and changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components.core.problems import ConfigError, Problem

Facts = Mapping[str, Any]
INVENTORY = "inventory"
"""Output of the stack with the facts of every component."""
_OURS = "groundwork:"
_STACK = "pulumi:pulumi:Stack"
_READ = "pulumi:pulumi:readStackResourceOutputs"


@dataclass(frozen=True)
class Deployed:
    """What there is, also after a run that was killed."""

    facts: Mapping[str, Facts]
    """Facts of each component by its name, as the last run that changed it registered them."""
    unfinished: frozenset[str]
    """Components that a run has begun to change or make, and not come to its end. Facts of one that has not registered
    its new ones are those of the last run that did come to its end, if any."""


def read_deployed() -> Deployed:
    """What earlier runs have made. Raises ConfigError where state can't be read.

    The outputs of a stack would be had for a tenth of the time, but a run that is killed leaves those of the run before
    it. Components register theirs before anything below them is made or changed: where the two differ, that run has
    not ended.
    """
    resources = _resources()
    stack = next((outputs for kind, _, outputs in resources if kind == _STACK), {})
    rows = {row["name"]: row for row in stack.get(INVENTORY, ())}
    ours = {name: outputs for kind, name, outputs in resources if kind.startswith(_OURS)}
    found = {name: outputs or rows.get(name) for name, outputs in ours.items()}
    unfinished = frozenset(name for name, outputs in ours.items() if not outputs or not _tells(rows.get(name), outputs))
    return Deployed({name: facts for name, facts in found.items() if facts}, unfinished)


def _tells(row: Facts | None, outputs: Facts) -> bool:
    """Whether a row of the inventory has the facts that its component has registered."""
    return row is not None and all(outputs.get(key) == fact for key, fact in row.items() if key != "name")


def _resources() -> list[tuple[str, str, dict[str, Any]]]:
    """Type, name and outputs of each resource. On a backend of one's own a stack's name needs no organization."""
    organization, stack = pulumi.get_organization(), pulumi.get_stack()
    name = stack if organization == "organization" else f"{organization}/{pulumi.get_project()}/{stack}"
    try:
        found = pulumi.runtime.invoke(_READ, {"stackName": name}).value["outputs"]
    except Exception as error:  # noqa: BLE001 (the SDK raises nothing more specific)
        text = f"{stack} given; what is deployed there can't be read, so nothing can be compared with it: {error}"
        raise ConfigError([Problem("stack", text)]) from None
    wanted = {urn: one for urn, one in found.items() if one["type"] == _STACK or one["type"].startswith(_OURS)}
    return [(one["type"], urn.rpartition("::")[2], _plain(one["outputs"])) for urn, one in wanted.items()]


def _plain(value: Any) -> Any:
    """What the engine hands over has no whole numbers; they become so again."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
