"""An environment as frozen data: where it goes, what runs in it and who answers for it. Holds no Output."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from components.core.certificates import CertificatePolicy
from components.core.problems import WrongFields
from components.core.site import Placement
from components.core.spec import ServiceSpec, Spec
from components.core.types import DataClass, Owner


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


class EnvironmentSpec(Spec):
    """What `groundwork:environment` holds."""

    profile: Literal["dev", "prod"]
    """Base values of every service: dev is small and single, prod is replicated."""
    target: Literal["kubernetes"] = "kubernetes"
    """Where it is deployed. Default kubernetes."""
    cluster: Literal["embedded"] | ClusterSpec
    """`embedded` (simulated nodes on this machine) or a cluster of your own: `{context: NAME}`."""
    placement: Placement
    """Region, zones and residency."""
    owner: Owner = ""
    """Team or person who answers for the environment, and for each service that names no other."""
    data_class: DataClass = DataClass.INTERNAL
    """Most sensitive data in it as a whole. Default internal."""
    certificates: CertificatePolicy = CertificatePolicy()
    """How long certificates live."""

    @field_validator("cluster", mode="before")
    @classmethod
    def _one_kind_of_cluster(cls, value: Any) -> Any:
        """Decided here, so that a mistake in the one is not answered with the demands of the other."""
        if isinstance(value, Mapping):
            return ClusterSpec.model_validate(value)
        if value != "embedded" and not isinstance(value, ClusterSpec):
            raise ValueError("allowed: embedded, or your own: {context: NAME, storage_class: NAME}")
        return value


class Environment(EnvironmentSpec):
    """One environment, fully validated: every service has its final spec and every edge leads somewhere."""

    name: str
    """Name of the stack."""
    services: dict[str, ServiceSpec]
    """Every service by name, each after the services it uses."""
