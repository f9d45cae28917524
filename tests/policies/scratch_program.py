"""A Pulumi program that declares the resources of resources.json, and asks no cluster: the provider would write files.

Copied beside that file and run by the engine.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def _future(value: Any) -> "asyncio.Future[Any]":
    future: asyncio.Future[Any] = asyncio.get_event_loop().create_future()
    future.set_result(value)
    return future


def _inputs(value: Any) -> Any:
    """Values as a program has them; what is marked unknown becomes an output that only `up` would know."""
    if isinstance(value, dict):
        return {key: _inputs(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_inputs(one) for one in value]
    return pulumi.Output(set(), _future(None), _future(False)) if value == UNKNOWN else value  # noqa: FBT003


def declare(resources: dict[str, Any]) -> None:
    """Declare each resource under its name, components first."""
    provider = k8s.Provider("rendered", render_yaml_to_directory="rendered")
    for name, resource in resources.items():
        type_, props = resource["type"], _inputs(resource["props"])
        if name.startswith("Component "):
            pulumi.ComponentResource(type_, name.removeprefix("Component "), props)
        elif type_.startswith("kubernetes:"):
            _, version, kind = type_.split(":")
            head = {"apiVersion": version.removeprefix("core/"), "kind": kind}
            pulumi.CustomResource(type_, name, {**head, **props}, pulumi.ResourceOptions(provider=provider))


if __name__ == "__main__":
    declare(json.loads(Path("resources.json").read_text(encoding="utf-8")))
