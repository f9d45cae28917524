"""The Kubernetes target: a namespace per environment, and the objects of each workload in it.

Creates what `manifests` renders and adds nothing but secret content.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Self

import pulumi
import pulumi_kubernetes as k8s

from components.core.bindings import Instances
from components.core.component import Component
from components.core.site import Names, Placement
from components.core.workload import Listener, Workload
from components.targets.kubernetes.cluster import Cluster
from components.targets.kubernetes.labels import DOMAIN, INSTANCE, Manifest, environment_labels
from components.targets.kubernetes.manifests import SECRET_HASH, render_workload
from components.targets.kubernetes.network import deny_all
from components.targets.kubernetes.placement import volume_topology
from components.targets.kubernetes.volumes import Volumes


class KubernetesNames:
    """Names that resolve in every pod of the cluster, whatever its DNS domain."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def host(self, service: str) -> str:
        """The service's own name."""
        return f"{service}.{self._namespace}.svc"

    def port(self, listener: Listener) -> int:
        """That of the Service."""
        return listener.published or listener.port

    def peer_suffix(self, service: str) -> str:
        """The headless service behind a pod's host name."""
        return f".{service}-peers.{self._namespace}.svc"

    def instances(self, service: str, listener: str, replicas: int) -> Instances:  # noqa: ARG002 (may be scaled)
        """The headless service, which has an SRV record for each instance and named port."""
        return Instances(f"{service}-peers.{self._namespace}.svc", srv=listener)


class Kubernetes:
    """One environment on one cluster: provider, namespace, storage class and default deny."""

    kind = "kubernetes"

    def __init__(self, environment: str, placement: Placement, owner: str, data_class: str, cluster: Cluster) -> None:
        self.environment = environment
        self.namespace = f"groundwork-{environment}"
        self.placement = placement
        self.cluster = cluster
        self.names: Names = KubernetesNames(self.namespace)
        self.storage_class = cluster.storage_class or self.namespace
        self.made: list[pulumi.Resource] = []
        self._volumes = Volumes(cluster, self.namespace)
        self._labels = environment_labels(environment, owner, data_class)
        self._provider = _provider(cluster)
        self._namespace = self._create_namespace()
        self._serving: dict[str, list[pulumi.Resource]] = {}
        self._after: tuple[pulumi.Resource, ...] = ()
        if not cluster.storage_class:
            self._create_storage_class()
        self._create_default_deny()

    def realise(
        self, parent: Component, workload: Workload, secrets: Mapping[str, pulumi.Input[str]]
    ) -> list[pulumi.Resource]:
        """Create every object of the workload below `parent`. Raises KeyError for a slot without content."""
        manifests = render_workload(
            workload, self.environment, self.namespace, self.placement, self.storage_class, self.cluster.load_balancer
        )
        content = {slot: pulumi.Output.from_input(secrets[slot]) for slot in workload.slots}
        if content:
            manifests["secret"]["data"] = {slot: value.apply(_encoded) for slot, value in content.items()}
            if workload.restart_on_secrets:
                _annotate_pods(manifests["set"], SECRET_HASH, _digest(content))
        if workload.stateful:
            self._volumes.declare(parent, workload, manifests["set"])
        # The autoscaler owns the size once it has changed it; an update must not set it back.
        leave = ["spec.replicas"] if workload.autoscale else []
        pods = manifests.pop("set")
        made = [self.create(parent, f"{workload.name}-{role}", manifest) for role, manifest in manifests.items()]
        # Pods that start before what they read would read what there was, or wait for it in one of Pulumi's workers.
        name, awaited = f"{workload.name}-set", not workload.background
        return [*made, self.create(parent, name, pods, leave, after=made, awaited=awaited)]

    def growth(self) -> pulumi.ResourceHookBinding:
        """Volumes that grow are given their new size, and their set is deleted without its pods."""
        return pulumi.ResourceHookBinding(before_update=[self._volumes.grow])

    def following(self, services: Iterable[str]) -> Self:
        """The same target, for what must start after these services can serve."""
        later = copy(self)
        later._after = tuple(resource for service in services for resource in self._serving.get(service, ()))
        return later

    def create(
        self,
        parent: Component,
        name: str,
        manifest: Manifest,
        leave: Sequence[str] = (),
        after: Sequence[pulumi.Resource] = (),
        awaited: bool = True,
    ) -> pulumi.Resource:
        """Create one namespaced object.

        `leave`: fields that somebody else owns after the creation. `after`: what must serve before. `awaited`: whether
        those who use its service wait for it.
        """
        serves = manifest["kind"] not in _PASSIVE
        options = pulumi.ResourceOptions(
            parent=parent,
            provider=self._provider,
            depends_on=[self._namespace, *after, *(self._after if serves else ())],
            # Pods end in the order of the edges; the rest goes with its namespace.
            deleted_with=None if manifest["kind"] in _SETS else self._namespace,
            ignore_changes=list(leave),
        )
        if manifest["kind"] == "Service" and not self._awaits_address(manifest):
            # Its pods are waited for already; the provider would only let ten seconds pass.
            manifest = _annotated(manifest, "pulumi.com/skipAwait", "true")
        resource = KubernetesObject(name, manifest, options)
        self.made.append(resource)
        if serves and awaited:
            meta: Any = manifest["metadata"]
            self._serving.setdefault(meta["labels"][INSTANCE], []).append(resource)
        return resource

    def _awaits_address(self, service: Manifest) -> bool:
        spec: Any = service["spec"]
        return bool(spec["type"] == "LoadBalancer") and not self.cluster.simulated

    def _create_namespace(self) -> pulumi.Resource:
        level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
        labels = {**self._labels, **level}
        manifest: Manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.namespace, "labels": labels},
        }
        return KubernetesObject("namespace", manifest, pulumi.ResourceOptions(provider=self._provider))

    def _create_default_deny(self) -> None:
        manifest: Manifest = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "default-deny", "namespace": self.namespace, "labels": self._labels},
            "spec": deny_all(),
        }
        options = pulumi.ResourceOptions(
            provider=self._provider, depends_on=[self._namespace], deleted_with=self._namespace
        )
        KubernetesObject("default-deny", manifest, options)

    def _create_storage_class(self) -> None:
        manifest: Manifest = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": self.storage_class, "labels": self._labels},
            "provisioner": self.cluster.provisioner,
            "parameters": self.cluster.storage_parameters,
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowedTopologies": volume_topology(self.placement),
        }
        KubernetesObject("storage", manifest, pulumi.ResourceOptions(provider=self._provider))


