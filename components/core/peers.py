"""What follows from the spec of a service whose instances have names of their own. Pure."""

from dataclasses import dataclass

from components.core.workload import Workload


@dataclass(frozen=True)
class PeersPlan:
    """A workload and the names by which it and each of its instances are dialled. Kinds add what else they plan."""

    workload: Workload
    host: str
    """Name that reaches any instance."""
    peers: tuple[str, ...]
    """Full host name of every instance."""

    @property
    def certificate_hosts(self) -> tuple[str, ...]:
        """Every name the servers are dialled by; `localhost` is for the probes and helpers beside them."""
        return (self.host, self.workload.name, *self.peers, "localhost")
