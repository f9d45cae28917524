"""The compliant environment passes every rule, so that a finding elsewhere comes from what that test changed."""

import pytest

from policies.kit.node import FALSE, TRUE
from tests.policies.judge import DELETE, TARGETS, baseline, change, judge


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("environment", ["dev", "local", "prod", "review-17"])
def test_a_compliant_environment_has_no_finding(environment: str, target: str) -> None:
    assert judge(baseline(environment, target), environment=environment) == {}


def test_a_single_instance_needs_no_budget_and_no_synchronous_replica() -> None:
    resources = baseline()
    change(resources, "StatefulSet cache > spec > replicas", 1)
    change(resources, "PodDisruptionBudget cache", DELETE)
    change(resources, "Cluster postgres > spec > instances", 1)
    change(resources, "Cluster postgres > spec > enablePDB", FALSE)
    change(resources, "Cluster postgres > spec > postgresql > synchronous", {"dataDurability": "preferred"})
    assert judge(resources) == {}


def test_a_service_account_on_the_list_may_hold_a_token() -> None:
    resources = baseline()
    change(resources, "StatefulSet cache > spec > template > spec > automountServiceAccountToken", TRUE)
    assert judge(resources, config={"pod-hardening": {"token_accounts": ["cache"]}}) == {}


def test_a_variable_on_the_list_may_hold_a_secret() -> None:
    resources = baseline()
    variable = {"name": "DSN", "valueFrom": {"secretKeyRef": {"name": "cache", "key": "dsn"}}}
    change(resources, "StatefulSet cache > spec > template > spec > containers > 0 > env > 0", variable)
    assert judge(resources, config={"no-secret-in-plain": {"secret_variables": ["DSN"]}}) == {}


def test_volumes_may_go_with_the_set_of_a_service_that_is_given_up() -> None:
    resources = baseline()
    change(resources, "StatefulSet cache > spec > persistentVolumeClaimRetentionPolicy > whenDeleted", "Delete")
    change(resources, "Component cache > deletion_protection", FALSE)
    assert judge(resources) == {}
    change(resources, "Component cache > deletion_protection", TRUE)
    assert set(judge(resources)) == {"stateful-protection"}


def test_ids_may_stand_for_the_image_and_the_containers_they_come_from() -> None:
    """Unknown at preview, as in the baseline, and known when `up` comes to them."""
    resources = baseline(target="docker")
    change(resources, "Container exporter > image", f"sha256:{'0123456789abcdef' * 4}")
    change(resources, "Container exporter > networkMode", f"container:{'0123456789abcdef' * 4}")
    change(resources, "Container exporter > volumes > 0 > fromContainer", "0123456789abcdef" * 4 + ":ro")
    assert judge(resources) == {}


def test_a_service_may_ask_for_a_port_of_this_machine() -> None:
    resources = baseline(target="docker")
    change(resources, "Component cache > publish", 6379)
    change(resources, "Network cache > internal", FALSE)
    port = {"internal": 6379, "external": 6379, "ip": "127.0.0.1"}
    change(resources, "Container cache-sandbox > ports", [port])
    assert judge(resources) == {}


def test_a_digest_needs_no_version() -> None:
    resources = baseline()
    image = "ghcr.io/cloudnative-pg/postgresql@sha256:" + "0123456789abcdef" * 4
    change(resources, "Cluster postgres > spec > imageName", image)
    config = {"pinned-images": {"require_digest": True}}
    assert judge(resources, only=["Cluster postgres"], config=config) == {}
