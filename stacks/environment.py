"""An environment as frozen data: where it goes, what runs in it and who answers for it. Holds no Output."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from components.core.certificates import CertificatePolicy
from components.core.problems import WrongFields, shown
from components.core.site import Placement
from components.core.spec import ServiceSpec, Spec
from components.core.types import DataClass, Owner

_CLUSTERS = "embedded, node, or your own: {context: NAME, storage_class: NAME}"
_SCHEMES = ("unix", "ssh", "tcp", "npipe")


def _engine_address(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if scheme not in _SCHEMES or not separator or not rest:
        raise ValueError(f"allowed: an address that begins with {', '.join(f'{s}://' for s in _SCHEMES)}")
    return value


def _registry(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9][a-z0-9._-]*)*", value):
        raise ValueError("allowed: a registry such as mirror.example:5000/groundwork, without a scheme")
    return value


class ClusterSpec(Spec):
    """A Kubernetes cluster of your own."""

    context: str = Field(min_length=1)
    """Context in the kubeconfig; the file's current context is never used."""
    kubeconfig: str = "~/.kube/config"
    """Path of the kubeconfig file. Default ~/.kube/config."""
    storage_class: str = ""
    """An existing storage class for every volume. Default: the environment makes its own from `provisioner`."""
    provisioner: str = ""
    """Volume provisioner of the environment's own storage class, such as ebs.csi.aws.com."""
    storage_parameters: dict[str, str] = Field(default_factory=dict)
    """Parameters of that provisioner."""
    load_balancer: bool = False
    """Whether services of type LoadBalancer receive an address. Default no: reach the gateway by port-forward."""

    @model_validator(mode="after")
    def _one_storage(self) -> "ClusterSpec":
        if bool(self.storage_class) == bool(self.provisioner):
            given = "both" if self.storage_class else "neither"
            raise WrongFields(
                (
                    "storage_class",
                    f"{given} storage_class and provisioner given; set one: an existing class, or a provisioner",
                )
            )
        return self


class EngineSpec(Spec):
    """A Docker engine of your own."""

    host: Annotated[str, AfterValidator(_engine_address)]
    """Its address, such as unix:///var/run/docker.sock or ssh://user@host."""


class ImagesSpec(Spec):
    """Where images come from."""

    registry: Annotated[str, AfterValidator(_registry)] = ""
    """A mirror for every image where registries can't be reached; `mirror.example` has `docker.io/library/redis:8` as
    `mirror.example/docker.io/library/redis:8`. Default: each from its own registry."""


class EnvironmentSpec(Spec):
    """What `groundwork:environment` holds."""

    profile: Literal["dev", "local", "prod"]
    """Base values of every service: dev and local are small and single, prod is replicated."""
    target: Literal["docker", "kubernetes"] = "kubernetes"
    """Where it is deployed. Default kubernetes."""
    cluster: Literal["embedded", "node"] | ClusterSpec | None = None
    """On Kubernetes: `embedded` (simulated nodes on this machine), `node` (one real node on this machine: Linux, root)
    or a cluster of your own: `{context: NAME}`."""
    docker: Literal["auto"] | EngineSpec | None = None
    """On Docker: `auto` (the engine that answers on this machine, else one of the toolchain's own) or yours:
    `{host: ADDRESS}`. Default auto."""
    images: ImagesSpec = ImagesSpec()
    """Where images come from."""
    placement: Placement
    """Region, zones and residency."""
    owner: Owner = ""
    """Team or person who answers for the environment, and for each service that names no other."""
    data_class: DataClass = DataClass.INTERNAL
    """Most sensitive data in it as a whole. Default internal."""
    certificates: CertificatePolicy = CertificatePolicy()
    """How long certificates live."""
    generation: int = Field(default=1, ge=1)
    """Generation of all keys, certificates and passwords but the roots'. Once it is another one, the next `up` makes
    them all anew, and old passwords are refused. Old certificates are once their root is. Default 1."""

    @property
    def place(self) -> dict[str, str]:
        """Where its data lies, by the fields that say so. Data stays behind where one of them changes."""
        if self.target == "docker":
            engine = self.docker.host if isinstance(self.docker, EngineSpec) else "auto"
            return {"target": "docker", "docker": engine, "placement.region": self.placement.region}
        if not isinstance(self.cluster, ClusterSpec):
            return {"target": "kubernetes", "cluster": str(self.cluster), "placement.region": self.placement.region}
        parameters = json.dumps(self.cluster.storage_parameters, sort_keys=True)
        return {
            "target": "kubernetes",
            "cluster": self.cluster.context,
            "placement.region": self.placement.region,
            "cluster.storage_class": self.cluster.storage_class,
            "cluster.provisioner": self.cluster.provisioner,
            "cluster.storage_parameters": parameters,
        }

    @field_validator("cluster", mode="before")
    @classmethod
    def _one_kind_of_cluster(cls, value: Any) -> Any:
        """Decided here, so that a mistake in the one is not answered with the demands of the other."""
        if isinstance(value, Mapping):
            return ClusterSpec.model_validate(value)
        if value not in ("embedded", "node") and not isinstance(value, ClusterSpec):
            raise ValueError(f"allowed: {_CLUSTERS}")
        return value

    @field_validator("docker", mode="before")
    @classmethod
    def _one_kind_of_engine(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return EngineSpec.model_validate(value)
        if value != "auto" and not isinstance(value, EngineSpec):
            raise ValueError("allowed: auto, or your own: {host: unix:///var/run/docker.sock}")
        return value


def place_problems(raw: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Settings of an environment as written that don't belong to its target, or that it lacks: (field, text) pairs.

    Asked beside the fields themselves, so that all mistakes are reported at once.
    """
    target = raw.get("target", "kubernetes")
    if target == "docker" and "cluster" in raw:
        return [("cluster", "given; with target: docker there is none; remove it or set target: kubernetes")]
    if target != "kubernetes":
        return []
    stray = [("docker", "given; with target: kubernetes there is none; remove it or set target: docker")]
    missing = [("cluster", f"missing; add `cluster:`; allowed: {_CLUSTERS}")]
    found = [*(stray if "docker" in raw else []), *(missing if "cluster" not in raw else [])]
    placement = raw.get("placement")
    zones = placement.get("zones", 1) if isinstance(placement, Mapping) else 1
    if raw.get("cluster") == "node" and isinstance(zones, int) and zones > 1:
        found.append(("placement.zones", f"{shown(zones)} given; cluster: node is one node in one zone; set 1"))
    return found


class Environment(EnvironmentSpec):
    """One environment, fully validated: every service has its final spec and every edge leads somewhere."""

    name: str
    """Name of the stack."""
    services: dict[str, ServiceSpec]
    """Every service by name, each after the services it uses."""
