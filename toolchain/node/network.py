"""How a node is reached: a pair of linked interfaces, one on this machine and one in the node's network namespace.

The machine gets one interface and two routes, which vanish with the namespace; its firewall is neither read nor
changed, and nothing of the cluster gets beyond the machine: pods reach each other, the services and the API server.
Each cluster has addresses of its own, so that several can run on one machine.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.locking import exclusive

LOCK = Path("/run/lock/groundwork-node.lock")
"""Of the whole machine, as interfaces and control groups are; clusters are told apart by their folders only."""
NUMBERS = range(8)
INTERFACES = Path("/sys/class/net")
NODE_INTERFACE = "eth0"
ALIAS_LENGTH = 200


@dataclass(frozen=True)
class Network:
    """The addresses of one cluster, all given by its number."""

    number: int

    @property
    def name(self) -> str:
        """Of the interface on this machine, and of whatever else must be told apart from that of other clusters."""
        return f"groundwork-n{self.number}"

    @property
    def link(self) -> IPv4Network:
        """Machine and node."""
        return IPv4Network(f"10.95.{self.number}.0/30")

    @property
    def services(self) -> IPv4Network:
        """Cluster IPs."""
        return IPv4Network(f"10.{96 + self.number}.0.0/16")

    @property
    def pods(self) -> IPv4Network:
        """Pod IPs."""
        return IPv4Network(f"10.{244 + self.number}.0.0/16")

    @property
    def machine(self) -> IPv4Address:
        """This machine, as the node sees it."""
        return self.link[1]

    @property
    def node(self) -> IPv4Address:
        """The node: its API server and kubelet."""
        return self.link[2]

    @property
    def api(self) -> IPv4Address:
        """The service `kubernetes`, the first of the range."""
        return self.services[1]

    @property
    def dns(self) -> IPv4Address:
        """The service `kube-dns`, the tenth of the range by custom."""
        return self.services[10]


def exclusively(say: Callable[[str], None]) -> AbstractContextManager[None]:
    """Hold this from `choose` or `require` until after `connect`, and while a network is left.

    A network is taken once its interface is there; what else bears its name comes earlier and goes later.
    """
    return exclusive(LOCK, lambda: say("another cluster takes or leaves a network; waiting for it"))


def choose(taken: Sequence[IPv4Network]) -> Network:
    """The first network of which nothing overlaps with `taken` and whose name is free; ToolchainError without one."""
    for network in map(Network, NUMBERS):
        wanted = (network.link, network.services, network.pods)
        overlaps = any(mine.overlaps(theirs) for mine in wanted for theirs in taken)
        if not overlaps and _owner(network) is None:
            return network
    raise ToolchainError(
        f"node: this machine has a route into each of the {len(NUMBERS)} sets of networks from {Network(0).link}, "
        f"{Network(0).services} and {Network(0).pods} on; remove a route (`ip route`) or delete another node's cluster"
    )


def require(network: Network, folder: Path) -> None:
    """Raises ToolchainError when another cluster uses the network now."""
    if not usable(network, folder):
        raise ToolchainError(
            f"node: the network {network.link} is used by the cluster in {_owner(network)}; stop that one first "
            "(python3 -m toolchain cluster stop --node), or delete this one and start it again for another network"
        )


def usable(network: Network, folder: Path) -> bool:
    """Whether no other cluster uses the network now."""
    return _owner(network) in (None, _alias(folder))


def connect(network: Network, process: int, folder: Path) -> None:
    """Link this machine with the network namespace of `process`; what is there already stays."""
    inside = ("nsenter", f"--target={process}", "--net")
    if _owner(network) is None:
        peer = ("peer", "name", NODE_INTERFACE, "netns", str(process))
        _run("ip", "link", "add", network.name, "type", "veth", *peer)
        _run("ip", "link", "set", network.name, "alias", _alias(folder))
    bits = network.link.prefixlen
    _run(*inside, "ip", "link", "set", "lo", "up")
    _run(*inside, "ip", "address", "replace", f"{network.node}/{bits}", "dev", NODE_INTERFACE)
    _run(*inside, "ip", "link", "set", NODE_INTERFACE, "up")
    # Without a route no packet of the API server's would get as far as kube-proxy's rules.
    _run(*inside, "ip", "route", "replace", str(network.services), "dev", "lo", "src", str(network.node))
    _run("ip", "address", "replace", f"{network.machine}/{bits}", "dev", network.name)
    _run("ip", "link", "set", network.name, "up")
    for destination in (network.services, network.pods):
        _run("ip", "route", "replace", str(destination), "via", str(network.node), "dev", network.name)


def disconnect(network: Network, folder: Path) -> None:
    """Remove the interface and with it its routes, if it is this cluster's."""
    if _owner(network) == _alias(folder):
        # The namespace may be gone between the question and this command, and the interface with it.
        subprocess.run(["ip", "link", "delete", network.name], capture_output=True, check=False)


def _alias(folder: Path) -> str:
    return str(folder)[-ALIAS_LENGTH:]


def _owner(network: Network) -> str | None:
    """The cluster whose interface this is, as its alias says; None without such an interface."""
    try:
        return (INTERFACES / network.name / "ifalias").read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolchainError(f"node: `{' '.join(command)}` failed: {done.stderr.strip()}")
