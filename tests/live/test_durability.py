"""What is acknowledged is brought to disk, as each service promises; beside each, a control that promises less."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.live.consumer import Consumer
from tests.live.environment import DOCKER, NODE, Live, Record
from tests.live.failing import await_
from tests.live.syncs import syncs
from tests.live.written import Cache, CarelessPostgres, Postgres, Queue, Service, prepare

TARGETS = (DOCKER, NODE)
WRITES = 50


def write(service: Callable[[], Service], number: int) -> None:
    """Write so many values, each once the one before it is acknowledged."""
    writer = service()
    for value in range(number):
        writer.write(str(value))


@pytest.mark.parametrize("service", ["postgres"])
def test_each_transaction_is_on_disk_when_it_is_acknowledged(
    live: Live, app: Consumer, service: str, record_property: Record
) -> None:
    found: dict[type[Service], int] = {}
    for store in (Postgres, CarelessPostgres):
        app.call(prepare, store)
        with syncs(live.containers(service, "postgres")) as counts:
            app.call(write, store, WRITES)
            found[store] = max(count.count for count in counts)
    careful, careless = found.values()
    record_property("note", f"{careful} syncs for {WRITES} transactions; control: {careless}")
    assert careful >= WRITES
    assert careless < WRITES, "the counter counts something else"


@pytest.mark.parametrize("service", ["queue"])
def test_each_server_brings_a_queue_to_disk_within_seconds(live: Live, app: Consumer, service: str) -> None:
    app.call(prepare, Queue)
    with syncs(live.containers(service, "redis")) as counts:
        app.call(write, Queue, WRITES)
        await_("every server to bring its writes to disk", lambda: all(count.count for count in counts))


@pytest.mark.parametrize("service", ["cache"])
def test_a_cache_troubles_no_disk(live: Live, app: Consumer, service: str) -> None:
    """The control of the one above, for as long as that may take."""
    app.call(prepare, Queue)
    app.call(prepare, Cache)
    with syncs(live.containers("queue", "redis")) as of_queue, syncs(live.containers(service, "redis")) as of_cache:
        app.call(write, Cache, WRITES)
        app.call(write, Queue, WRITES)
        await_("the queue to be on disk", lambda: all(count.count for count in of_queue))
        assert [count.count for count in of_cache] == [0]
