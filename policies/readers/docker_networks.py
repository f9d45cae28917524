"""Which containers of a Docker engine meet on which network (Docker documentation, "Networking").

A network is an edge of the graph, `groundwork-<environment>-<consumer>--<service>`, or a service's own, by the same
name without a consumer. Only who is on a network reaches anybody on it; one that is not internal also leads out.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from policies.kit.engine import JOINS, by_name, is_container, joins, sandbox_of
from policies.kit.node import FALSE, TRUE, Node
from policies.kit.resource import Resource
from policies.kit.rule import Check, StackCheck
from policies.kit.secrets import shown

_JOINED = re.compile(rf"{JOINS}[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_LOOPBACK = "127.0.0.1"
_DEFAULT = (None, "", "bridge")
"""A mode that nobody set. The provider takes a container that has networks off that one before it starts."""


@dataclass(frozen=True)
class Edge:
    """Whom a network's name says that it connects."""

    service: str
    consumer: str = ""
    """Empty for a service's own network."""


def edge_of(network: Resource) -> Edge | None:
    """Whom a network connects; None where its name does not say so."""
    prefix = f"groundwork-{network.stack}-"
    if not network.object_name.startswith(prefix):
        return None
    consumer, separator, service = network.object_name.removeprefix(prefix).partition("--")
    return Edge(service, consumer) if separator else Edge(consumer)


def check_container(check: Check, public: bool) -> None:
    """How one container is connected, and what of it is reachable from this machine."""
    _check_mode(check)
    everything = check.root.at("publishAllPorts")
    if everything.differs(None, FALSE):
        check.fail(everything.path, "publishes every port of the image", "false", "remove it and name the port")
    for port in check.root.at("ports").items:
        _check_port(check, port, public)


def _check_mode(check: Check) -> None:
    mode, networks, ports = (check.root.at(name) for name in ("networkMode", "networksAdvanced", "ports"))
    if joins(check.root):
        if isinstance(mode.value, str) and not _JOINED.fullmatch(mode.value):
            what = f"is {shown(mode.value)}, which is no container"
            check.fail(mode.path, what, "container:NAME", "name the sandbox")
        for node in (networks, ports):
            if not node.missing and node.known:
                what = "is given, though the network is that of another container"
                check.fail(node.path, what, "none beside a joined network", "give it to the sandbox")
    elif mode.differs(*_DEFAULT, "none"):
        what = f"is {shown(mode.value)}"
        check.fail(mode.path, what, "networks of edges, or container:NAME", "use networksAdvanced, or join a sandbox")
    elif mode.value != "none" and networks.missing:
        what = "is not given, so it is on the network that every container shares"
        check.fail(networks.path, what, "networks of edges", "name them, or set networkMode to none")


def _check_port(check: Check, port: Node, public: bool) -> None:
    publish = check.component.at("publish") if check.component else None
    if not public and (publish is None or publish.missing):
        fix = "remove it, or set publish on the service"
        check.fail(port.path, "is published, which the service does not ask for", "no published port", fix)
    elif publish is not None and not publish.missing and port.at("external").differs(publish.value):
        what = f"is {shown(port.at('external').value)}, but the service asks for {shown(publish.value)}"
        check.fail(port.at("external").path, what, shown(publish.value), "publish that port only")
    if port.at("ip").differs(_LOOPBACK):
        address = port.at("ip")
        what = f"is {shown(address.value)}, so other machines reach it"
        check.fail(address.path, what, _LOOPBACK, f"set {address.path} to {_LOOPBACK}")


