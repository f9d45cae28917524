"""Mistakes and missing things, through the real commands: one clear message, a failing exit code, nothing changed."""

from __future__ import annotations

import json

import pytest

from tests.support.checkout import Checkout

MATRIX = "policies/compatibility.json"

MISTAKES = {
    "unknown key": ("owner: team-platform", "owner: team-platform\n    colour: red", "environment.colour: unknown key"),
    "wrong type": ("zones: 3", "zones: many", "environment.placement.zones: many given"),
    "unknown service": ("uses: [", "uses: [mongo, ", "mongo given; no service has that name"),
    "cache policy on a queue": (
        "role: queue",
        "role: queue\n      eviction: allkeys-lru",
        "queue.eviction: allkeys-lru given",
    ),
    "even quorum": (
        "role: cache",
        "role: cache\n      replicas: 2",
        "groundwork:services.cache.replicas: 2 given; a Sentinel quorum needs an odd number, set 3\n",
    ),
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
        "groundwork:services.traces.image: docker.io/grafana/tempo:3.0.3 given; Tempo before 3.1 can't use Kafka over "
        "TLS, and Kafka listens with nothing else here; allowed: 3.1 or later; name an image of version 3.1 or remove "
        "events from uses\n",
    ),
    "metrics and Kafka": (
        "groundwork:services:",
        'groundwork:services:\n    metrics: {kind: app, image: "docker.io/grafana/mimir:3.0.3", uses: [kafka]}',
        "groundwork:services.metrics.image: docker.io/grafana/mimir:3.0.3 given; Mimir before 3.1 can't use Kafka over "
        "TLS, and Kafka listens with nothing else here; allowed: 3.1 or later; name an image of version 3.1 or remove "
        "kafka from uses\n",
    ),
    "a Kafka that its operator does not run": (
        "groundwork:services:",
        'groundwork:services:\n    old: {kind: app, image: "docker.io/apache/kafka:4.1.0"}\n'
        '    operator: {kind: app, image: "quay.io/strimzi/operator:1.2.0"}',
        "groundwork:services.old.image: docker.io/apache/kafka:4.1.0 given; Strimzi 1.2 runs Kafka 4.2 and 4.3; "
        "allowed: 4.2 to 4.3; name an image of version 4.2 or remove operator\n",
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


def test_a_kubernetes_that_an_operator_does_not_run_on(checkout: Checkout) -> None:
    """A cluster of one's own, and an operator that knows the version before it."""
    context = checkout.kubectl("config", "current-context").strip()
    file = next(checkout.state_home.rglob("kubeconfig*"))
    own = f"cluster: {{context: {context}, kubeconfig: {file}, storage_class: fast}}"
    rule = '"system": "kubernetes",\n      "needs": {"since": "1.34", "to": "1.3'
    checkout.edit("Pulumi.prod.yaml", "cluster: embedded", own)
    checkout.edit(MATRIX, f'{rule}6"', f'{rule}5"')
    try:
        done = checkout.pulumi("up", "--yes", "--skip-preview", "--stack", "prod")
    finally:
        checkout.restore(MATRIX)
        checkout.restore("Pulumi.prod.yaml")
    assert done.returncode != 0
    version = json.loads(checkout.kubectl("version", "--output=json"))["serverVersion"]["gitVersion"].removeprefix("v")
    assert (
        f"groundwork:environment.cluster.context: {context} given; its Kubernetes is {version}; CloudNativePG 1.30 "
        "supports Kubernetes 1.34 to 1.36; allowed: 1.34 to 1.35; upgrade it, or name another cluster\n"
    ) in done.stdout + done.stderr
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
