"""Who may talk to whom around a replicated PostgreSQL: pods that an operator makes, so selected by its labels. Pure.

CloudNativePG documentation, "Networking".
"""

from components.core.bindings import Reach
from components.postgres.plan import PORT, STATUS_PORT, PostgresPlan
from components.postgres.pods import instances_selector, pooler_selector
from components.targets.kubernetes.labels import Manifest
from components.targets.kubernetes.network import ANYWHERE, edges_only, from_services

_OPERATOR = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "cnpg-system"}},
    "podSelector": {"matchLabels": {"app.kubernetes.io/name": "cloudnative-pg"}},
}
_HTTPS = (443, 6443)
"""The API server, by its service and by the port it listens on; a bucket, too, where its address names no other."""


def instances_policy(plan: PostgresPlan) -> Manifest:
    """Instances serve one another, the pooler and the operator; they ask the API server who is primary.

    They also write their backups to a bucket.
    """
    itself = {"podSelector": instances_selector(plan)}
    ingress = [
        {"from": [{"podSelector": pooler_selector(plan)}], "ports": _ports(PORT)},
        {"from": [itself], "ports": _ports(PORT, STATUS_PORT)},
        {"from": [_OPERATOR], "ports": _ports(STATUS_PORT)},
    ]
    egress = [{"to": [itself], "ports": _ports(PORT, STATUS_PORT)}, _https_out(*_bucket_ports(plan))]
    return {**edges_only(plan.name, ingress, egress), "podSelector": instances_selector(plan)}


def pooler_policy(plan: PostgresPlan) -> Manifest:
    """The pooler serves the consumers and nobody else; it reads its configuration from the API server."""
    ingress = from_services([Reach(role, (PORT,)) for role in plan.roles])
    egress = [{"to": [{"podSelector": instances_selector(plan)}], "ports": _ports(PORT)}, _https_out()]
    return {**edges_only(plan.name, ingress, egress), "podSelector": pooler_selector(plan)}


def _bucket_ports(plan: PostgresPlan) -> list[int]:
    backup = plan.spec.backup
    return [backup.bucket_port] if backup and backup.bucket_port not in _HTTPS else []


def _https_out(*more: int) -> Manifest:
    """A policy can't name the API server, which is no pod, nor a bucket; so by port, to any address."""
    return {"to": [ANYWHERE], "ports": _ports(*_HTTPS, *more)}


def _ports(*ports: int) -> list[Manifest]:
    return [{"protocol": "TCP", "port": port} for port in ports]
