"""States of stacks as `pulumi stack export --show-secrets` prints them, made of what a program declares."""

from __future__ import annotations

import json
from typing import Any

from stacks.export.deployed import Resource, resources_of
from tests.support.deployed import SECRET
from tests.support.recording import Recorded


def exported(recorded: list[Recorded], **after: list[str]) -> list[Resource]:
    """The objects of a state in which all of this is deployed. `after`: names that a resource had to wait for."""
    urns = {resource.name: resource.urn for resource in recorded}
    entries = [
        {
            "urn": resource.urn,
            "type": resource.type,
            "id": f"{resource.name}-id",
            "inputs": _stored(resource.inputs),
            "dependencies": [urns[name] for name in after.get(resource.name.replace("-", "_"), [])],
        }
        for resource in recorded
    ]
    return resources_of({"resources": entries})


def _stored(value: Any) -> Any:
    """Secrets with their text as JSON, and the whole numbers of which the recording makes fractions."""
    if isinstance(value, dict):
        if SECRET in value:
            return {SECRET: value[SECRET], "plaintext": json.dumps(_stored(value["value"]))}
        return {key: _stored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_stored(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