def check_network(check: Check, public: bool) -> None:
    """What kind of network it is, and whether it leads out."""
    if check.root.at("name").missing:
        check.fail("name", "is not given", "the name of an edge", "name the network after its edge")
    driver, internal = check.root.at("driver"), check.root.at("internal")
    if driver.differs(None, "", "bridge"):
        what = f"is {shown(driver.value)}, which leads to other machines"
        check.fail(driver.path, what, "bridge", "remove it")
    publish = check.component.at("publish") if check.component else None
    let_out = check.resource.service in check.params["outside_ports"]
    asked = public or let_out or (publish is not None and publish.known and not publish.missing)
    edge = edge_of(check.resource)
    own = edge is not None and not edge.consumer and edge.service == check.resource.service
    if internal.differs(TRUE) and not (own and asked):
        what = f"is {shown(internal.value)}, so the network leads out of the environment"
        check.fail(internal.path, what, "true, but for the own network of a published service", "set internal to true")


def check_together(check: StackCheck) -> None:
    """Networks are edges that a component declares, and only the two services of an edge are on its network."""
    services = {one.name: one for one in check.resources if one.is_service}
    networks = by_name(check.resources, "Network")
    for network in networks.values():
        _check_edge(check.on(network), check, services)
    for container in filter(is_container, check.resources):
        single = check.on(container)
        for node in single.root.at("networksAdvanced").items:
            _check_place(single, node.at("name"), networks)
            _check_aliases(single, node.at("aliases"), services)
        if joins(single.root):
            _check_sandbox(check, single, sandbox_of(container, check.resources))


def _check_edge(single: Check, check: StackCheck, services: dict[str, Resource]) -> None:
    edge = edge_of(single.resource)
    stack = single.resource.stack
    allowed = f"groundwork-{stack}-CONSUMER--SERVICE or groundwork-{stack}-SERVICE"
    if edge is None or edge.service not in services:
        single.fail("name", f"is {shown(single.resource.object_name)}, which is no edge", allowed, "name it after one")
    elif edge.consumer:
        consumer = services.get(edge.consumer)
        uses = check.on(consumer).root.at("uses").items if consumer else []
        if not any(one.text == edge.service for one in uses):
            what = f"connects {shown(edge.consumer)} to {shown(edge.service)}, which it does not use"
            single.fail("name", what, "an edge that the consumer declares in `uses`", "declare the edge or remove it")
    if edge is not None and edge.service in services and single.resource.service != edge.service:
        what = f"is that of {shown(edge.service)}, but its label says {shown(single.resource.service or None)}"
        single.fail("name", what, "the network's own service", "correct the label")


def _check_aliases(single: Check, aliases: Node, services: Collection[str]) -> None:
    """Names are those of its service and of the service's parts and instances, unless another service is meant."""
    service = single.resource.service
    for alias in (one for one in aliases.items if one.known):
        owners = [name for name in {*services, service} if f"{alias.text}-".startswith(f"{name}-")]
        if max(owners, key=len, default="") != service:
            what = f"({shown(alias.value)}) answers to a name that is not its service's"
            single.fail(alias.path, what, f"{service}, and names that begin with {service}-", "remove it")


def _check_place(single: Check, name: Node, networks: dict[str, Resource]) -> None:
    network = networks.get(name.text)
    if not name.known:
        return
    if network is None:
        what = f"({shown(name.value)}) is no network of this stack"
        single.fail(name.path, what, "a network of this stack", "declare it, and name it by its output")
        return
    edge = edge_of(network)
    ends = [end for end in (edge.consumer, edge.service) if end] if edge else []
    if edge and single.resource.service not in ends:
        what = f"({shown(name.value)}) is for {' and '.join(map(shown, ends))} only"
        single.fail(name.path, what, "networks of the service's own edges", "declare the edge in `uses`")


def _check_sandbox(check: StackCheck, single: Check, sandbox: Resource | None) -> None:
    mode, service = single.root.at("networkMode").path, single.resource.service
    if sandbox is None:
        allowed, fix = "a container of this stack", "name the sandbox by its output"
        single.fail(mode, "is that of no container of this stack", allowed, fix)
    elif sandbox.service != service or joins(check.on(sandbox).root):
        what = f"is that of {shown(sandbox.object_name)}, which is not the sandbox of {shown(service or None)}"
        single.fail(mode, what, "the service's own sandbox", "join the sandbox of the same instance")
