"""The main job, end to end: up, nothing to do, down, for every committed environment."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.checkout import Checkout
from tests.support.deployed import deployed_manifests

BUDGET_RESOURCES = 200
BUDGET_BYTES = 2_300_000
REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
GIVE_UP = "to lose the data, first run `up` with deletion_protection: false on it"
OTHER_NUMBERS = {
    "dev": {
        "clickhouse.replicas: 2": "1 deployed; a Keeper of three begins empty; put it back, or copy the tables into a "
        f"new service; {GIVE_UP}",
        "kafka.replicas: 3": "1 deployed; two empty servers would outvote the one that has the data; set 1, or give "
        "the new service a name of its own",
        "nats.replicas: 3": "1 is deployed, and a cluster deletes the streams of a server that was alone; keep 1, or "
        "move to a service of another name",
    },
    "prod": {
        "clickhouse.replicas: 1": "2 deployed; without Keeper the tables could not be written; put it back, or copy "
        f"the tables into a new service; {GIVE_UP}",
        "kafka.replicas: 1": f"3 deployed; it can grow, never shrink; set 3 or more; {GIVE_UP}",
        "nats.replicas: 1": "3 are deployed, and those left could lack messages and a majority; keep 3",
        "queue.replicas: 1": f"3 deployed; what their master alone has would be lost; keep at least 3; {GIVE_UP}",
        "rabbitmq.replicas: 1": f"3 are deployed, and those that are gone would still count; put it back; {GIVE_UP}",
    },
}
"""What refuses another number of servers, for each environment."""


@pytest.fixture(scope="module", params=["dev", "prod"])
def stack(request: pytest.FixtureRequest, checkout: Checkout) -> Iterator[str]:
    name: str = request.param
    settings = checkout.root / f"Pulumi.{name}.yaml"
    before = settings.read_bytes()
    done = checkout.groundwork("up", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert settings.read_bytes() == before, "what a person wrote is theirs"
    assert "Endpoints of" in done.stdout
    assert "simulated" in done.stdout
    yield name
    down = checkout.groundwork("down", name)
    assert down.returncode == 0, down.stdout + down.stderr
    assert_nothing_left(checkout, name)


def test_every_pod_is_ready(checkout: Checkout, stack: str) -> None:
    namespace = f"groundwork-{stack}"
    checkout.kubectl("wait", "pod", "--all", "-n", namespace, "--for=condition=Ready", "--timeout=60s")
    wanted = {
        f"{item['kind']}/{item['metadata']['name']}": item["spec"].get("replicas", 1)
        for item in checkout.objects("deployment,statefulset", "-n", namespace)
    }
    ready = {
        f"{item['kind']}/{item['metadata']['name']}": item["status"].get("readyReplicas", 0)
        for item in checkout.objects("deployment,statefulset", "-n", namespace)
    }
    assert wanted
    assert ready == wanted


def test_a_second_run_has_nothing_to_do(checkout: Checkout, stack: str) -> None:
    done = checkout.preview(stack, "--expect-no-changes")
    assert done.returncode == 0, done.stdout + done.stderr
    again = checkout.pulumi("up", "--yes", "--stack", stack, "--policy-pack", "policies", "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr


def test_another_number_of_servers_is_refused(checkout: Checkout, stack: str) -> None:
    file, expected = f"Pulumi.{stack}.yaml", []
    for change, why in OTHER_NUMBERS[stack].items():
        service, _, line = change.partition(".")
        checkout.edit(file, f"\n    {service}:\n", f"\n    {service}:\n      {line}\n")
        field, _, value = change.partition(": ")
        separator = ", " if why[1:].startswith(" deployed") else "; "
        expected.append(f"    groundwork:services.{field}: {value} given{separator}{why}\n")
    try:
        done = checkout.preview(stack)
    finally:
        checkout.restore(file)
    assert done.returncode != 0
    report = done.stdout + done.stderr
    assert [line for line in expected if line not in report] == [], report


def test_fewer_partitions_are_refused(checkout: Checkout, stack: str) -> None:
    file = f"Pulumi.{stack}.yaml"
    checkout.edit(file, "{name: telemetry.logs, partitions: 6", "{name: telemetry.logs, partitions: 3")
    try:
        done = checkout.preview(stack)
    finally:
        checkout.restore(file)
    assert done.returncode != 0
    field = "groundwork:services.kafka.topics.telemetry.logs.partitions"
    assert f"{field}: 3 given, 6 deployed; it can grow, never shrink; set 6 or more; {GIVE_UP}\n" in (
        done.stdout + done.stderr
    )


def test_a_wrong_passphrase_is_refused(checkout: Checkout, stack: str) -> None:
    before = checkout.state(stack)
    wrong = {"PULUMI_CONFIG_PASSPHRASE": "not this one", "PULUMI_CONFIG_PASSPHRASE_FILE": ""}
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        done = checkout.pulumi(*command, "--stack", stack, **wrong)
        assert done.returncode != 0
        assert "incorrect passphrase" in done.stdout + done.stderr
    assert checkout.state(stack) == before


def test_the_cluster_agrees_with_state(checkout: Checkout, stack: str) -> None:
    done = checkout.pulumi("refresh", "--preview-only", "--expect-no-changes", "--stack", stack)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_server_accepts_everything_strictly(checkout: Checkout, stack: str) -> None:
    manifests = deployed_manifests(checkout, stack)
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    options = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
    applied = checkout.kubectl("apply", *options, stdin=content)
    assert len(applied.splitlines()) == len(manifests) > 20


def test_pods_stay_in_the_region_and_replicas_in_different_zones(checkout: Checkout, stack: str) -> None:
    nodes = {node["metadata"]["name"]: node["metadata"]["labels"] for node in checkout.objects("nodes")}
    assert len({labels[REGION] for labels in nodes.values()}) == 2, "without another region the test could not fail"
    zones: dict[str, list[str]] = {}
    for pod in checkout.objects("pods", "-n", f"groundwork-{stack}"):
        labels = nodes[pod["spec"]["nodeName"]]
        assert labels[REGION] == "eu-central-1", pod["metadata"]["name"]
        zones.setdefault(pod["metadata"]["labels"]["app.kubernetes.io/instance"], []).append(labels[ZONE])
    assert zones
    for service, found in zones.items():
        assert len(set(found)) == min(len(found), 3), f"{service} shares a zone: {found}"


def test_the_namespace_enforces_restricted_pods(checkout: Checkout, stack: str) -> None:
    (namespace,) = [n for n in checkout.objects("namespace") if n["metadata"]["name"] == f"groundwork-{stack}"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_no_file_of_state_is_written_in_place(checkout: Checkout, stack: str) -> None:
    kept = [path.name for path in (checkout.state_home / "groundwork" / "state").rglob("*") if path.is_file()]
    assert f"{stack}.json" in kept
    assert not [name for name in kept if name.endswith(".attrs")], "empty when its writer is killed, and then for good"


def test_state_stays_within_its_budget(checkout: Checkout, stack: str) -> None:
    state = checkout.state(stack)
    assert len(state["resources"]) <= BUDGET_RESOURCES
    assert len(json.dumps(state)) <= BUDGET_BYTES


def test_no_secret_is_in_clear_in_state(checkout: Checkout, stack: str) -> None:
    clear = json.dumps(checkout.state(stack, "--show-secrets"))
    stored = json.dumps(checkout.state(stack))
    assert "PRIVATE KEY" in clear, "without a key in clear the test could not fail"
    assert "PRIVATE KEY" not in stored


def assert_nothing_left(checkout: Checkout, stack: str) -> None:
    assert not checkout.state(stack).get("resources")
    kinds = checkout.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    left = checkout.objects(",".join(kinds), "-A", "-l", f"groundwork.dev/environment={stack}")
    assert [f"{item['kind']}/{item['metadata']['name']}" for item in left] == []
    names = [item["metadata"]["name"] for item in checkout.objects("namespaces,persistentvolumes,storageclasses")]
    assert [name for name in names if stack in name] == []
    claims = [
        v for v in checkout.objects("persistentvolumes") if v["spec"]["claimRef"]["namespace"] == f"groundwork-{stack}"
    ]
    assert claims == []
