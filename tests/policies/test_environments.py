"""The committed environments, as the program declares them, pass every rule; what a rule reads is really there."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from stacks.config import parse
from stacks.environment import Environment
from tests.policies.judge import Resources, judge
from tests.support.environments import committed, load
from tests.support.recording import record

Declared = tuple[tuple[str, str, Mapping[str, Any]], ...]


@cache
def _committed(environment: str) -> Declared:
    return _declared(load(environment))


def _declared(environment: Environment) -> Declared:
    _, recorded = record(environment)
    # The engine registers a component before its objects; mocks may answer in another order.
    ordered = sorted(recorded, key=lambda one: not one.type.startswith("groundwork:"))
    return tuple((one.type, one.name, one.inputs) for one in ordered)


def _resources(declared: Declared) -> Resources:
    names = {f"{name}-id": str(inputs.get("name")) for type_, name, inputs in declared if type_.startswith("docker:")}
    resources: Resources = {}
    for type_, name, inputs in declared:
        key = f"Component {name}" if type_.startswith("groundwork:") else f"{type_.rsplit(':', 1)[-1]} {name}"
        resources[key] = {"type": type_, "props": _named(dict(inputs), names)}
    return resources


def _named(value: Any, names: Mapping[str, str]) -> Any:
    """A value with containers meant by their names: the ids of mocks come from nowhere that a policy is told."""
    if isinstance(value, dict):
        return {key: _named(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_named(one, names) for one in value]
    prefix, separator, id_ = value.rpartition(":") if isinstance(value, str) else ("", "", value)
    return f"{prefix}{separator}{names[id_]}" if id_ in names else value


@pytest.mark.parametrize("environment", committed())
def test_a_committed_environment_has_no_finding(environment: str) -> None:
    assert judge(_resources(_committed(environment)), environment=environment) == {}


PLACE = {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1", "eu-west-1"]}
TARGETS: dict[str, dict[str, Any]] = {
    "local": {"profile": "local", "target": "docker"},
    "dev": {"profile": "dev", "cluster": {"context": "mine", "storage_class": "fast"}},
    "prod": {"profile": "prod", "cluster": {"context": "mine", "storage_class": "fast"}},
}
BACKED: dict[str, dict[str, Any]] = {
    "postgres": {},
    "queue": {"kind": "redis", "role": "queue", "storage": "1Gi"},
    "events": {
        "kind": "rabbitmq",
        "exchanges": [{"name": "e", "type": "topic"}],
        "queues": [{"name": "q"}],
        "bindings": [{"exchange": "e", "queue": "q", "key": "k"}],
    },
    "bus": {"kind": "nats", "streams": [{"name": "S", "subjects": ["s.>"], "max_bytes": "1Mi"}]},
    "clickhouse": {},
    "media": {"kind": "objects", "buckets": [{"name": "media", "users": ["api"]}]},
}


@pytest.mark.parametrize("environment", TARGETS)
def test_an_object_store_has_no_finding(environment: str) -> None:
    services = {
        "store": {"kind": "objects", "purpose": "Media", "buckets": [{"name": "media", "versioning": True}]},
        "api": {"kind": "app", "image": "registry.example/api:1.4.2", "uses": ["store"], "purpose": "Interface"},
    }
    written = {**TARGETS[environment], "placement": PLACE, "owner": "team-platform"}
    assert judge(_resources(_declared(parse(environment, written, services))), environment=environment) == {}


@pytest.mark.parametrize("environment", TARGETS)
def test_a_kafka_with_controllers_apart_has_no_finding(environment: str) -> None:
    log = {"kind": "kafka", "replicas": 3, "controllers": {}, "topics": [{"name": "orders"}], "purpose": "Log"}
    api = {"kind": "app", "image": "registry.example/api:1.4.2", "uses": ["log"], "purpose": "Interface"}
    written = {**TARGETS[environment], "placement": PLACE, "owner": "team-platform"}
    declared = _declared(parse(environment, written, {"log": log, "api": api}))
    assert judge(_resources(declared), environment=environment) == {}


@pytest.mark.parametrize("environment", ["local", "dev"])
def test_backups_of_every_kind_have_no_finding(environment: str) -> None:
    """prod's packs want them in another region, where no store of the environment is."""
    services = {name: {**one, "purpose": name, "backup": {"to": "other"}} for name, one in BACKED.items()}
    services["other"] = {"kind": "objects", "purpose": "Backups"}
    services["api"] = {"kind": "app", "image": "registry.example/api:1.4.2", "uses": [*BACKED], "purpose": "Interface"}
    written = {**TARGETS[environment], "placement": PLACE, "owner": "team-platform"}
    assert judge(_resources(_declared(parse(environment, written, services))), environment=environment) == {}


@pytest.mark.parametrize("environment", TARGETS)
def test_a_bucket_outside_is_reached_by_whom_the_pack_lets_out(environment: str) -> None:
    outside = {"bucket": "acme-media", "region": "eu-west-1", "credentials": "media"}
    services = {
        "media": {"kind": "objects", "purpose": "Media", "existing": outside},
        "api": {"kind": "app", "image": "registry.example/api:1.4.2", "uses": ["media"], "purpose": "Interface"},
    }
    written = {**TARGETS[environment], "placement": PLACE, "owner": "team-platform"}
    resources = _resources(_declared(parse(environment, written, services)))
    assert set(judge(resources, environment=environment)) == {"network-isolation"}
    let_out = {"network-isolation": {"outside_ports": {"api": [443]}}}
    assert judge(resources, environment=environment, config=let_out) == {}
    resources["Component media"]["props"]["region"] = "us-east-1"
    found = judge(resources, environment=environment, config=let_out)
    assert set(found) == {"regional-placement"}


@pytest.mark.parametrize("environment", TARGETS)
def test_a_service_of_several_parts_has_no_finding(environment: str) -> None:
    services = {
        "store": {"kind": "clickhouse", "replicas": 2, "shards": 2, "purpose": "Telemetry"},
        "api": {"kind": "app", "image": "registry.example/api:1.4.2", "uses": ["store"], "purpose": "Interface"},
    }
    written = {**TARGETS[environment], "placement": PLACE, "owner": "team-platform"}
    assert judge(_resources(_declared(parse(environment, written, services))), environment=environment) == {}
