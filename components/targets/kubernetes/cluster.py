"""Which Kubernetes cluster an environment goes to and what that cluster offers. Plain data."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cluster:
    """A cluster as the target needs to know it."""

    kubeconfig: str
    """Path of the kubeconfig file."""
    context: str
    """Context in that file; never the file's current one, so that switching contexts can't redirect an `up`."""
    identity: str
    """Name that stays the same for the same cluster: a new one means another cluster."""
    simulated: bool = False
    """Nodes and pods are simulated: no operator acts and no address is handed out, so neither is waited for."""
    single_node: bool = False
    """It has one node: instances share it that are kept apart elsewhere."""
    load_balancer: bool = False
    """Whether services of type LoadBalancer receive an address."""
    storage_class: str = ""
    """An existing storage class for every volume. Empty: the environment makes its own."""
    provisioner: str = ""
    """Volume provisioner of the environment's own storage class."""
    storage_parameters: dict[str, str] = field(default_factory=dict)
    """Parameters of that provisioner."""
