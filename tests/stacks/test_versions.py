"""Versions that an environment may not run, and the answer to each when it loads."""

from __future__ import annotations

from typing import Any

import pytest

from components.core.compatibility import load_matrix
from components.core.problems import ConfigError
from stacks.config import parse
from stacks.versions import parts_of, platform_texts
from tests.support.environments import committed, load
from tests.support.recording import record

ENVIRONMENT: dict[str, Any] = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3},
    "owner": "team-platform",
}


def app(image: str, **settings: Any) -> dict[str, Any]:
    return {"kind": "app", "image": image, **settings}


def mistakes(services: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse("dev", ENVIRONMENT, services)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("13", "13 given; PostgreSQL before 14 is not supported"),
        ("19", "19 given; PostgreSQL after 18 is not supported"),
        ("15", "15 given; no release of PostgreSQL 15 is tested"),
        ("17.2", "17.2 given; no release of PostgreSQL 17.2 is tested"),
    ],
)
def test_a_version_that_nobody_may_choose(version: str, says: str) -> None:
    expected = f'groundwork:services.postgres.version: {says}; allowed: 17, 18; set version: "18" or remove it'
    assert mistakes({"postgres": {"version": version}}) == [expected]


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (18.6, "18.6 given; put it in quotes, since YAML takes 8.10 for the number 8.1"),
        ("newest", 'newest given; allowed: a version such as "17" or "8.10"'),
        (True, 'true given; text is needed (Version of the server or its beginning, such as "17")'),
    ],
)
def test_a_version_that_is_none(version: Any, says: str) -> None:
    assert mistakes({"postgres": {"version": version}}) == [f"groundwork:services.postgres.version: {says}"]


def test_a_server_with_one_release_has_no_version_to_choose() -> None:
    (mistake,) = mistakes({"cache": {"kind": "redis", "role": "cache", "version": "7"}})
    assert mistake.startswith("groundwork:services.cache.version: unknown key; ")


@pytest.mark.parametrize("version", [17, "17", "17.11"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_a_chosen_version_is_what_is_deployed(version: object, replicas: int) -> None:
    environment = parse("dev", ENVIRONMENT, {"postgres": {"version": version, "replicas": replicas}})
    platform, recorded = record(environment)
    assert platform.components["postgres"].facts["version"] == "17.11"
    deployed = str([resource.manifest for resource in recorded])
    assert ("postgresql:17.11-system-trixie" if replicas > 1 else "library/postgres:17.11-trixie") in deployed
    assert ":18." not in deployed


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (
            "docker.io/library/postgres:13.5",
            "PostgreSQL before 14 is not supported; allowed: 14 to 18; name an image of version 18",
        ),
        (
            "mirror.example/docker.io/library/redis:9.0",
            "Redis after 8.10 is not supported; allowed: 6.2 to 8.10; name an image of version 8.10",
        ),
        (
            "docker.io/library/rabbitmq:3.12.14-alpine",
            "RabbitMQ before 3.13 is not supported; allowed: 3.13 to 4.3; name an image of version 4.3",
        ),
    ],
)
def test_an_image_of_one_s_own_is_held_to_the_same_bounds(image: str, says: str) -> None:
    assert mistakes({"store": app(image)}) == [f"groundwork:services.store.image: {image} given; {says}"]


def test_a_gateway_s_own_image_too() -> None:
    image = "docker.io/library/nginx:1.26.3"
    gateway = {"kind": "nginx", "image": image, "hosts": ["a.example.com"], "routes": [{"path": "/", "to": "api"}]}
    assert mistakes({"api": app("registry.example/api:1.0.0"), "gateway": gateway}) == [
        f"groundwork:services.gateway.image: {image} given; nginx before 1.27.3 is not supported; "
        "allowed: 1.27.3 to 1.31; name an image of version 1.30"
    ]


@pytest.mark.parametrize(("name", "title"), [("tempo", "Tempo"), ("mimir", "Mimir")])
def test_what_can_t_use_kafka_over_tls(name: str, title: str) -> None:
    kafka = app("docker.io/apache/kafka:4.3.1")
    image = f"docker.io/grafana/{name}:3.0.3"
    assert mistakes({"kafka": kafka, name: app(image, uses=["kafka"])}) == [
        f"groundwork:services.{name}.image: {image} given; {title} before 3.1 can't use Kafka over TLS, and Kafka "
        "listens with nothing else here; allowed: 3.1 or later; name an image of version 3.1 or remove kafka from uses"
    ]
    parse("dev", ENVIRONMENT, {"kafka": kafka, name: app(image)})
    parse("dev", ENVIRONMENT, {"kafka": kafka, name: app(f"docker.io/grafana/{name}:3.1.0", uses=["kafka"])})


def test_a_kafka_that_its_operator_does_not_run() -> None:
    operator, image = app("quay.io/strimzi/operator:1.2.0"), "docker.io/apache/kafka:4.1.0"
    assert mistakes({"kafka": app(image), "operator": operator}) == [
        f"groundwork:services.kafka.image: {image} given; Strimzi 1.2 runs Kafka 4.2 and 4.3; allowed: 4.2 to 4.3; "
        "name an image of version 4.2 or remove operator"
    ]
    parse("dev", ENVIRONMENT, {"kafka": app("docker.io/apache/kafka:4.2.1"), "operator": operator})


@pytest.mark.parametrize(
    ("version", "replicas", "says"),
    [
        ("1.31.9", 1, ["Kubernetes before 1.32 is not supported; allowed: 1.32 to 1.37"]),
        ("1.38.0", 1, ["Kubernetes after 1.37 is not supported; allowed: 1.32 to 1.37"]),
        ("1.33.4", 1, []),
        ("1.33.4", 3, ["CloudNativePG 1.30 supports Kubernetes 1.34 to 1.36; allowed: 1.34 to 1.36"]),
        ("1.37.1", 3, ["CloudNativePG 1.30 supports Kubernetes 1.34 to 1.36; allowed: 1.34 to 1.36"]),
        ("1.36.3", 3, []),
    ],
)
def test_kubernetes_fits_what_runs_on_it(version: str, replicas: int, says: list[str]) -> None:
    environment = parse("dev", ENVIRONMENT, {"postgres": {"replicas": replicas}})
    assert platform_texts("kubernetes", version, environment.services) == says


@pytest.mark.parametrize("name", committed())
def test_every_server_of_a_committed_environment_is_in_the_matrix(name: str) -> None:
    matrix = load_matrix()
    parts = [part for service, spec in load(name).services.items() for part in parts_of(service, spec, matrix)]
    assert {"postgres", "redis", "nginx"} <= {part.system for part in parts} <= set(matrix.systems)
    assert all(part.version for part in parts)
