"""A message that nobody can handle is tried again when its queue says, and rests with the dead letters in the end."""

from __future__ import annotations

import time
import uuid

import pytest

from tests.live import clients
from tests.live.consumer import Consumer
from tests.live.environment import DOCKER, NODE, SETTINGS, Live, Record
from tests.live.written import Events

TARGETS = (DOCKER, NODE)
QUEUE = "retried"
LATE_SECONDS = 1
PATIENCE_SECONDS = 20


class Retried(Events):
    """The queue that tries again."""

    queue = QUEUE


def reject_all(body: str) -> list[tuple[str, float]]:
    """Publish a message and reject it whenever it comes: in which queue it came, and seconds since the last time."""
    Retried().write(body)
    channel = clients.rabbitmq("events")
    seen: list[tuple[str, float]] = []
    last, end = time.monotonic(), time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        for queue in (QUEUE, f"{QUEUE}.dead"):
            delivery, _, found = channel.basic_get(queue)
            if delivery is None or found.decode() != body:
                continue
            now = time.monotonic()
            seen.append((queue, now - last))
            last = now
            if queue != QUEUE:
                channel.basic_ack(delivery.delivery_tag)
                return seen
            channel.basic_nack(delivery.delivery_tag, requeue=False)
        time.sleep(0.02)
    return seen


@pytest.mark.parametrize("service", ["events"])
def test_a_rejected_message_comes_again_as_declared(
    live: Live, app: Consumer, service: str, record_property: Record
) -> None:
    retry = next(queue["retry"] for queue in SETTINGS[service]["queues"] if queue["name"] == QUEUE)
    first = int(retry["first"].removesuffix("s"))
    waits = [first * retry["factor"] ** number for number in range(retry["attempts"] - 1)]
    seen = app.call(reject_all, uuid.uuid4().hex)
    record_property("note", f"again after {', '.join(f'{seconds:.1f} s' for _, seconds in seen[1:-1])}")
    assert [queue for queue, _ in seen] == [QUEUE] * retry["attempts"] + [f"{QUEUE}.dead"]
    for (_, seconds), least in zip(seen, [0, *waits, 0], strict=True):
        assert least <= seconds < least + LATE_SECONDS


@pytest.mark.parametrize("service", ["events"])
def test_what_is_accepted_does_not_come_again(live: Live, app: Consumer, service: str) -> None:
    """The control: the same message, taken."""
    assert app.call(accept, uuid.uuid4().hex) == [QUEUE]


def accept(body: str) -> list[str]:
    """Publish a message, accept it, and say where it came until every retry would be over."""
    Retried().write(body)
    channel = clients.rabbitmq("events")
    seen, end = [], time.monotonic() + 4
    while time.monotonic() < end:
        for queue in (QUEUE, f"{QUEUE}.dead"):
            delivery, _, found = channel.basic_get(queue, auto_ack=True)
            if delivery is not None and found.decode() == body:
                seen.append(queue)
        time.sleep(0.02)
    return seen
