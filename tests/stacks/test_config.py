"""Mistakes in an environment's YAML: found all at once, each with path, value, what is allowed and the fix."""

from typing import Any

import pytest

from components.core.problems import ConfigError
from stacks.config import parse

ENVIRONMENT: dict[str, Any] = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3},
    "owner": "team-platform",
}
SERVICES: dict[str, Any] = {
    "postgres": None,
    "cache": {"kind": "redis", "role": "cache"},
    "api": {"kind": "app", "image": "registry.example/api:1.0.0", "uses": ["postgres", "cache"]},
}


def mistakes(environment: Any = ENVIRONMENT, services: Any = SERVICES) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse("dev", environment, services)
    return [str(problem) for problem in caught.value.problems]


def with_service(name: str, **settings: Any) -> dict[str, Any]:
    return {**SERVICES, name: {**(SERVICES.get(name) or {}), **settings}}


def test_compliant_baseline_loads_in_dependency_order() -> None:
    environment = parse("dev", ENVIRONMENT, {"api": SERVICES["api"], **SERVICES})
    assert list(environment.services)[-1] == "api"
    assert {spec.owner for spec in environment.services.values()} == {"team-platform"}


def test_unknown_key_of_a_service() -> None:
    found = mistakes(services=with_service("postgres", storge="10Gi"))
    assert found[0].startswith("groundwork:services.postgres.storge: unknown key; did you mean `storage`? Allowed: ")


def test_unknown_key_of_the_environment() -> None:
    found = mistakes({**ENVIRONMENT, "regoin": "eu-central-1"})
    assert found[0].startswith("groundwork:environment.regoin: unknown key; ")


def test_missing_field_says_what_it_means() -> None:
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "cluster"}
    assert mistakes(environment) == [
        "groundwork:environment.cluster: missing; add `cluster:`; "
        "allowed: embedded, node, or your own: {context: NAME, storage_class: NAME}"
    ]
    placement = {key: value for key, value in ENVIRONMENT.items() if key not in ("cluster", "placement")}
    assert [mistake.split(":")[1].split(".")[1] for mistake in mistakes(placement)] == ["cluster", "placement"]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        (
            {"target": "docker", "cluster": "embedded"},
            "cluster: given; with target: docker there is none; remove it or set target: kubernetes",
        ),
        (
            {"cluster": "node", "placement": {"region": "eu-central-1", "zones": 3}},
            "placement.zones: 3 given; cluster: node is one node in one zone; set 1",
        ),
        (
            {"cluster": "embedded", "docker": "auto"},
            "docker: given; with target: kubernetes there is none; remove it or set target: docker",
        ),
        (
            {"target": "docker", "docker": {"host": "localhost"}},
            "docker.host: localhost given; allowed: an address that begins with unix://, ssh://, tcp://, npipe://",
        ),
        (
            {"cluster": "embedded", "images": {"registry": "https://mirror.example"}},
            "images.registry: https://mirror.example given; allowed: a registry such as "
            "mirror.example:5000/groundwork, without a scheme",
        ),
    ],
)
def test_settings_of_the_other_target(environment: dict[str, Any], says: str) -> None:
    base = {key: value for key, value in ENVIRONMENT.items() if key != "cluster"}
    assert mistakes({**base, **environment}) == [f"groundwork:environment.{says}"]


def test_a_name_that_would_blur_an_edge() -> None:
    (mistake,) = mistakes(services={"a--b": {"kind": "redis", "role": "cache"}})
    assert "two hyphens in a row divide the ends of an edge; rename it" in mistake


@pytest.mark.parametrize("services", [None, [], "postgres", {}])
def test_services_of_a_wrong_shape(services: Any) -> None:
    assert any("needs a mapping of service names to settings" in line for line in mistakes(services=services))


def test_service_of_a_wrong_shape() -> None:
    assert mistakes(services={**SERVICES, "postgres": ["a"]}) == [
        "groundwork:services.postgres: a list given; needs a mapping of settings, or nothing for the defaults"
    ]


def test_wrong_type_of_a_field() -> None:
    (line,) = mistakes(services=with_service("postgres", uses="cache"))
    assert line.startswith("groundwork:services.postgres.uses: cache given; ")


def test_unknown_kind_suggests_the_closest() -> None:
    found = mistakes(services={**SERVICES, "postgrse": None})
    assert found == [
        "groundwork:services.postgrse.kind: postgrse given; there is no such kind of service; did you mean postgres? "
        "Allowed: app, clickhouse, kafka, nats, nginx, objects, postgres, rabbitmq, redis"
    ]


def test_unknown_service_in_uses() -> None:
    found = mistakes(services=with_service("api", uses=["postgers"]))
    assert found == [
        "groundwork:services.api.uses: postgers given; no service has that name; did you mean postgres? "
        "Allowed: cache, postgres"
    ]


def test_a_service_that_uses_itself() -> None:
    (line,) = mistakes(services=with_service("api", uses=["api"]))
    assert line == "groundwork:services.api.uses: api given; a service can't use itself; remove it"


def test_a_circle_names_its_edges() -> None:
    (line,) = mistakes(
        services={
            "a": {"kind": "app", "image": "registry.example/a:1.0.0", "uses": ["b"]},
            "b": {"kind": "app", "image": "registry.example/b:1.0.0", "uses": ["a"]},
        }
    )
    assert "use one another in a circle; remove one of these edges" in line
    assert "a -> b -> a" in line or "b -> a -> b" in line


def test_region_outside_the_residency_list() -> None:
    placement = {"region": "us-east-1", "residency": ["eu-central-1", "eu-west-1"]}
    assert mistakes({**ENVIRONMENT, "placement": placement}) == [
        "groundwork:environment.placement.region: us-east-1 given; outside the residency list (regional-placement); "
        "allowed: eu-central-1, eu-west-1; set one of them or add us-east-1 to residency"
    ]


def test_own_cluster_needs_exactly_one_kind_of_storage() -> None:
    found = mistakes({**ENVIRONMENT, "cluster": {"context": "mine"}})
    assert any("neither storage_class and provisioner given; set one" in line for line in found)


def test_every_mistake_is_reported_in_one_pass() -> None:
    found = mistakes(
        {**ENVIRONMENT, "profile": "production"},
        {**with_service("api", uses=["nothing"]), "cache": {"kind": "redis", "role": "cache", "colour": "red"}},
    )
    paths = [line.split(": ")[0] for line in found]
    assert paths == [
        "groundwork:environment.profile",
        "groundwork:services.api.uses",
        "groundwork:services.cache.colour",
    ]
