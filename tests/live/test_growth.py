"""Volumes grow under servers that go on: what is asked of the cluster, and that nobody notices."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from ruamel.yaml import YAML

from tests.live.consumer import Consumer
from tests.live.environment import NODE, Live
from tests.live.failing import APP, place
from tests.live.writers import Writing
from tests.live.written import Postgres, Queue, Service, prepare, stored

TARGETS = (NODE,)
STORES: dict[str, type[Service]] = {"postgres": Postgres, "queue": Queue}
SIZES = {"postgres": {"storage": "2Gi", "wal_storage": "3Gi"}, "queue": {"storage": "2Gi"}}
CLAIMS = {
    **{f"data-queue-{number}": "2Gi" for number in range(3)},
    **{f"postgres-{number}": "2Gi" for number in (1, 2, 3)},
    **{f"postgres-{number}-wal": "3Gi" for number in (1, 2, 3)},
}


def test_volumes_grow_under_running_pods(live: Live, record_property: Callable[[str, object], None]) -> None:
    before, smaller = pods(live), claims(live)
    assert {claim: size for claim, size in smaller.items() if size == CLAIMS.get(claim)} == {}
    with Consumer(live.process(*APP).pid) as inside:
        for store in STORES.values():
            inside.call(prepare, store)
    with ExitStack() as stack:
        writing = {name: stack.enter_context(Writing(place(live), store, 1)) for name, store in STORES.items()}
        configure(live)
        live.up()
        for writers in writing.values():
            writers.await_more()
    with Consumer(live.process(*APP).pid) as inside:
        there = {name: inside.call(stored, store) for name, store in STORES.items()}
    figures = [f"{name} {writers.tally.figure(there[name])}" for name, writers in writing.items()]
    record_property("note", "\n".join(figures))
    assert pods(live) == before
    assert claims(live) == smaller | CLAIMS
    assert [writers.tally.lost(there[name]) for name, writers in writing.items()] == [0, 0]
    again = live.checkout.preview(live.name, "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr


def configure(live: Live) -> None:
    """Give the services larger volumes."""
    path = live.checkout.root / f"Pulumi.{live.name}.yaml"
    content: dict[str, Any] = YAML(typ="safe").load(path)
    for name, sizes in SIZES.items():
        content["config"]["groundwork:services"][name] |= sizes
    path.write_text(json.dumps(content), encoding="utf-8")


def pods(live: Live) -> dict[str, tuple[str, int]]:
    """Identity of each pod and how often its containers were restarted."""
    return {
        pod["metadata"]["name"]: (
            pod["metadata"]["uid"],
            sum(container["restartCount"] for container in pod["status"]["containerStatuses"]),
        )
        for pod in objects(live, "pods")
        if pod["status"]["phase"] == "Running"
    }


def claims(live: Live) -> dict[str, str]:
    """What each claim asks for."""
    return {
        claim["metadata"]["name"]: claim["spec"]["resources"]["requests"]["storage"]
        for claim in objects(live, "persistentvolumeclaims")
    }


def objects(live: Live, kind: str) -> list[dict[str, Any]]:
    words = ("--namespace", f"groundwork-{live.name}", "get", kind, "--output=json")
    return list(json.loads(live.checkout.kubectl(*words, node=True))["items"])
