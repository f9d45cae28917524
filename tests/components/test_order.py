"""The order in which objects are made: Pulumi has few workers, and whose processes are waited for takes one."""

from __future__ import annotations

from typing import Any

import pytest

from stacks.config import parse
from tests.support.recording import Recorded, record

PLACE = {"profile": "local", "placement": {"region": "eu-central-1"}, "owner": "team-test"}
_BACKUP: dict[str, Any] = {"backup": {"to": "objects"}, "restore": {"store": "objects"}}
_QUEUE: dict[str, Any] = {
    "exchanges": [{"name": "e", "type": "direct"}],
    "queues": [{"name": "q"}],
    "bindings": [{"exchange": "e", "queue": "q", "key": "k"}],
}
TOGETHER: dict[str, Any] = {
    "cache": {"kind": "redis", "role": "cache", "replicas": 3},
    "events": {"kind": "rabbitmq", "replicas": 3, "storage": "1Gi", **_QUEUE, "backup": {"to": "objects"}},
    "bus": {
        "kind": "nats", "replicas": 3, "storage": "1Gi", **_BACKUP,
        "streams": [{"name": "S", "subjects": ["s"], "max_bytes": "1Mi"}],
    },
    "log": {"kind": "kafka", "replicas": 3, "storage": "10Gi", "controllers": {}, "topics": [{"name": "t"}]},
}  # fmt: skip
"""Services whose instances find each other before any of them is ready."""
SERVICES: dict[str, Any] = {
    "objects": {},
    "postgres": {"storage": "1Gi", **_BACKUP},
    "queue": {"kind": "redis", "role": "queue", "storage": "1Gi", **_BACKUP},
    "media": {"kind": "objects", "storage": "1Gi", "buckets": [{"name": "media", "users": ["api"]}], **_BACKUP},
    "store": {
        "kind": "clickhouse", "storage": "10Gi",
        "tables": [{"name": "metrics", "columns": {"at": "DateTime"}, "order_by": ["at"]}], **_BACKUP,
    },
    **TOGETHER,
    "api": {"kind": "app", "image": "registry.example/api:1", "replicas": 2, "uses": ["postgres", "media", *TOGETHER]},
}  # fmt: skip


class Process:
    """A container that runs a process, by what its labels say."""

    def __init__(self, resource: Recorded) -> None:
        labels = {one["label"].partition("/")[2]: one["value"] for one in resource.inputs["labels"]}
        self.resource, self.urn = resource, resource.urn
        self.service, self.instance, self.container = (labels[one] for one in ("service", "instance", "container"))
        self.workload = self.instance.rpartition("-")[0]
        self.awaited = bool(resource.inputs.get("wait"))


@pytest.fixture(scope="module")
def recorded() -> list[Recorded]:
    return record(parse("test", {**PLACE, "target": "docker"}, SERVICES))[1]


@pytest.fixture(scope="module")
def processes(recorded: list[Recorded]) -> list[Process]:
    joined = [one for one in recorded if str(one.inputs.get("networkMode")).startswith("container:")]
    return [Process(one) for one in joined]


def earlier(recorded: list[Recorded], urn: str) -> set[str]:
    """Everything that is there before."""
    after = {one.urn: one.after for one in recorded}
    found: set[str] = set()
    left = [urn]
    while left:
        more = set(after.get(left.pop(), ())) - found
        found |= more
        left += more
    return found


def test_who_is_waited_for_needs_nobody_who_is_yet_to_be_made(
    recorded: list[Recorded], processes: list[Process]
) -> None:
    awaited = [one for one in processes if one.awaited]
    assert {one.service for one in awaited} == {*SERVICES} - {"api"}, "some are not looked at"
    for one in awaited:
        there = earlier(recorded, one.urn)
        beside = [other for other in processes if other.instance == one.instance and other is not one]
        alike = [other for other in processes if other.workload == one.workload and other.instance != one.instance]
        needed = [other for other in beside if other.container == "restore"]
        needed += [other for other in beside if one.urn not in earlier(recorded, other.urn)]
        needed += alike if one.service in TOGETHER else []
        assert [p.resource.name for p in needed if p.urn not in there] == [], f"{one.instance}/{one.container}"


def test_one_of_those_that_find_each_other_says_when_they_serve(processes: list[Process]) -> None:
    for service in TOGETHER:
        awaited = {one.instance for one in processes if one.service == service and one.awaited}
        workloads = {one.workload for one in processes if one.service == service}
        assert awaited == {f"{workload}-2" for workload in workloads}


def test_nobody_waits_for_backups(processes: list[Process]) -> None:
    backups = [one for one in processes if one.container in ("dump", "drill", "carrier")]
    assert len(backups) == 6 * 3
    assert [one.instance for one in backups if one.awaited] == []


def test_pods_start_after_everything_that_is_made_for_them() -> None:
    recorded = record(parse("test", {**PLACE, "cluster": "embedded"}, SERVICES))[1]
    objects = [(one, one.manifest) for one in recorded if one.manifest]
    sets = [(one, manifest) for one, manifest in objects if manifest["kind"] in ("Deployment", "StatefulSet")]
    assert len(sets) > len(SERVICES), "some are not looked at"
    for pods, manifest in sets:
        name = manifest["metadata"]["name"]
        own = [one for one, other in objects if other["metadata"]["name"] == name and one is not pods]
        assert own
        assert [one.name for one in own if one.urn not in pods.after] == []
