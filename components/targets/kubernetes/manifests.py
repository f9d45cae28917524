"""Workload -> Kubernetes manifests, as plain data: golden files show exactly what is deployed. Pure."""

import hashlib
import json
from collections.abc import Mapping
from posixpath import basename

from components.core.site import Placement
from components.core.types import shortest
from components.core.workload import Listener, Workload
from components.targets.kubernetes.labels import DOMAIN, Manifest, instance_selector, metadata, workload_labels
from components.targets.kubernetes.network import policy_of
from components.targets.kubernetes.pods import pod_template

SECRET_HASH = f"{DOMAIN}/secret-hash"


def render_workload(
    workload: Workload, environment: str, namespace: str, placement: Placement, storage_class: str, load_balancer: bool
) -> dict[str, Manifest]:
    """Every object of a workload by its role; the Secret's values are empty and filled by whoever creates it."""
    labels = workload_labels(environment, workload)
    meta = metadata(workload.name, namespace, labels)
    manifests: dict[str, Manifest] = {
        "network": {**_head("networking.k8s.io/v1", "NetworkPolicy", meta), "spec": policy_of(workload)},
    }
    if not workload.account:
        account = metadata(workload.name, namespace, labels, **_annotations(workload.identity))
        manifests["account"] = {**_head("v1", "ServiceAccount", account), "automountServiceAccountToken": False}
    if not workload.background:
        manifests["disruption"] = {
            **_head("policy/v1", "PodDisruptionBudget", meta),
            "spec": {"maxUnavailable": 1, "selector": instance_selector(workload.service, workload.part)},
        }
    if workload.files:
        manifests["config"] = {**_head("v1", "ConfigMap", meta), "data": _config_data(workload)}
    if workload.slots:
        manifests["secret"] = {
            **_head("v1", "Secret", meta),
            "type": "Opaque",
            "data": dict.fromkeys(workload.slots, ""),
        }
    if any(listener.service for listener in workload.listeners):
        manifests["service"] = {**_head("v1", "Service", meta), "spec": _service(workload, load_balancer)}
    if workload.stateful or workload.headless:
        peers = metadata(f"{workload.name}-peers", namespace, labels)
        manifests["peers"] = {**_head("v1", "Service", peers), "spec": _peers(workload)}
    if workload.autoscale:
        manifests["scale"] = {**_head("autoscaling/v2", "HorizontalPodAutoscaler", meta), "spec": _scale(workload)}
    manifests["set"] = _set(workload, meta, labels, placement, storage_class)
    return manifests


def config_hash(workload: Workload) -> str:
    """Changes exactly when a configuration file does, so that the pods restart then and only then."""
    return hashlib.sha256(json.dumps(_config_data(workload), sort_keys=True).encode()).hexdigest()[:16]


def _annotations(values: Mapping[str, str]) -> Manifest:
    return {"annotations": dict(values)} if values else {}


def _head(api_version: str, kind: str, meta: Manifest) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": meta}


def _config_data(workload: Workload) -> dict[str, str]:
    data = {basename(file.path): file.content for file in workload.files}
    if len(data) != len(workload.files):
        raise ValueError(
            f"{workload.name}: two configuration files share a name: {sorted(f.path for f in workload.files)}"
        )
    return data


def _ports(workload: Workload, service_only: bool) -> list[Manifest]:
    return [
        {
            "name": x.name,
            "port": _offered(x, service_only),
            "targetPort": x.name,
            "protocol": "TCP",
            "appProtocol": x.protocol,
        }
        for x in workload.listeners
        if x.service or not service_only
    ]


def _offered(listener: Listener, service_only: bool) -> int:
    return listener.published if service_only and listener.published else listener.port


def _service(workload: Workload, load_balancer: bool) -> Manifest:
    selector = instance_selector(workload.service, workload.part)["matchLabels"]
    service: Manifest = {"type": "ClusterIP", "selector": selector, "ports": _ports(workload, service_only=True)}
    if workload.public and load_balancer:
        # Without `Local` every client has a node's address: limits and balancing by client address would be void.
        service |= {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    return service


def _peers(workload: Workload) -> Manifest:
    """Stateful instances find one another before they are ready, or no quorum could form; clients see ready ones."""
    return {
        "type": "ClusterIP",
        "clusterIP": "None",
        "publishNotReadyAddresses": workload.stateful,
        "selector": instance_selector(workload.service, workload.part)["matchLabels"],
        "ports": _ports(workload, service_only=not workload.stateful),
    }


def _scale(workload: Workload) -> Manifest:
    scale = workload.autoscale
    assert scale is not None
    target = {"type": "Utilization", "averageUtilization": scale.cpu_percent}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": workload.name},
        "minReplicas": scale.minimum,
        "maxReplicas": scale.maximum,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }


def _set(
    workload: Workload, meta: Manifest, labels: Mapping[str, str], placement: Placement, storage_class: str
) -> Manifest:
    annotations = {f"{DOMAIN}/config-hash": config_hash(workload)} if workload.files else {}
    spec: Manifest = {
        "replicas": workload.autoscale.minimum if workload.autoscale else workload.replicas,
        "selector": instance_selector(workload.service, workload.part),
        "template": pod_template(
            workload, placement, {**labels, "app.kubernetes.io/version": workload.version}, annotations
        ),
    }
    if not workload.stateful:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
        return {**_head("apps/v1", "Deployment", meta), "spec": {**spec, "strategy": rolling}}
    spec |= {
        "serviceName": f"{workload.name}-peers",
        "podManagementPolicy": "Parallel" if workload.parallel_start else "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate"},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }
    if workload.volumes:
        # An empty list is not what the server keeps, and a difference here replaces the whole set.
        spec["volumeClaimTemplates"] = [_claim(v.name, v.size, workload, storage_class) for v in workload.volumes]
    return {**_head("apps/v1", "StatefulSet", meta), "spec": spec}


def _claim(name: str, size: str, workload: Workload, storage_class: str) -> Manifest:
    """A claim template can't change once it exists, so it bears no label that may: no owner, no data class."""
    return {
        "metadata": {"name": name, "labels": instance_selector(workload.service, workload.part)["matchLabels"]},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": shortest(size)}},
        },
    }
