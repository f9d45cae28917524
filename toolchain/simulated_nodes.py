"""The nodes of the embedded cluster: ordinary Node objects whose kubelet is simulated by kwok.

Two in each of three zones of the environment's region and two in another region, so that the scheduler has both right
and wrong places to choose from. They carry the well-known topology labels and no taint, since ordinary pods must be
placed. A pod here becomes Ready without any process being started.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from typing import Any

from toolchain.errors import ToolchainError
from toolchain.kube_api import ApiError, KubeApi
from toolchain.tool import MACHINES

DEFAULT_REGION = "eu-central-1"
DEFAULT_OTHER_REGION = "eu-west-1"
REGION_FORM = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "110", "ephemeral-storage": "100Gi"}


@dataclass(frozen=True)
class SimulatedNode:
    """One node and its place."""

    region: str
    zone: str
    number: int

    @property
    def name(self) -> str:
        """For example `eu-central-1a-1`."""
        return f"{self.zone}-{self.number}"


def other_than(region: str) -> str:
    """The region of the two nodes that lie elsewhere, when none is given."""
    return DEFAULT_OTHER_REGION if region != DEFAULT_OTHER_REGION else DEFAULT_REGION


def plan_nodes(region: str, other_region: str) -> tuple[SimulatedNode, ...]:
    """Two nodes in each of three zones of `region`, one in each of two zones of `other_region`.

    Raises ToolchainError for names that are no regions or equal.
    """
    wrong = [name for name in (region, other_region) if not REGION_FORM.fullmatch(name)]
    if wrong:
        raise ToolchainError(
            f"region: {', '.join(map(repr, wrong))} given; lower-case letters, digits and hyphens, at most 40 "
            "characters, for example eu-central-1"
        )
    if region == other_region:
        raise ToolchainError(f"other region: {region} given, which is the region itself; name a different one")
    home = [SimulatedNode(region, f"{region}{zone}", number) for zone in "abc" for number in (1, 2)]
    away = [SimulatedNode(other_region, f"{other_region}{zone}", 1) for zone in "ab"]
    return (*home, *away)


def manifest(node: SimulatedNode) -> dict[str, Any]:
    """The Node object. Labels: Kubernetes documentation, "Well-Known Labels, Annotations and Taints"."""
    labels = {
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": MACHINES.get(platform.machine().lower(), "amd64"),
        "topology.kubernetes.io/region": node.region,
        "topology.kubernetes.io/zone": node.zone,
        "node-role.kubernetes.io/agent": "",
        "type": "kwok",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "status": {"capacity": CAPACITY, "allocatable": CAPACITY},
    }


def existing(api: KubeApi) -> list[dict[str, Any]]:
    """All Node objects of the cluster."""
    return list(api.get("/api/v1/nodes?resourceVersion=0")["items"] or [])


def is_ready(thing: dict[str, Any]) -> bool:
    """Whether a node, or a pod, has the condition Ready."""
    conditions = thing.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def add_missing(api: KubeApi, nodes: tuple[SimulatedNode, ...]) -> int:
    """Create the nodes that are not there yet; returns how many."""
    present = {node["metadata"]["name"] for node in existing(api)}
    wanted = [node for node in nodes if node.name not in present]
    for node in wanted:
        try:
            api.send("POST", "/api/v1/nodes", manifest(node))
        except ApiError as error:
            if error.status != 409:
                raise
    return len(wanted)


def all_ready(api: KubeApi, nodes: tuple[SimulatedNode, ...]) -> bool:
    """Whether every one of `nodes` is there and ready."""
    ready = {node["metadata"]["name"] for node in existing(api) if is_ready(node)}
    return all(node.name in ready for node in nodes)


def per_zone(nodes: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Zone -> (ready nodes, all nodes), sorted by name."""
    count: dict[str, tuple[int, int]] = {}
    for node in nodes:
        zone = node["metadata"]["labels"].get("topology.kubernetes.io/zone", "none")
        ready, total = count.get(zone, (0, 0))
        count[zone] = (ready + is_ready(node), total + 1)
    return dict(sorted(count.items()))
