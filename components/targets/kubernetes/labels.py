"""Labels and selectors of every Kubernetes object: who owns it, what it is part of. Pure."""

from collections.abc import Mapping

from components.core.workload import Workload

DOMAIN = "groundwork.dev"
INSTANCE = "app.kubernetes.io/instance"
_PART = "app.kubernetes.io/component"

Manifest = dict[str, object]


def environment_labels(environment: str, owner: str, data_class: str) -> dict[str, str]:
    """Labels of everything in an environment."""
    return {
        "app.kubernetes.io/part-of": "groundwork",
        "app.kubernetes.io/managed-by": "pulumi",
        f"{DOMAIN}/environment": environment,
        f"{DOMAIN}/owner": owner,
        f"{DOMAIN}/data-class": data_class,
    }


def service_labels(environment: str, name: str, kind: str, owner: str, data_class: str) -> dict[str, str]:
    """Labels of everything that belongs to one service. None of them changes with its version."""
    return {
        "app.kubernetes.io/name": kind,
        INSTANCE: name,
        **environment_labels(environment, owner, data_class),
    }


def workload_labels(environment: str, workload: Workload) -> dict[str, str]:
    """Labels of every object and pod of a workload."""
    labels = service_labels(environment, workload.service, workload.kind, workload.owner, workload.data_class)
    return {**labels, **({_PART: workload.part} if workload.part else {})}


def instance_selector(service: str, part: str = "") -> dict[str, dict[str, str]]:
    """Selects the pods of one service, or of one part of it."""
    return {"matchLabels": {INSTANCE: service, **({_PART: part} if part else {})}}


def metadata(name: str, namespace: str, labels: Mapping[str, str], **more: object) -> dict[str, object]:
    """Object metadata."""
    return {"name": name, "namespace": namespace, "labels": dict(labels), **more}
