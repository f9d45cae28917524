"""What a real cluster has beside nodes: name resolution as the service `kube-dns`, and CloudNativePG's operator.

Objects are applied by kubectl; the operator's come from its own release manifest.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from toolchain import kubectl
from toolchain.cluster_files import Profile, binary, folder
from toolchain.errors import ToolchainError
from toolchain.kube_api import KubeApi
from toolchain.node.images import DNS, OPERATOR, Image
from toolchain.node.network import Network
from toolchain.node.pins import OPERATOR_MANIFEST, OPERATOR_TOOL

DEPLOYMENTS = ("kube-system/coredns", "cnpg-system/cnpg-controller-manager")
LABELS = {"k8s-app": "kube-dns"}
# Names that are not the cluster's do not exist; an answer comes at once instead of after a time limit.
COREFILE = """
cluster.local in-addr.arpa ip6.arpa {
    errors
    health
    ready
    kubernetes {
        pods insecure
    }
    loadbalance
}
. {
    errors
    template ANY ANY {
        rcode NXDOMAIN
    }
}
"""
CONFIGURED = "groundwork.dev/corefile-sha256"
PULL_ALWAYS = "imagePullPolicy: Always"


def documents(network: Network, images: Mapping[str, Image]) -> list[str]:
    """What `apply` applies: the manifests as text, ours as JSON."""
    ours = {"apiVersion": "v1", "kind": "List", "items": name_service(network, images[DNS].reference)}
    manifest = binary(OPERATOR_TOOL, OPERATOR_MANIFEST).read_text(encoding="utf-8")
    upstream = f"ghcr.io/cloudnative-pg/cloudnative-pg:{OPERATOR_TOOL.version}"
    return [json.dumps(ours), own_image(manifest, upstream, images[OPERATOR].reference)]


def fingerprint(texts: list[str]) -> str:
    """Tells later whether the same was applied."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def apply(profile: Profile, texts: list[str]) -> None:
    """Server-side apply; raises ToolchainError with kubectl's own words."""
    program = kubectl.program()
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder(profile)),
        **kubectl.variables(profile),
    }
    for text in texts:
        words = [str(program), "apply", "--server-side", "--force-conflicts", "--filename=-"]
        done = subprocess.run(words, input=text, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolchainError(f"node: kubectl could not apply its objects:\n    {done.stderr.strip()}")


def waiting_for(api: KubeApi) -> list[str]:
    """The deployments that are not available yet, as `namespace/name`."""
    missing = []
    for name in DEPLOYMENTS:
        space, _, deployment = name.partition("/")
        found = api.get(f"/apis/apps/v1/namespaces/{space}/deployments/{deployment}")
        status = found.get("status", {})
        fresh = status.get("observedGeneration") == found["metadata"]["generation"]
        if not fresh or status.get("updatedReplicas") != 1 or status.get("availableReplicas") != 1:
            missing.append(name)
    return missing


def own_image(manifest: str, upstream: str, reference: str) -> str:
    """The operator's manifest with our image, which is on the node and in no registry.

    Text is replaced, since there is no YAML in the standard library. Raises ToolchainError when it is not there.
    """
    if upstream not in manifest or PULL_ALWAYS not in manifest:
        raise ToolchainError(f"{OPERATOR_MANIFEST}: {upstream} with {PULL_ALWAYS} expected, but not in it")
    return manifest.replace(upstream, reference).replace(PULL_ALWAYS, "imagePullPolicy: IfNotPresent")


def name_service(network: Network, image: str) -> list[dict[str, Any]]:
    """CoreDNS. Kubernetes documentation, "Customizing DNS Service"; CoreDNS's, plugin "kubernetes"."""
    meta = {"name": "coredns", "namespace": "kube-system"}
    subject = {"kind": "ServiceAccount", **meta}
    reads = [
        {"apiGroups": [""], "resources": ["namespaces", "pods", "services"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": COREFILE.lstrip()}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:coredns"},
            "rules": reads,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [subject],
        },
        _dns_service(str(network.dns)),
        _dns_deployment(image),
    ]


def _dns_service(address: str) -> dict[str, Any]:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": LABELS},
        "spec": {"clusterIP": address, "selector": LABELS, "ports": ports},
    }


def _dns_deployment(image: str) -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 30},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        # Its own names come from nowhere else.
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "coredns", "namespace": "kube-system", "labels": LABELS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            # Another configuration is another pod.
            "template": {
                "metadata": {"labels": LABELS, "annotations": {CONFIGURED: fingerprint([COREFILE])}},
                "spec": pod,
            },
        },
    }
