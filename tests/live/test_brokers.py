"""No single server of a broker is needed: what was confirmed is there, and producers and consumers go on.

Each count of losses stands beside a control: the same count over messages that nobody confirmed sees a loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest

from tests.live.consumer import Consumer
from tests.live.environment import DOCKER, NODE, Live, Record
from tests.live.failing import MANY, place
from tests.live.writers import Writing
from tests.live.written import (
    Bus,
    BusReader,
    CarelessBus,
    CarelessEvents,
    CarelessLog,
    Events,
    EventsReader,
    Log,
    LogReader,
    Service,
    prepare,
    stored,
)
from toolchain.waiting import wait_until

TRIES = 5
WHOLE_SECONDS = 120


@dataclass(frozen=True)
class Broker:
    """How a service is used, and what its servers' container is called."""

    container: str
    written: Callable[[], Service]
    read: Callable[[], Service]
    careless: Callable[[], Service]
    seconds: int
    """Longest time without service."""


BROKERS = {
    "events": Broker("rabbitmq", Events, EventsReader, CarelessEvents, 20),
    "bus": Broker("nats", Bus, BusReader, CarelessBus, 20),
    "log": Broker("kafka", Log, LogReader, CarelessLog, 30),
}

KILLED = [("events", 0), ("events", 1), ("events", 2), ("bus", 0), ("bus", 1), ("bus", 2), ("log", 0)]
"""One of the first two leads, whichever it is. Of the three partitions of the last each server leads one."""


@pytest.mark.targets(DOCKER)
@pytest.mark.parametrize(("service", "number"), KILLED)
def test_a_killed_server_costs_nothing(
    live: Live, app: Consumer, service: str, number: int, record_property: Record
) -> None:
    instance, container = f"{service}-{number}", BROKERS[service].container
    record_property("note", costs_nothing(live, app, service, lambda: live.process(instance, container).kill()))


@pytest.mark.targets(NODE)
@pytest.mark.parametrize("service", BROKERS)
def test_a_deleted_server_costs_nothing(live: Live, app: Consumer, service: str, record_property: Record) -> None:
    """Its successor has another address."""
    record_property("note", costs_nothing(live, app, service, lambda: live.deployment.lose(f"{service}-0")))


@pytest.mark.targets(DOCKER)
@pytest.mark.parametrize("service", BROKERS)
def test_what_nobody_confirmed_is_lost(live: Live, app: Consumer, service: str, record_property: Record) -> None:
    broker, lost = BROKERS[service], 0
    for number in range(TRIES):
        await_whole(live, service)
        app.call(prepare, broker.written)
        with Writing(place(live), broker.careless) as writing:
            live.process(f"{service}-{number % 3}", broker.container).kill()
            writing.await_more()
        await_whole(live, service)
        lost = writing.tally.lost(app.call(stored, broker.written))
        if lost:
            break
    record_property("note", f"control: {lost} lost")
    assert lost > 0, "the counter sees no loss"


def costs_nothing(live: Live, app: Consumer, service: str, lose: Callable[[], None]) -> str:
    """Lose a server while a producer and a consumer are at work; what was measured."""
    broker = BROKERS[service]
    await_whole(live, service)
    app.call(prepare, broker.written)
    with Writing(place(live), broker.written) as writing, Writing(place(live), broker.read, 1) as reading:
        writing.await_more(MANY)
        lose()
        writing.await_more(MANY)
        reading.await_more(MANY)
    await_whole(live, service)
    there = app.call(stored, broker.written) | reading.tally.acknowledged.keys()
    assert writing.tally.lost(there) == 0
    assert writing.tally.gap < broker.seconds
    assert reading.tally.gap < broker.seconds
    return f"{writing.tally.figure(there)}; consumer {reading.tally.gap:.1f} s"


def await_whole(live: Live, service: str) -> None:
    """Until every server of it takes part again."""
    ready = partial(live.deployment.is_ready, service)
    wait_until(f"every server of {service}", WHOLE_SECONDS, ready, lambda: "see the logs of its containers")