def _provider(cluster: Cluster) -> k8s.Provider:
    return k8s.Provider(
        "kubernetes",
        kubeconfig=cluster.kubeconfig,
        context=cluster.context,
        cluster_identifier=cluster.identity,
        # Without these, new content would delete and re-create a Secret or ConfigMap under the pods that mount it.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
    )


class KubernetesObject(pulumi.CustomResource):
    """Any Kubernetes object, as its manifest says.

    The generated classes would add nothing to a manifest but take a second to import: one preview in four.
    """

    def __init__(self, name: str, manifest: Manifest, options: pulumi.ResourceOptions) -> None:
        group_version = str(manifest["apiVersion"])
        group_version = group_version if "/" in group_version else f"core/{group_version}"
        # By default each creation has a field manager of its own, and what an interrupted run has made would stay that
        # one's: the next run could change none of it. Kubernetes documentation, "Server-Side Apply".
        manifest = _annotated(manifest, "pulumi.com/patchFieldManager", DOMAIN)
        super().__init__(f"kubernetes:{group_version}:{manifest['kind']}", name, manifest, options)


_SETS = frozenset({"Deployment", "StatefulSet"})
"""Kinds whose pods must be gone before their namespace is deleted, which would else look again five seconds later."""

_PASSIVE = frozenset(
    {
        "ConfigMap",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
        "Service",
        "ServiceAccount",
    }
)
"""Kinds that run nothing: nobody waits for them, and they wait for nobody but the namespace."""


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _digest(content: Mapping[str, pulumi.Output[str]]) -> pulumi.Output[str]:
    """A short digest of all secrets together, by which pods restart when one changes. It reveals none of them."""
    values = pulumi.Output.all(*(content[slot] for slot in sorted(content)))
    return pulumi.Output.unsecret(values.apply(lambda v: hashlib.sha256("\0".join(v).encode()).hexdigest()[:16]))


def _annotated(manifest: Manifest, key: str, value: str) -> Manifest:
    meta: Any = manifest["metadata"]
    return {**manifest, "metadata": {**meta, "annotations": {**meta.get("annotations", {}), key: value}}}


def _annotate_pods(manifest: Manifest, key: str, value: pulumi.Output[str]) -> None:
    template: Any = manifest["spec"]
    template["template"]["metadata"]["annotations"][key] = value
