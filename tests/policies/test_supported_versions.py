"""supported-versions beyond its cases: the day an end of life comes, and what it means in each environment."""

from datetime import date, timedelta

import pytest

from policies.kit.resource import Resource
from policies.kit.rule import Check, run_check
from policies.readers.matrix import load_matrix
from policies.rules.supported_versions import RULE
from tests.policies.judge import baseline, change, judge

OLD = "docker.io/library/postgres:14.20-trixie"
IMAGE = "CronJob gateway > spec > jobTemplate > spec > template > spec > containers > 0 > image"
END = date.fromisoformat(load_matrix()["systems"]["postgres"]["end_of_life"]["14"])


@pytest.mark.parametrize(
    ("environment", "policy"),
    [
        ("dev", "supported-versions (notice)"),
        ("local", "supported-versions (notice)"),
        ("prod", "supported-versions"),
        ("review-17", "supported-versions"),
    ],
)
def test_an_end_of_life_is_a_notice_in_development_and_blocks_in_production(environment: str, policy: str) -> None:
    resources = baseline(environment)
    change(resources, IMAGE, OLD)
    found = judge(resources, environment=environment)
    assert list(found) == [policy]
    assert "has had no fixes since 2026-11-12, as known on 2026-11-21" in found[policy][0]


@pytest.mark.parametrize(("days", "findings"), [(-1, 0), (0, 0), (1, 1)])
def test_the_last_day_with_fixes_still_counts(days: int, findings: int) -> None:
    container = {"image": OLD, "name": "groundwork-prod-store-0"}
    resource = Resource("urn:pulumi:prod::groundwork::x::store", "docker:index/container:Container", "store", container)
    check = Check(RULE.name, resource, {}, {}, END + timedelta(days=days))
    assert len(run_check(RULE, check)) == findings


@pytest.mark.parametrize("image", ["docker.io/library/redis:8.4.2-alpine", "docker.io/library/redis:8.10-alpine"])
def test_an_end_that_nobody_knows_has_not_come(image: str) -> None:
    resources = baseline()
    change(resources, IMAGE, image)
    assert judge(resources) == {}


def test_a_trace_store_that_does_not_use_kafka_may_be_old() -> None:
    resources = baseline()
    change(resources, IMAGE, "registry.example/grafana/tempo:3.0.3")
    container = "StatefulSet cache > spec > template > spec > containers > 0 > image"
    change(resources, container, "registry.example/apache/kafka:4.3.1")
    assert judge(resources) == {}
    change(resources, "Component gateway > uses", ["cache"])
    assert list(judge(resources)) == ["supported-versions-stack"]


def test_a_kafka_named_by_its_digest_alone_is_kafka_all_the_same() -> None:
    resources = baseline()
    change(resources, IMAGE, "registry.example/grafana/tempo:3.0.3")
    change(resources, "Component gateway > uses", ["cache"])
    container = "StatefulSet cache > spec > template > spec > containers > 0 > image"
    change(resources, container, "registry.example/apache/kafka@sha256:" + "0123456789abcdef" * 4)
    assert "supported-versions-stack" in judge(resources)


def test_what_a_service_declares_may_be_no_version() -> None:
    resources = baseline()
    digest = "0123456789abcdef" * 4
    image = "Deployment gateway > spec > template > spec > containers > 0 > image"
    change(resources, image, f"docker.io/library/nginx@sha256:{digest}")
    assert judge(resources) == {}
    change(resources, "Component gateway > version", f"sha256-{digest[:12]}")
    (message,) = judge(resources)["supported-versions"]
    assert "does not tell which version of nginx it is; allowed: a tag that begins with it" in message
