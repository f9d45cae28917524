"""A Pulumi program that declares the resources of resources.json, and asks neither cluster nor engine: at preview the
provider for Kubernetes would only write files, and that for Docker only reads what is there already.

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


def _inputs(value: Any, *sources: pulumi.Resource) -> Any:
    """Values as a program has them; what is marked unknown becomes an output that only `up` would know.

    `sources`: the resources that each of its parts is an output of."""
    if isinstance(value, dict):
        return {key: _inputs(one, *sources) for key, one in value.items()}
    if isinstance(value, list):
        return [_inputs(one, *sources) for one in value]
    if sources or value == UNKNOWN:
        known = value != UNKNOWN
        return pulumi.Output(set(sources), _future(value if known else None), _future(known))
    return value


def declare(resources: dict[str, Any]) -> None:
    """Declare each resource under its name, components and providers first."""
    provider = k8s.Provider("rendered", render_yaml_to_directory="rendered")
    made: dict[str, pulumi.Resource] = {}
    engine: pulumi.ProviderResource | None = None
    for name, resource in resources.items():
        sources = {key: [made[source]] for key, source in resource.get("sources", {}).items()}
        type_ = resource["type"]
        props = {key: _inputs(value, *sources.get(key, ())) for key, value in resource["props"].items()}
        if type_ == "pulumi:providers:docker":
            engine = pulumi.ProviderResource("docker", name, props)
        elif type_.startswith("docker:"):
            options = pulumi.ResourceOptions(provider=engine, protect=resource.get("protect"))
            made[name] = pulumi.CustomResource(type_, name, props, options)
        elif name.startswith("Component "):
            pulumi.ComponentResource(type_, name.removeprefix("Component "), props)
        elif type_.startswith("kubernetes:"):
            _, version, kind = type_.split(":")
            head = {"apiVersion": version.removeprefix("core/"), "kind": kind}
            pulumi.CustomResource(type_, name, {**head, **props}, pulumi.ResourceOptions(provider=provider))


if __name__ == "__main__":
    declare(json.loads(Path("resources.json").read_text(encoding="utf-8")))
