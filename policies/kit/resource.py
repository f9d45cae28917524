"""A resource as rules see it: what kind it is, which service it belongs to, and its pods.

Patch kinds are read as the kind they patch, so that a patch can't do what the object may not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from policies.kit.node import UNKNOWN, Node

INSTANCE = "app.kubernetes.io/instance"
SERVICE = "groundwork.dev/service"
POD_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
    "Pod": (),
}
LONG_RUNNING = frozenset(POD_TEMPLATES) - {"Job", "CronJob"}
CNPG = "postgresql.cnpg.io"
DOCKER = "docker"


@dataclass(frozen=True)
class Resource:
    """One resource with plain properties."""

    urn: str
    type: str
    name: str
    props: Mapping[str, Any]
    protect: bool = False
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """URNs of the resources that each property comes from; known where the whole stack is."""

    @property
    def stack(self) -> str:
        """Name of the stack, which is the environment's."""
        parts = self.urn.split(":", 3)
        return parts[2] if len(parts) > 3 else ""

    @property
    def is_service(self) -> bool:
        """Whether it is one of the project's own components."""
        return self.type.startswith("groundwork:")

    @property
    def group(self) -> str:
        """Kubernetes API group, `core` for the oldest; `docker` for what an engine has; empty for anything else."""
        parts = self.type.split(":")
        if len(parts) != 3 or parts[2] == "Provider":
            return ""
        return parts[1].rsplit("/", 1)[0] if parts[0] == "kubernetes" else DOCKER if parts[0] == DOCKER else ""

    @property
    def kind(self) -> str:
        """Kind of object, or the last part of the type."""
        return self.type.rsplit(":", 1)[-1].removesuffix("Patch")

    def is_a(self, group: str, *kinds: str) -> bool:
        """Whether it is one of these kinds of a group."""
        return self.group == group and self.kind in kinds

    @property
    def labels(self) -> dict[str, str]:
        """Labels that are known."""
        if self.group == DOCKER:
            return _texts(listed_labels(self.props.get("labels")))
        return _texts(_mapping(self.props.get("metadata")).get("labels"))

    @property
    def service(self) -> str:
        """The service it belongs to: the component's name, or a label of an object."""
        return self.name if self.is_service else self.labels.get(SERVICE if self.group == DOCKER else INSTANCE, "")

    @property
    def namespace(self) -> str:
        """Namespace of an object; empty where it has none or it is unknown."""
        return _text(_mapping(self.props.get("metadata")).get("namespace"))

    @property
    def object_name(self) -> str:
        """Name of the object in the cluster or on the engine; the logical name where it is not known."""
        head = self.props if self.group == DOCKER else _mapping(self.props.get("metadata"))
        return _text(head.get("name")) or self.name

    @property
    def title(self) -> str:
        """Kind, namespace and name: `ConfigMap groundwork-dev/cache`."""
        if not self.group:
            return f"{self.type} {self.name}"
        return (
            f"{self.kind} {self.namespace}/{self.object_name}" if self.namespace else f"{self.kind} {self.object_name}"
        )


@dataclass(frozen=True)
class Pod:
    """A pod template: metadata and spec."""

    metadata: Node
    spec: Node
    long_running: bool

    @property
    def containers(self) -> list[Node]:
        """Containers that run side by side."""
        return self.spec.at("containers").items

    @property
    def all_containers(self) -> list[Node]:
        """Every container, those that run first included."""
        return [*self.spec.at("initContainers").items, *self.containers]


def pods_of(resource: Resource, root: Node) -> Iterator[Pod]:
    """The pod template of a workload; nothing for anything else."""
    if resource.group in ("core", "apps", "batch") and resource.kind in POD_TEMPLATES:
        template = root.at(*POD_TEMPLATES[resource.kind])
        yield Pod(template.at("metadata"), template.at("spec"), resource.kind in LONG_RUNNING)


def pod_labels(resource: Resource) -> dict[str, str]:
    """Known labels of the pods that a workload or a CloudNativePG resource makes."""
    spec = _mapping(resource.props.get("spec"))
    if resource.is_a(CNPG, "Cluster"):
        inherited = _texts(_mapping(spec.get("inheritedMetadata")).get("labels"))
        return {**inherited, "cnpg.io/cluster": resource.object_name, "cnpg.io/podRole": "instance"}
    if resource.is_a(CNPG, "Pooler"):
        template = _texts(_mapping(_mapping(spec.get("template")).get("metadata")).get("labels"))
        return {**template, "cnpg.io/poolerName": resource.object_name, "cnpg.io/podRole": "pooler"}
    value: Any = resource.props
    for key in POD_TEMPLATES.get(resource.kind, ()):
        value = _mapping(value).get(key)
    return _texts(_mapping(_mapping(value).get("metadata")).get("labels"))


def listed_labels(value: Any) -> Any:
    """Labels of something on an engine as a mapping; UNKNOWN where one of their names is."""
    entries = value if isinstance(value, list) else []
    names = [entry.get("label") if isinstance(entry, dict) else entry for entry in entries]
    if value is UNKNOWN or UNKNOWN in names:
        return UNKNOWN
    return {name: entry.get("value") for name, entry in zip(names, entries, strict=True) if isinstance(entry, dict)}


def makes_pods(resource: Resource) -> bool:
    """Whether pods come from it, directly or by an operator."""
    workload = resource.group in ("core", "apps", "batch") and resource.kind in POD_TEMPLATES
    return workload or resource.is_a(CNPG, "Cluster", "Pooler")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _texts(value: Any) -> dict[str, str]:
    return {k: str(v) for k, v in _mapping(value).items() if v is not UNKNOWN and v is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
