"""The pod of a workload: hardened, placed, probed, with its files mounted. Pure.

Meets the `restricted` level of the Kubernetes Pod Security Standards.
"""

from collections.abc import Mapping
from posixpath import basename, dirname

from components.core.site import Placement
from components.core.types import bytes_of
from components.core.workload import Container, Probe, Workload
from components.targets.kubernetes.labels import Manifest
from components.targets.kubernetes.placement import ZONE, region_affinity, zone_spread

_LOGS = 256
"""Mebibytes for the logs of one container; without a limit one pod can evict its neighbours."""
_ZONE_OF_POD = {"apiVersion": "v1", "fieldPath": f"metadata.labels['{ZONE}']"}
"""A pod has the zone of its node from Kubernetes 1.35 on; before, the variable is empty. KEP-4742."""


def pod_template(
    workload: Workload, placement: Placement, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> Manifest:
    """The template from which a StatefulSet or Deployment makes pods."""
    minimum = workload.autoscale.minimum if workload.autoscale else workload.replicas
    return {
        "metadata": {"labels": dict(labels), "annotations": dict(annotations)},
        "spec": {
            "serviceAccountName": workload.account or workload.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": workload.grace_seconds,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": workload.uid,
                "runAsGroup": workload.uid,
                "fsGroup": workload.uid,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "affinity": {"nodeAffinity": region_affinity(placement)},
            "topologySpreadConstraints": zone_spread(
                workload.service, placement, minimum, not workload.stateful, workload.part
            ),
            "containers": [_container(container, workload) for container in workload.containers],
            "volumes": _volumes(workload),
        },
    }


def _container(container: Container, workload: Workload) -> Manifest:
    # The limits of a pod's containers add up, and its scratch space counts against the sum.
    scratch = sum(bytes_of(s.size) for s in workload.scratch) if container is workload.containers[0] else 0
    ephemeral = f"{_LOGS + -(-scratch // 2**20)}Mi"
    manifest: Manifest = {
        "name": container.name,
        "image": container.image,
        "imagePullPolicy": "IfNotPresent",
        "resources": {
            "requests": {"cpu": container.cpu, "memory": container.memory, "ephemeral-storage": ephemeral},
            "limits": {"memory": container.memory, "ephemeral-storage": ephemeral},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "readinessProbe": _probe(container.readiness),
        "livenessProbe": _probe(container.liveness),
        "volumeMounts": _mounts(container, workload),
    }
    if workload.drain_seconds and container is workload.containers[0]:
        manifest["lifecycle"] = {"preStop": {"sleep": {"seconds": workload.drain_seconds}}}
    if container.startup:
        manifest["startupProbe"] = _probe(container.startup)
    if container.command:
        manifest["command"] = list(container.command)
    if container.args:
        manifest["args"] = list(container.args)
    variables: list[Manifest] = [{"name": name, "value": value} for name, value in sorted(container.env.items())]
    if container.zone_variable:
        variables.append({"name": container.zone_variable, "valueFrom": {"fieldRef": _ZONE_OF_POD}})
    if variables:
        manifest["env"] = variables
    if container.listeners:
        manifest["ports"] = [{"name": x.name, "containerPort": x.port, "protocol": "TCP"} for x in container.listeners]
    return manifest


def _probe(probe: Probe) -> Manifest:
    check: Manifest = (
        {"exec": {"command": list(probe.command)}}
        if probe.command
        else {"httpGet": {"path": probe.path, "port": probe.port, "scheme": "HTTPS"}}
    )
    return {
        **check,
        "periodSeconds": probe.period,
        "timeoutSeconds": probe.timeout,
        "failureThreshold": probe.failures,
    }


def _directories(workload: Workload) -> dict[str, str]:
    """For each directory that holds files, the name of its volume."""
    paths = [file.path for file in workload.files] + [secret.path for secret in workload.secrets]
    return {directory: f"files-{index}" for index, directory in enumerate(dict.fromkeys(map(dirname, paths)))}


def _mounts(container: Container, workload: Workload) -> list[Manifest]:
    files: list[Manifest] = [
        {"name": volume, "mountPath": directory, "readOnly": True}
        for directory, volume in _directories(workload).items()
    ]
    volumes: list[Manifest] = [{"name": v.name, "mountPath": v.path} for v in workload.volumes]
    mounts = files + volumes + [{"name": s.name, "mountPath": s.path} for s in workload.scratch]
    return [mount for mount in mounts if not container.mounts or mount["mountPath"] in container.mounts]


def _volumes(workload: Workload) -> list[Manifest]:
    """One projected volume per directory of files, and scratch space; claims come from the StatefulSet."""
    files: list[Manifest] = [
        {"name": volume, "projected": {"defaultMode": 0o440, "sources": _sources(workload, directory)}}
        for directory, volume in _directories(workload).items()
    ]
    return files + [{"name": s.name, "emptyDir": {"sizeLimit": s.size}} for s in workload.scratch]


def _sources(workload: Workload, directory: str) -> list[Manifest]:
    config = [
        {"key": basename(file.path), "path": basename(file.path), "mode": file.mode}
        for file in workload.files
        if dirname(file.path) == directory
    ]
    secrets: dict[str, list[Manifest]] = {}
    for secret in workload.secrets:
        if dirname(secret.path) == directory:
            item: Manifest = {"key": secret.slot, "path": basename(secret.path)}
            secrets.setdefault(secret.kept_in or workload.name, []).append(item)
    found: list[Manifest] = [{"configMap": {"name": workload.name, "items": config}}] if config else []
    return found + [{"secret": {"name": name, "items": items}} for name, items in secrets.items()]
