"""On a real node, what is killed comes back or another takes its place, and nothing acknowledged is lost meanwhile.

Each count of losses stands beside a control: the same count over a write that was acknowledged carelessly sees a loss.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.live.consumer import Consumer
from tests.live.deployment_node import NodeDeployment
from tests.live.environment import HOST, NODE, Record
from tests.live.environment_node import NodeLive
from tests.live.failing import MANY, POSTGRES_SECONDS, REDIS_SECONDS, await_, copies, leader, leader_of, place
from tests.live.writers import Writing
from tests.live.written import CarelessPostgres, DemoStore, Gateway, Postgres, Queue, prepare, stored
from toolchain.waiting import wait_until

TARGETS = (NODE,)
UNNOTICED_SECONDS = 2
WHOLE_SECONDS = 120
RESTARTS = 3
Loss = Callable[[NodeLive, str], None]


@pytest.mark.parametrize("service", ["queue"])
def test_another_redis_takes_the_place_of_a_lost_master(
    live: NodeLive, app: Consumer, service: str, record_property: Record
) -> None:
    app.call(prepare, Queue)
    master = app.call(leader)
    # A pod that comes back at once would still be the master.
    with Writing(place(live), Queue) as writing, live.deployment.full():
        writing.await_more(MANY)
        live.deployment.lose(master.partition(".")[0])
        writing.await_more(MANY)
    there, successor = app.call(stored, Queue), app.call(leader)
    record_property("note", writing.tally.figure(there))
    assert successor != master
    await_(f"{master} to follow {successor}", lambda: app.call(leader_of, master) == successor)
    assert writing.tally.lost(app.call(copies, master)) == 0
    assert writing.tally.lost(there) == 0
    assert writing.tally.gap < REDIS_SECONDS


@pytest.mark.parametrize("service", ["queue"])
def test_a_redis_that_is_restarted_one_by_one_loses_nothing(
    live: NodeLive, app: Consumer, service: str, record_property: Record
) -> None:
    """A pod is back about when the Sentinels give it up: writes may go to one server while another is chosen."""
    app.call(prepare, Queue)
    with Writing(place(live), Queue) as writing:
        for _ in range(RESTARTS):
            writing.await_more(MANY)
            live.deployment.restart(service)
        writing.await_more(MANY)
    there = app.call(stored, Queue)
    record_property("note", f"{RESTARTS} restarts: {writing.tally.figure(there)}")
    assert writing.tally.lost(there) == 0
    assert writing.tally.gap < REDIS_SECONDS


def test_services_go_on_without_the_kubelet(live: NodeLive, app: Consumer, record_property: Record) -> None:
    app.call(prepare, Postgres)
    way = Gateway(HOST, live.port, str(live.ca_file), live.address)
    with Writing(place(live), Postgres, 2) as inside, Writing(None, way, 2) as outside:
        with live.deployment.without_kubelet():
            for writing in (inside, outside):
                writing.await_more(MANY)
        for writing in (inside, outside):
            writing.await_more()
    found = [(writing.tally, app.call(stored, kept)) for writing, kept in ((inside, Postgres), (outside, DemoStore))]
    record_property("note", "kubelet killed: " + "; ".join(tally.figure(there) for tally, there in found))
    assert [tally.lost(there) for tally, there in found] == [0, 0]
    assert max(tally.gap for tally, _ in found) < UNNOTICED_SECONDS


def kill(live: NodeLive, primary: str) -> None:
    """End the container without a word; its pod stays."""
    live.process(primary, "postgres").kill()


def delete(live: NodeLive, primary: str) -> None:
    """End everything of the pod, its network included."""
    live.deployment.lose(primary)


@pytest.mark.parametrize("lose", [kill, delete])
@pytest.mark.parametrize("service", ["postgres"])
def test_another_postgres_takes_the_place_of_a_lost_primary(
    live: NodeLive, app: Consumer, service: str, lose: Loss, record_property: Record
) -> None:
    app.call(prepare, Postgres)
    primary = whole(live.deployment, service)
    with Writing(place(live), Postgres) as writing:
        writing.await_more(MANY)
        lose(live, primary)
        writing.await_more(MANY)
    whole(live.deployment, service)
    there = app.call(stored, Postgres)
    record_property("note", f"{lose.__name__}: {writing.tally.figure(there)}")
    assert writing.tally.lost(there) == 0
    assert writing.tally.gap < POSTGRES_SECONDS
    assert lose is kill or live.deployment.primary(service) != primary


@pytest.mark.parametrize("service", ["postgres"])
def test_a_postgres_that_awaits_no_standby_loses(
    live: NodeLive, app: Consumer, service: str, record_property: Record
) -> None:
    app.call(prepare, Postgres)
    lost = 0
    # The server writes every 200 ms of its own accord: one kill in fifty comes just after that.
    for _ in range(3):
        primary = whole(live.deployment, service)
        with Writing(place(live), CarelessPostgres) as writing:
            delete(live, primary)
            writing.await_more()
        # The writers may have been with one pooler, and another not know the new primary yet.
        whole(live.deployment, service)
        lost = writing.tally.lost(app.call(stored, Postgres))
        if lost:
            break
    record_property("note", f"control: {lost} lost")
    assert lost > 0, "the counter sees no loss"


def whole(deployment: NodeDeployment, service: str) -> str:
    """The primary of a PostgreSQL, once all of its instances are there."""
    wait_until(f"all of {service}", WHOLE_SECONDS, lambda: deployment.is_whole(service), lambda: "see its status")
    return deployment.primary(service)
