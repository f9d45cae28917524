"""A smaller environment for what takes an environment of its own: a database, a queue, and an app that uses both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.live.consumer import Consumer
from tests.live.environment import SETTINGS, Live, Say, configure_on_docker
from tests.live.environment import prepare as prepare_environment
from tests.live.failing import APP, place
from tests.live.writers import Tally, Writing
from tests.live.written import Postgres, Queue, Service, prepare, stored
from tests.support.checkout import Checkout

STORES: tuple[type[Service], ...] = (Postgres, Queue)
_USED = ("postgres", "queue")
_SERVICES: dict[str, Any] = {
    "postgres": SETTINGS["postgres"],
    "queue": {**SETTINGS["queue"], "replicas": 1},
    "api": {**SETTINGS["api"], "replicas": 1, "uses": _USED},
}


def small(name: str, folder: Path, host: str, say: Say) -> Live:
    """The smaller environment in a private checkout. Starts nothing."""
    environment = prepare_environment(name, folder, host, say)
    configure(environment.checkout, name)
    return environment


def configure(checkout: Checkout, name: str, generation: int = 1) -> None:
    """Write the settings of the smaller environment."""
    more = {"generation": generation} if generation > 1 else {}
    configure_on_docker(checkout, name, _SERVICES, **more)


def written(environment: Live, store: type[Service]) -> Tally:
    """Write for a while."""
    with Consumer(environment.process(*APP).pid) as app:
        app.call(prepare, store)
    with Writing(place(environment), store) as writing:
        writing.await_more()
    return writing.tally


def lost(environment: Live, tallies: Mapping[type[Service], Tally]) -> dict[type[Service], int]:
    """How much of what was acknowledged is not there."""
    with Consumer(environment.process(*APP).pid) as app:
        return {store: tally.lost(app.call(stored, store)) for store, tally in tallies.items()}
