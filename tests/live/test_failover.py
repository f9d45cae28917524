"""What is killed comes back, or another takes its place, and nothing that was acknowledged is lost meanwhile.

Each count of losses stands beside a control: the same count over a write that was acknowledged carelessly sees a loss.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from tests.live import clients
from tests.live.consumer import Consumer
from tests.live.environment import DOCKER, HOST, NODE, Live, Record
from tests.live.failing import MANY, POSTGRES_SECONDS, REDIS_SECONDS, await_, copies, leader, leader_of, place
from tests.live.writers import Writing
from tests.live.written import (
    Cache,
    CarelessPostgres,
    DemoStore,
    Gateway,
    Instance,
    Postgres,
    Queue,
    ReplicatedQueue,
    prepare,
    stored,
)
from toolchain.waiting import wait_until


@pytest.mark.parametrize("service", ["queue"])
def test_another_redis_takes_the_place_of_a_killed_master(
    live: Live, app: Consumer, service: str, record_property: Record
) -> None:
    app.call(prepare, Queue)
    master = app.call(leader)
    with Writing(place(live), Queue) as writing:
        writing.await_more(MANY)
        live.deployment.lose(master)
        writing.await_more(MANY)
    tally, there = writing.tally, app.call(stored, Queue)
    record_property("note", tally.figure(there))
    successor = app.call(leader)
    assert successor != master
    assert tally.lost(there) == 0
    assert tally.gap < REDIS_SECONDS
    # Nobody but an `up` brings a lost instance back.
    live.up()
    await_(f"{master} to follow {successor}", lambda: app.call(leader_of, master) == successor)
    assert tally.lost(app.call(copies, master)) == 0


@pytest.mark.parametrize("service", ["queue"])
def test_a_redis_master_cut_off_from_its_peers_stops_taking_writes(
    live: Live, app: Consumer, service: str, record_property: Record
) -> None:
    """Redis acknowledges before a replica has it, so what a master took until it noticed is lost: the control."""
    app.call(prepare, Queue)
    master = app.call(leader)
    peers = sorted(live.instances("queue").keys() - {master})
    with Writing(place(live), Instance(master), 2) as hasty, Writing(place(live), ReplicatedQueue, 2) as patient:
        with cut_off(live, master, peers):
            await_("the others to choose another master", lambda: app.call(leader, peers) != master)
            await_("the master to refuse writes", lambda: stands_still(hasty))
        patient.await_more()
    there, refusals = app.call(stored, Queue), " ".join(hasty.tally.failed)
    lost = hasty.tally.lost(there)
    record_property("note", f"cut off: {patient.tally.lost(there)} lost; control: {lost} lost")
    assert patient.tally.lost(there) == 0
    assert lost > 0, "the counter sees no loss"
    assert "NoReplicasError" in refusals or "NOREPLICAS" in refusals, refusals
    await_(f"{master} to follow", lambda: app.call(leader_of, master) == app.call(leader))


@pytest.mark.parametrize("service", ["postgres"])
def test_a_killed_postgres_recovers(live: Live, app: Consumer, service: str, record_property: Record) -> None:
    app.call(prepare, Postgres)
    with Writing(place(live), Postgres) as writing:
        writing.await_more(MANY)
        live.process("postgres-0", "postgres").kill()
        writing.await_more(MANY)
    there = app.call(stored, Postgres)
    record_property("note", writing.tally.figure(there))
    assert writing.tally.lost(there) == 0
    assert writing.tally.gap < POSTGRES_SECONDS


@pytest.mark.parametrize("service", ["postgres"])
def test_a_postgres_that_awaits_no_disk_loses(live: Live, app: Consumer, service: str, record_property: Record) -> None:
    app.call(prepare, CarelessPostgres)
    lost = 0
    # The server writes every 200 ms of its own accord: one kill in fifty comes just after that.
    for _ in range(3):
        with Writing(place(live), CarelessPostgres) as writing:
            live.process("postgres-0", "postgres").kill()
            writing.await_more()
        lost = writing.tally.lost(app.call(stored, CarelessPostgres))
        if lost:
            break
    record_property("note", f"control: {lost} lost")
    assert lost > 0, "the counter sees no loss"


@pytest.mark.parametrize("service", ["cache"])
def test_a_killed_cache_is_back_soon_and_empty(
    live: Live, app: Consumer, service: str, record_property: Record
) -> None:
    app.call(prepare, Cache)
    with Writing(place(live), Cache) as writing:
        before = app.call(stored, Cache)
        live.process("cache-0", "redis").kill()
        writing.await_more()
    there = app.call(stored, Cache)
    record_property("note", f"{writing.tally.gap:.1f} s without service, kept in memory alone")
    assert writing.tally.gap < REDIS_SECONDS
    assert before
    assert not before & there, "the counter sees no loss"


@pytest.mark.targets(DOCKER, NODE)
@pytest.mark.parametrize("service", ["gateway"])
def test_a_killed_gateway_is_back_soon(live: Live, app: Consumer, service: str, record_property: Record) -> None:
    with Writing(None, Gateway(HOST, live.port, str(live.ca_file), live.address)) as writing:
        live.process("gateway-0", "nginx").kill()
        writing.await_more()
    there = app.call(stored, DemoStore)
    record_property("note", writing.tally.figure(there))
    assert writing.tally.lost(there) == 0
    assert writing.tally.gap < REDIS_SECONDS


def stands_still(writing: Writing) -> bool:
    """Whether nothing is acknowledged for longer than one write may take."""
    before = writing.count
    try:
        wait_until("a write", 1.5 * clients.TIMEOUT_SECONDS, lambda: writing.count > before, str)
    except Exception:  # noqa: BLE001
        return True
    return False


@contextmanager
def cut_off(live: Live, one: str, others: list[str]) -> Iterator[None]:
    """Drop packets between an instance and its peers, both ways. Everybody else still reaches it."""
    addresses = live.deployment.addresses()
    ways = dict.fromkeys(others, addresses[one]) | {one: [a for other in others for a in addresses[other]]}
    networks = {name: process.pid for name, process in live.instances("queue").items()}
    try:
        for name, unreachable in ways.items():
            routes(networks[name], "add", unreachable)
        yield
    finally:
        for name, unreachable in ways.items():
            routes(networks[name], "delete", unreachable)


def routes(pid: int, action: str, addresses: Iterable[str]) -> None:
    """Add or delete routes that lead nowhere, in the network of a process. ip-route(8), "blackhole"."""
    lines = "".join(f"route {action} blackhole {address}\n" for address in addresses)
    command = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-batch", "-"]
    subprocess.run(command, input=lines, text=True, check=True, capture_output=True)
