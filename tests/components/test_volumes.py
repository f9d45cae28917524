"""What is done to a running set whose volumes grow, and what is left alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pulumi
import pytest

from components.core.types import shortest
from stacks.compose import compose
from stacks.config import parse
from tests.support.recording import CLUSTER, Recorded, kubernetes, run

BASE = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3},
    "owner": "team-platform",
}
QUEUE: dict[str, Any] = {"kind": "redis", "role": "queue", "storage": "2Gi", "replicas": 3}


class Kubectl:
    """Stands for the program and the cluster behind it."""

    def __init__(self, template: str, **claims: str) -> None:
        self._template = template
        self._objects = {
            "persistentvolumeclaims": [described(name.replace("_", "-"), size) for name, size in claims.items()]
        }
        self.sets("queue", "other")
        self.done: list[tuple[str, ...]] = []

    def sets(self, *names: str) -> None:
        """Which sets there are."""
        spec = {"volumeClaimTemplates": [described("data", self._template)]}
        self._objects["statefulsets"] = [{"metadata": {"name": name}, "spec": spec} for name in names]

    def __call__(self, cluster: object, *words: str) -> str:
        assert words[:2] == ("--namespace", "groundwork-test")
        if words[2] == "get":
            return json.dumps({"items": self._objects[words[3]]})
        self.done.append(words[2:])
        return ""


def described(name: str, size: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"resources": {"requests": {"storage": size}}}}


def declare(
    preview: bool = False, reshaped: frozenset[str] = frozenset(), store: dict[str, Any] | None = None, **fields: Any
) -> tuple[Any, dict[str, Any]]:
    """The target, and the set of the queue as it is declared."""
    services = {"queue": {**QUEUE, **fields}, **({"store": store} if store else {})}
    environment = parse("test", BASE, services)
    targets: list[Any] = []

    def program() -> None:
        targets.append(kubernetes("test", environment.placement, cluster=CLUSTER))
        targets[0].growth = lambda: None
        compose(environment, targets[0], reshaped)

    recorded: list[Recorded] = run(program, preview=preview)
    return targets[0], next(resource.inputs for resource in recorded if resource.name == "queue-set")


def grown(
    monkeypatch: pytest.MonkeyPatch, kubectl: Kubectl, service: str = "queue", before: str = "1Gi"
) -> list[tuple[str, ...]]:
    """What is done before the component `service` changes, whose volume had the size `before`."""
    monkeypatch.setattr("components.targets.kubernetes.volumes.kubectl", kubectl)
    target, _ = declare()
    old, new = ({"growing": {"storage": size}} for size in (before, "2Gi"))
    asyncio.run(target._volumes.grow(pulumi.ResourceHookArgs("urn", "", service, "type", new, old)))
    return kubectl.done


def patch(claim: str) -> tuple[str, ...]:
    change = '--patch={"spec": {"resources": {"requests": {"storage": "2Gi"}}}}'
    return ("patch", "persistentvolumeclaim", claim, "--type=merge", change)


ORPHAN = ("delete", "statefulset", "queue", "--cascade=orphan", "--ignore-not-found")


def test_claims_grow_first_and_the_set_goes_without_its_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = Kubectl("1Gi", data_queue_0="1Gi", data_queue_1="1024Mi", data_queue_2="2Gi")
    assert grown(monkeypatch, kubectl) == [patch("data-queue-0"), patch("data-queue-1"), ORPHAN]


def test_claims_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("data_other_0", "data_queue_x", "data_queue", "logs_queue_0", "data_queue_b_0", "queue_0")
    assert grown(monkeypatch, Kubectl("2Gi", **dict.fromkeys(names, "1Gi"), foreign="1500M")) == []


@pytest.mark.parametrize(
    ("template", "claim", "done"),
    [
        ("2Gi", "1Gi", [patch("data-queue-0")]),
        ("1Gi", "4Gi", [ORPHAN]),
        ("2Gi", "2Gi", []),
        ("4Gi", "4Gi", []),
    ],
)
def test_what_is_large_enough_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, template: str, claim: str, done: list[tuple[str, ...]]
) -> None:
    assert grown(monkeypatch, Kubectl(template, data_queue_0=claim)) == done


@pytest.mark.parametrize("before", ["2Gi", "2048Mi", "4Gi"])
def test_a_change_without_growth_asks_nobody(monkeypatch: pytest.MonkeyPatch, before: str) -> None:
    assert grown(monkeypatch, Kubectl("1Gi", data_queue_0="1Gi"), before=before) == []


def test_a_service_without_a_set_has_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    assert grown(monkeypatch, Kubectl("1Gi", data_queue_0="1Gi"), "postgres") == []


def test_each_set_of_a_service_grows_by_its_own_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = Kubectl("1Gi", data_store_1_0="1Gi", data_store_2_0="1Gi", data_store_keeper_0="1Gi", data_store_0="1Gi")
    kubectl.sets("store-1", "store-2", "store-keeper", "store")
    monkeypatch.setattr("components.targets.kubernetes.volumes.kubectl", kubectl)
    store = {"kind": "clickhouse", "replicas": 2, "shards": 2, "storage": "2Gi", "keeper": {"storage": "1Gi"}}
    target, _ = declare(store=store)
    old, new = ({"growing": {"storage": size}} for size in ("1Gi", "2Gi"))
    asyncio.run(target._volumes.grow(pulumi.ResourceHookArgs("urn", "", "store", "type", new, old)))
    orphans = [
        ("delete", "statefulset", name, "--cascade=orphan", "--ignore-not-found") for name in ("store-1", "store-2")
    ]
    assert sorted(kubectl.done) == sorted([patch("data-store-1-0"), patch("data-store-2-0"), *orphans])


def test_a_set_keeps_its_volumes_unless_they_are_given_up() -> None:
    sets = (declare(deletion_protection=answer)[1] for answer in (True, False))
    policies = [found["spec"]["persistentVolumeClaimRetentionPolicy"] for found in sets]
    assert [policy["whenDeleted"] for policy in policies] == ["Retain", "Delete"]
    assert [policy["whenScaled"] for policy in policies] == ["Retain", "Retain"]


@pytest.mark.parametrize(
    ("preview", "reshaped", "hidden"),
    [(True, {"queue"}, True), (False, {"queue"}, False), (True, set(), False)],
)
def test_only_a_preview_keeps_a_set_of_another_shape_from_the_server(
    preview: bool, reshaped: set[str], hidden: bool
) -> None:
    _, manifest = declare(preview, frozenset(reshaped))
    assert ("status" in manifest) == hidden


@pytest.mark.parametrize(
    ("size", "kept"), [("1024Mi", "1Gi"), ("1536Mi", "1536Mi"), ("200Gi", "200Gi"), ("2048Gi", "2Ti"), ("7Mi", "7Mi")]
)
def test_a_size_is_written_as_the_server_keeps_it(size: str, kept: str) -> None:
    """Another form of the same size would be a difference, for which the set is replaced."""
    assert shortest(size) == kept
