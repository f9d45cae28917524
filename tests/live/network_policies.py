"""Network policies that nobody declared, for the control of those that were."""

from __future__ import annotations

from typing import Any


def allowances(source: Any, target: Any) -> list[dict[str, Any]]:
    """The policies that let pod `source` call pod `target` at every port."""
    return [_allow(target, source, "Ingress"), _allow(source, target, "Egress")]


def _allow(one: Any, other: Any, way: str) -> dict[str, Any]:
    """Lets pod `one` be called by, or call, pod `other`. Kubernetes documentation, "Network Policies"."""
    peers = [{"podSelector": {"matchLabels": other["metadata"]["labels"]}}]
    rule = {"from": peers} if way == "Ingress" else {"to": peers}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"opened-{way.lower()}"},
        "spec": {
            "podSelector": {"matchLabels": one["metadata"]["labels"]},
            "policyTypes": [way],
            way.lower(): [rule],
        },
    }
