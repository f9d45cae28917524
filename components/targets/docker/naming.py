"""Names and labels of everything an environment has on a Docker engine. Pure.

An engine has no namespaces: names of objects bear the environment's name, host names live in its networks.
"""

from collections.abc import Mapping

from components.core.bindings import Instances
from components.core.site import peer_hosts
from components.core.workload import Listener, Workload

DOMAIN = "groundwork.dev"
Properties = dict[str, object]


class DockerNames:
    """Names that resolve on the networks of an environment: the service's own, and one for each instance."""

    def host(self, service: str) -> str:
        """The service's own name: the address of each instance in turn."""
        return service

    def port(self, listener: Listener) -> int:
        """That of the process: the name is the instance's address."""
        return listener.port

    def peer_suffix(self, service: str) -> str:  # noqa: ARG002
        """An instance's host name is complete."""
        return ""

    def instances(self, service: str, listener: str, replicas: int) -> Instances:  # noqa: ARG002
        """Every instance by its own name."""
        return Instances(service, names=peer_hosts(self, service, replicas))


class Naming:
    """Names of the objects of one environment."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self._prefix = f"groundwork-{environment}"

    def own_network(self, service: str) -> str:
        """Network of a service's instances among themselves, and of its published port."""
        return f"{self._prefix}-{service}"

    def edge_network(self, consumer: str, service: str) -> str:
        """Network of one edge. Two hyphens, which no service's name has at its end or beginning, keep the two apart."""
        return f"{self._prefix}-{consumer}--{service}"

    def instance(self, service: str, index: int) -> str:
        """Container that holds an instance's network."""
        return f"{self._prefix}-{service}-{index}"

    def part(self, service: str, index: int, part: str) -> str:
        """Container or volume of an instance."""
        return f"{self._prefix}-{service}-{index}-{part}"

    def labels(self, workload: Workload) -> dict[str, str]:
        """Labels of everything that belongs to a workload."""
        return {
            f"{DOMAIN}/environment": self.environment,
            f"{DOMAIN}/service": workload.service,
            f"{DOMAIN}/owner": workload.owner,
            f"{DOMAIN}/data-class": workload.data_class,
        }

    def container_labels(self, workload: Workload, index: int, container: str) -> dict[str, str]:
        """Labels of one container."""
        return {
            **self.labels(workload),
            f"{DOMAIN}/instance": f"{workload.name}-{index}",
            f"{DOMAIN}/container": container,
        }


def listed(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Labels as the provider takes them."""
    return [{"label": name, "value": value} for name, value in sorted(labels.items())]
