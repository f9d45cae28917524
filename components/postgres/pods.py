"""The pods that CloudNativePG makes: how to select them, spread them and label them. Pure.

CloudNativePG documentation, "Labels and annotations" and "Scheduling".
"""

from collections.abc import Mapping

from components.core.site import Placement
from components.postgres.plan import PostgresPlan
from components.targets.kubernetes.labels import DOMAIN, Manifest
from components.targets.kubernetes.placement import zone_spread


def instances_selector(plan: PostgresPlan) -> Manifest:
    """Instances and the jobs that make them; both bear the cluster's label, as does the pooler."""
    no_pooler = {"key": "cnpg.io/podRole", "operator": "NotIn", "values": ["pooler"]}
    return {"matchLabels": {"cnpg.io/cluster": plan.name}, "matchExpressions": [no_pooler]}


def pooler_selector(plan: PostgresPlan) -> Manifest:
    """Pooler pods."""
    return {"matchLabels": {"cnpg.io/poolerName": plan.pooler_name}}


def spread(name: str, placement: Placement, replicas: int, selector: Manifest, rolling: bool = False) -> list[Manifest]:
    """Spread over zones and nodes of the pods that `selector` finds.

    Jobs count as instances: a volume stays in the zone in which its job ran.
    """
    constraints = zone_spread(name, placement, replicas, rolling)
    return [{**constraint, "labelSelector": selector} for constraint in constraints]


def resources(cpu: str, memory: str) -> Manifest:
    """Memory is limited to what is reserved; a core that idles may be used by whoever needs it.

    The operator's documentation, "Resource management", recommends the class Guaranteed, which wants a limit on cores
    too and so throttles servers while the node idles. Kubernetes documentation, "Node-pressure Eviction": a pod that
    stays within its memory request is evicted last without it. Given up: when memory runs out, the kernel need not
    spare the postmaster; another instance takes over.
    """
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": memory}}


def inherited_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of the pods. Name, instance and manager are the operator's own; its instance label is the same as ours."""
    return {k: v for k, v in labels.items() if k.startswith(f"{DOMAIN}/") or k == "app.kubernetes.io/part-of"}
