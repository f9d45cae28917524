"""Repairs a stack's state after a killed run, so that the next `up` finds what the last one made.

A killed `up` leaves operations pending: whether the object was made is not in state. Every Kubernetes object has a name
of its own, so its id is known without asking: it is put into state as if it had been made, and a refresh drops those
that don't exist. An object of a Docker engine has an id that nobody noted, and holds nothing yet: it is removed by its
name. What lives in state alone (keys, passwords) is simply made again.
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
    place.mend()
    state = pulumi.read("stack", "export")
    deployment = state.get("deployment") or {}
    operations = list(deployment.get("pending_operations") or ())
    if operations:
        pulumi.say(f"The last run was interrupted: settling {len(operations)} unfinished operation(s) first.")
        # First what asks for the lock: what is pending may be another's work of this moment.
        pulumi.write_state({**state, "deployment": _settled(deployment)})
        for kind, name in _half_made(operations):
            place.remove(kind, name)
    if operations or fresh or place.is_missing_any(_containers(deployment)):
        pulumi.run("refresh", "--yes", "--skip-preview")


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


def _settled(deployment: dict[str, Any]) -> dict[str, Any]:
    """The state with every object of a cluster that may have been made, and nothing pending.

    What was being changed or removed is among its resources anyway. The option `--import-pending-creates` of a refresh
    is no way to get there: pulumi 3.259 takes such an operation out of state without looking for the object.
    """
    resources = list(deployment.get("resources") or ())
    known = {resource["urn"] for resource in resources}
    for operation in deployment["pending_operations"]:
        resource = operation["resource"]
        identity = _kubernetes_id(resource)
        # Of one that was being replaced the former self is still there, under the same name.
        if operation["type"] == "creating" and identity and resource["urn"] not in known:
            resources.append({**resource, "id": identity})
    return {**deployment, "resources": resources, "pending_operations": []}


def _kubernetes_id(resource: dict[str, Any]) -> str:
    """`namespace/name`, or the name of what lives in no namespace; empty for what is no Kubernetes object."""
    if not resource["type"].startswith("kubernetes:"):
        return ""
    metadata = resource.get("inputs", {}).get("metadata", {})
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])
