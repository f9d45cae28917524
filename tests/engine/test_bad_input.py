"""Mistakes and missing things, through the real commands: one clear message, a failing exit code, nothing changed."""

from __future__ import annotations

import pytest

from tests.support.checkout import Checkout

MISTAKES = {
    "unknown key": ("owner: team-platform", "owner: team-platform\n    colour: red", "environment.colour: unknown key"),
    "wrong type": ("zones: 3", "zones: many", "environment.placement.zones: many given"),
    "unknown service": ("uses: [", "uses: [mongo, ", "mongo given; no service has that name"),
    "cache policy on a queue": (
        "role: queue",
        "role: queue\n      eviction: allkeys-lru",
        "queue.eviction: allkeys-lru given",
    ),
    "even quorum": ("role: cache", "role: cache\n      replicas: 2", "cache.replicas: 2 given"),
    "region outside residency": (
        "region: eu-central-1",
        "region: us-east-1",
        "us-east-1 given; outside the residency list",
    ),
    "a version that is too old": (
        "storage: 200Gi",
        'storage: 200Gi\n      version: "13"',
        "postgres.version: 13 given; PostgreSQL before 14 is not supported; allowed: 17, 18",
    ),
    "versions that don't go together": (
        "groundwork:services:",
        'groundwork:services:\n    events: {kind: app, image: "docker.io/apache/kafka:4.3.1"}\n'
        '    traces: {kind: app, image: "docker.io/grafana/tempo:3.0.3", uses: [events]}',
        "traces.image: docker.io/grafana/tempo:3.0.3 given; Tempo before 3.1 can't use Kafka over TLS",
    ),
    "no such context": (
        "cluster: embedded",
        "cluster: {context: nowhere, kubeconfig: /nonexistent/config, storage_class: fast}",
        "there is no such kubeconfig",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def stack(checkout: Checkout) -> None:
    started = checkout.run_toolchain("cluster", "start")
    assert started.returncode == 0, started.stdout + started.stderr
    checkout.init("prod")


@pytest.mark.parametrize(("old", "new", "says"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_in_the_yaml(checkout: Checkout, old: str, new: str, says: str) -> None:
    checkout.edit("Pulumi.prod.yaml", old, new)
    try:
        done = checkout.pulumi("up", "--yes", "--skip-preview", "--stack", "prod")
    finally:
        checkout.restore("Pulumi.prod.yaml")
    report = done.stdout + done.stderr
    assert done.returncode != 0
    assert says in report, report
    assert "Traceback" not in report
    assert_nothing_deployed(checkout)


def test_the_cluster_does_not_answer(checkout: Checkout) -> None:
    assert checkout.run_toolchain("cluster", "stop").returncode == 0
    try:
        done = checkout.pulumi("up", "--yes", "--skip-preview", "--stack", "prod")
    finally:
        assert checkout.run_toolchain("cluster", "start").returncode == 0
    assert done.returncode != 0
    assert "does not answer" in done.stdout + done.stderr
    assert_nothing_deployed(checkout)


def test_an_unknown_environment(checkout: Checkout) -> None:
    done = checkout.groundwork("up", "staging")
    assert done.returncode != 0
    assert "staging given; there is no Pulumi.staging.yaml; allowed: dev, local, prod" in done.stderr


def test_yaml_that_is_none(checkout: Checkout) -> None:
    checkout.edit("Pulumi.prod.yaml", "config:", "config: [")
    try:
        done = checkout.groundwork("up", "prod")
    finally:
        checkout.restore("Pulumi.prod.yaml")
    assert done.returncode != 0
    assert "Pulumi.prod.yaml: no valid YAML" in done.stderr
    assert "Traceback" not in done.stderr


def assert_nothing_deployed(checkout: Checkout) -> None:
    kinds = {resource["type"] for resource in checkout.state("prod").get("resources", [])}
    # The second one is the engine itself, whom the program asks for what is deployed.
    assert kinds <= {"pulumi:pulumi:Stack", "pulumi:providers:pulumi"}
