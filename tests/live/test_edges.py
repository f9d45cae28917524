"""Every pair of workloads, by address and by name: open along the graph's edges, closed everywhere else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.live.consumer import Consumer
from tests.live.environment import DOCKER, NODE, SERVICES, Live, Record
from tests.live.networks import listening, reached
from toolchain.waiting import wait_until

TARGETS = (DOCKER, NODE)

PATIENCE_SECONDS = 20


@dataclass(frozen=True, order=True)
class Way:
    """From an instance to a listener of another one."""

    source: str
    target: str
    host: str
    port: int
    edge: bool
    """Whether it should be open."""

    @property
    def by_address(self) -> tuple[str, str, int, str]:
        """The same for every address of an instance, but not for its names."""
        return self.source, self.target, self.port, "" if self.host[0].isdigit() else self.host


@pytest.mark.parametrize("service", SERVICES)
def test_only_what_an_edge_connects_is_open(live: Live, service: str, record_property: Record) -> None:
    ways = ways_from(live, *live.instances(service))
    found = open_ways(live, ways)
    record_property("note", f"{len(found)} of {len(ways)} ways open")
    assert sorted(way for way in found if not way.edge) == [], "open, but no edge says so"
    # One instance has several addresses, and is reached at one of them.
    wanted = {way.by_address for way in ways if way.edge}
    assert sorted(wanted - {way.by_address for way in found}) == [], "closed, though it is an edge"


def test_there_are_pairs_of_both_kinds(live: Live) -> None:
    services = {name: process.service for name, process in live.instances().items()}
    ways = (way for way in ways_from(live, *services) if services[way.source] != services[way.target])
    assert {way.edge for way in ways} == {True, False}


def test_a_pair_opened_behind_the_back_of_the_graph_is_found(live: Live) -> None:
    source, server = "worker-0", live.server("postgres")
    before = ports_open(live, source, server.instance)
    with live.deployment.opened(source, server.instance):
        await_ports(live, source, server.instance, set(live.declared(server)))
    await_ports(live, source, server.instance, set())
    assert before == set()


def test_only_the_gateway_is_published_and_to_this_machine_alone(live: Live) -> None:
    assert live.deployment.published() == live.published


def ways_from(live: Live, *sources: str) -> list[Way]:
    """Every way to each listener of the other instances: by each address and name that anybody knows it by."""
    addresses, ways = live.deployment.addresses(), []
    processes = live.instances()
    for target, process in processes.items():
        called = live.inventory[process.service]["ports"]
        ports = {socket.port for socket in listening(process.pid) if not socket.alone}
        for source, port in ((source, port) for source in sources for port in ports if source != target):
            edge = live.deployment.connected(live.inventory, processes[source], process, port)
            # A service's name leads to the ports at which consumers call it; the others are found by address.
            hosts = (*addresses[target], *(live.dialled(process) if port in called else ()))
            ways += [Way(source, target, host, port, edge) for host in hosts]
    return ways


def ports_open(live: Live, source: str, target: str) -> set[int]:
    """Ports at which one instance reaches another."""
    return {way.port for way in open_ways(live, [way for way in ways_from(live, source) if way.target == target])}


def await_ports(live: Live, source: str, target: str, ports: set[int]) -> None:
    """Wait until those are open: what enforces policies learns of a change a moment later."""
    found: set[int] = set()

    def are_open() -> bool:
        found.clear()
        found.update(ports_open(live, source, target))
        return found == ports

    wait_until(f"{ports or 'no port'} to be open", PATIENCE_SECONDS, are_open, lambda: f"open are {found}")


def open_ways(live: Live, ways: Iterable[Way]) -> set[Way]:
    """Those that take a connection. All sources try at once."""
    by_source: dict[str, list[Way]] = defaultdict(list)
    for way in ways:
        by_source[way.source].append(way)
    processes = live.instances()
    with ThreadPoolExecutor() as pool:
        return set().union(*pool.map(_open_from, (processes[source].pid for source in by_source), by_source.values()))


def _open_from(pid: int, ways: list[Way]) -> set[Way]:
    with Consumer(pid) as inside:
        names = {way.host for way in ways if way.edge}
        found = inside.call(reached, {(way.host, way.port) for way in ways}, names)
    return {way for way in ways if (way.host, way.port) in found}
