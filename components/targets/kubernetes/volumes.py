"""What becomes of the volumes of StatefulSets: they grow under running pods, and go with a set that nobody protects.

A set's claim templates can't be changed. Pulumi's provider would replace the set together with its pods, and the claims
stay as small as they were. So before the component of a service changes whose volumes shall grow, its claims are given
the new size, and the set is deleted without its pods. The provider then finds no set to delete, and makes one that
adopts them. Kubernetes documentation, "Expanding Persistent Volumes Claims" and "Delete a StatefulSet".
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.runtime.rpc import UNKNOWN

from components.core.changes import Kept, grown
from components.core.component import Component
from components.core.types import bytes_of
from components.core.workload import Workload
from components.targets.kubernetes.cluster import Cluster
from components.targets.kubernetes.kubectl import kubectl


class Volumes:
    """The volumes of the sets in one namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._sets: dict[str, dict[str, dict[str, str]]] = {}
        """Sizes of the volumes of each set of each service."""

    def declare(self, parent: Component, workload: Workload, manifest: Any) -> None:
        """Complete the manifest of a set, in place."""
        sizes = {volume.name: volume.size for volume in workload.volumes}
        self._sets.setdefault(parent.name, {})[workload.name] = sizes
        if workload.volumes and not parent.spec.deletion_protection:
            # A set that takes its place would else find them again.
            manifest["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] = "Delete"
        if parent.name in parent.context.site.reshaped and pulumi.runtime.is_dry_run():
            # A preview has the server try each object, and it refuses a set of another shape while the old one is
            # there. What is not wholly known is not tried; nobody else looks at this part.
            manifest["status"] = {"observedGeneration": UNKNOWN}

    async def grow(self, args: pulumi.ResourceHookArgs) -> None:
        """Before the component of a service changes. By then every set is declared. Raises KubectlError."""
        after = Kept(growing=(args.new_inputs or {})["growing"])
        if grown(args.old_inputs or {}, after):
            for name, sizes in self._sets.get(args.name, {}).items():
                await asyncio.to_thread(self._grow, name, sizes)

    def _grow(self, workload: str, sizes: Mapping[str, str]) -> None:
        """Claims first: where the cluster refuses that, the set is left alone."""
        for name, claim in self._read("persistentvolumeclaims").items():
            size = _size(workload, sizes, name)
            if size and bytes_of(size) > _requested(claim):
                change = json.dumps({"spec": {"resources": {"requests": {"storage": size}}}})
                self._run("patch", "persistentvolumeclaim", name, "--type=merge", f"--patch={change}")
        found = self._read("statefulsets").get(workload, {"spec": {}})
        templates = found["spec"].get("volumeClaimTemplates", ())
        if any(bytes_of(sizes.get(_name(one), "0")) > _requested(one) for one in templates):
            self._run("delete", "statefulset", workload, "--cascade=orphan", "--ignore-not-found")

    def _read(self, kind: str) -> dict[str, Any]:
        """Every object of a kind in the namespace, by its name."""
        return {_name(item): item for item in json.loads(self._run("get", kind, "--output=json"))["items"]}

    def _run(self, *words: str) -> str:
        return kubectl(self._cluster, "--namespace", self._namespace, *words)


def _size(workload: str, sizes: Mapping[str, str], claim: str) -> str:
    """What a claim shall have; empty for that of another. A set's are named `{template}-{set}-{ordinal}`."""
    start, _, ordinal = claim.rpartition("-")
    found = (size for volume, size in sizes.items() if start == f"{volume}-{workload}")
    return next(found, "") if ordinal.isdigit() else ""


def _name(item: Mapping[str, Any]) -> str:
    return str(item["metadata"]["name"])


def _requested(claim: Mapping[str, Any]) -> int:
    return bytes_of(claim["spec"]["resources"]["requests"]["storage"])
