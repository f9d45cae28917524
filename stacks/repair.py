"""Repairs a stack's state after a killed run, so that the next `up` finds what the last one made.

A killed `up` leaves operations pending: whether the object was made is not in state. Every Kubernetes object has a name
of its own, so its id is known without asking; a refresh then keeps those that exist and drops those that don't. What
lives in state alone (keys, passwords) is simply made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stacks.pulumi_cli import Pulumi


def repair(pulumi: Pulumi, refresh: bool) -> None:
    """Settle pending operations. `refresh`: read the cluster even if there are none, since it may be another one."""
    operations = _pending(pulumi)
    if operations:
        pulumi.say(f"The last run was interrupted: settling {len(operations)} unfinished operation(s) first.")
    if operations or refresh:
        pulumi.run("refresh", "--yes", "--skip-preview", *_imports(operations), "--clear-pending-creates")


def _pending(pulumi: Pulumi) -> list[dict[str, Any]]:
    deployment = pulumi.read("stack", "export").get("deployment") or {}
    return list(deployment.get("pending_operations") or ())


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
