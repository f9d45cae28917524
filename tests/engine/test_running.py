"""What happens to a running environment: rolling updates keep the spread, and an autoscaler keeps what it decided."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.checkout import Checkout

ZONE = "topology.kubernetes.io/zone"


@pytest.fixture(scope="module", autouse=True)
def scaled(checkout: Checkout) -> Iterator[None]:
    """prod with a demo that scales between three and nine instances, and what is in front of it."""
    checkout.keep("prod", "cache", "demo", "gateway")
    checkout.edit("Pulumi.prod.yaml", "      kind: app\n", "      kind: app\n      replicas: {min: 3, max: 9}\n")
    up = checkout.groundwork("up", "prod")
    assert up.returncode == 0, up.stdout + up.stderr
    yield
    checkout.restore("Pulumi.prod.yaml")
    assert checkout.groundwork("down", "prod").returncode == 0


def test_after_an_update_each_zone_has_one_instance(checkout: Checkout) -> None:
    nodes = {n["metadata"]["name"]: n["metadata"]["labels"][ZONE] for n in checkout.objects("nodes")}
    for revision in range(3):
        template = f'{{"spec": {{"template": {{"metadata": {{"annotations": {{"revision": "{revision}"}}}}}}}}}}'
        checkout.kubectl("-n", "groundwork-prod", "patch", "deployment/gateway", "--patch", template)
        checkout.kubectl("-n", "groundwork-prod", "rollout", "status", "deployment/gateway", "--timeout=60s")
        pods = checkout.objects("pods", "-n", "groundwork-prod", "-l", "app.kubernetes.io/instance=gateway")
        kept = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        assert sorted(nodes[pod["spec"]["nodeName"]] for pod in kept) == sorted(set(nodes.values()) & zones_of_prod())


def test_an_update_leaves_the_size_to_the_autoscaler(checkout: Checkout) -> None:
    """Another part of the graph changes while the autoscaler has grown the set; nobody sets it back."""
    checkout.kubectl("-n", "groundwork-prod", "scale", "deployment/demo", "--replicas=5")
    checkout.edit("Pulumi.prod.yaml", "--level=info", "--level=warn")
    again = checkout.groundwork("up", "prod")
    assert again.returncode == 0, again.stdout + again.stderr
    (demo,) = [d for d in checkout.objects("deployments", "-n", "groundwork-prod") if d["metadata"]["name"] == "demo"]
    assert "--level=warn" in demo["spec"]["template"]["spec"]["containers"][0]["args"]
    assert demo["spec"]["replicas"] == 5


def zones_of_prod() -> set[str]:
    return {f"eu-central-1{letter}" for letter in "abc"}
