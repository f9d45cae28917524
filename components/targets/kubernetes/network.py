"""Network policies from the graph: everything is closed but its edges. Pure.

Kubernetes documentation, "Network Policies".
"""

from collections.abc import Iterable, Sequence

from components.core.bindings import Reach
from components.core.workload import Workload
from components.targets.kubernetes.labels import Manifest, instance_selector

_DNS: Manifest = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}

ANYWHERE: Manifest = {"ipBlock": {"cidr": "0.0.0.0/0"}}
"""Peer of a rule to what is no pod, and has a name instead of an address."""


def deny_all() -> Manifest:
    """Spec that selects every pod of the namespace and allows nothing."""
    return {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def edges_only(name: str, ingress: Sequence[Manifest], egress: Sequence[Manifest]) -> Manifest:
    """Spec that opens just these rules for the pods of one service; whoever connects out may resolve names."""
    return {
        "podSelector": instance_selector(name),
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(ingress),
        "egress": [*egress, _DNS] if egress else [],
    }


def from_services(callers: Iterable[Reach]) -> list[Manifest]:
    """Ingress rules: each caller to its ports."""
    return [{"from": [{"podSelector": instance_selector(c.service)}], "ports": _ports(c.ports)} for c in callers]


def to_services(reaches: Iterable[Reach]) -> list[Manifest]:
    """Egress rules: each reached service on its ports, wherever one outside may be."""
    return [{"to": [_peer(reach)], "ports": _ports(reach.ports)} for reach in reaches]


def policy_of(workload: Workload) -> Manifest:
    """Spec of a workload's own policy."""
    itself = [Reach(workload.service, workload.peers)] if workload.peers else []
    ingress = from_services([*workload.callers, *itself])
    if workload.public:
        ports = tuple(listener.port for listener in workload.listeners if listener.service)
        ingress.append({"ports": _ports(ports)})
    edges = edges_only(workload.service, ingress, to_services([*workload.reaches, *itself]))
    return {**edges, "podSelector": instance_selector(workload.service, workload.part)}


def _peer(reach: Reach) -> Manifest:
    return ANYWHERE if reach.outside else {"podSelector": instance_selector(reach.service)}


def _ports(ports: Iterable[int]) -> list[Manifest]:
    return [{"protocol": "TCP", "port": port} for port in ports]
