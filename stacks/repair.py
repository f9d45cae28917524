"""Repairs a stack's state after a killed run, so that the next `up` finds what the last one made.

A killed `up` leaves operations pending: whether the object was made is not in state. Every Kubernetes object has a name
of its own, so its id is known without asking; a refresh then keeps those that exist and drops those that don't. An
object of a Docker engine has an id that nobody noted, and holds nothing yet: it is removed by its name. What lives in
state alone (keys, passwords) is simply made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacks.places import Place
    from stacks.pulumi_cli import Pulumi

_CONTAINER = "docker:index/container:Container"


def repair(pulumi: Pulumi, place: Place, fresh: bool) -> None:
    """Settle pending operations. `fresh`: the place is new and empty, so nothing of what state tells is there."""
    deployment = pulumi.read("stack", "export").get("deployment") or {}
    operations = list(deployment.get("pending_operations") or ())
    if operations:
        pulumi.say(f"The last run was interrupted: settling {len(operations)} unfinished operation(s) first.")
        for kind, name in _half_made(operations):
            place.remove(kind, name)
    if operations or fresh or place.is_missing_any(_containers(deployment)):
        pulumi.run("refresh", "--yes", "--skip-preview", *_imports(operations), "--clear-pending-creates")


def _half_made(operations: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Kind and name of objects of a Docker engine that may have been made."""
    for operation in operations:
        kind = operation["resource"]["type"]
        if operation["type"] == "creating" and kind.startswith("docker:index/"):
            yield kind.rpartition(":")[2].lower(), str(operation["resource"]["inputs"]["name"])


def _containers(deployment: dict[str, Any]) -> dict[str, bool]:
    """Names of the containers that state tells of, and whether each must run."""
    found = (r["inputs"] for r in deployment.get("resources") or () if r["type"] == _CONTAINER)
    return {str(inputs["name"]): bool(inputs.get("mustRun", True)) for inputs in found}


def _imports(operations: list[dict[str, Any]]) -> Iterator[str]:
    for operation in operations:
        resource = operation["resource"]
        identity = _kubernetes_id(resource)
        if operation["type"] == "creating" and identity:
            yield from ("--import-pending-creates", resource["urn"], "--import-pending-creates", identity)


def _kubernetes_id(resource: dict[str, Any]) -> str:
    """`namespace/name`, or the name of what lives in no namespace; empty for what is no Kubernetes object."""
    if not resource["type"].startswith("kubernetes:"):
        return ""
    metadata = resource.get("inputs", {}).get("metadata", {})
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
