"""The environment of the live tests on a real node, with a cluster of its own that ends with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.live.deployment_node import NodeDeployment
from tests.live.environment import MAIN, Live, Say, content_of, judge_as_local
from tests.support.checkout import Checkout

_PORT = 443
"""Of the gateway's service."""
_SMALL: dict[str, Any] = {
    # Three instances and a pooler of two beside everything else, on a machine with two cores.
    "replicas": 3,
    "resources": {"memory": "512Mi"},
    "pooler": {"resources": {"cpu": "50m", "memory": "128Mi"}},
}
_CPU = "20m"
"""Reserved for each server: two cores have room for all of them only so."""


class NodeLive(Live):
    """A running environment on a node of its own."""

    deployment: NodeDeployment

    def down(self) -> None:
        """Take it away, and its cluster. Raises AssertionError where anything is left."""
        try:
            super().down()
        finally:
            self._say("deleting the cluster with a real node")
            left = self.deployment.end()
        assert not left, f"left behind: {', '.join(left)}"


def prepare_node(name: str, folder: Path, say: Say, stage: str = MAIN) -> NodeLive:
    """A private checkout with the environment's file in it, for its own cluster. Starts nothing."""
    checkout = Checkout.copy(folder / "groundwork", folder / "state")
    (checkout.root / f"Pulumi.{name}.yaml").write_text(json.dumps(_content(stage)), encoding="utf-8")
    judge_as_local(checkout, name)
    return NodeLive(name, checkout, NodeDeployment(name, checkout), _PORT, say)


def _content(stage: str) -> dict[str, Any]:
    """The same services with less reserved, the database replicated, and no port of this machine taken."""
    content = content_of(stage)
    environment, services = (content["config"][f"groundwork:{part}"] for part in ("environment", "services"))
    del environment["docker"], services["gateway"]["publish"]
    environment |= {"target": "kubernetes", "cluster": "node"}
    environment["placement"] |= {"zones": 1}
    if "postgres" in services:
        services["postgres"] |= _SMALL
    for service in services.values():
        service["resources"] = {**service.get("resources", {}), "cpu": _CPU}
    return content
