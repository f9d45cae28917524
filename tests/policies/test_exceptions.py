"""Exceptions: a valid one turns a violation into a notice; one that is wrong, late or idle is a violation itself."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policies.kit.exceptions import load_exemptions
from tests.policies.judge import TODAY, baseline, change, exemptions_of, judge

ENTRY = {
    "policy": "pinned-images",
    "target": "gateway/Deployment",
    "environment": "prod",
    "owner": "team-platform",
    "approver": "ada.lovelace",
    "reason": "The vendor publishes no versions yet",
    "ticket": "OPS-12",
    "expires": "2027-03-01",
}
IMAGE = "Deployment gateway > spec > template > spec > containers > 0 > image"
NOTICE = "exempted until 2027-03-01 by ada.lovelace (OPS-12): gateway: Deployment groundwork-prod/gateway, "


def _judge(
    tmp_path: Path, *entries: dict[str, Any], broken: bool = True, environment: str = "prod"
) -> dict[str, list[str]]:
    resources = baseline(environment)
    if broken:
        change(resources, IMAGE, "docker.io/library/nginx:latest")
    return judge(resources, environment=environment, exemptions=exemptions_of(tmp_path, *entries))


@pytest.mark.parametrize(
    "target",
    [
        "gateway/Deployment",
        "gateway/*",
        "urn:pulumi:prod::groundwork::kubernetes:apps/v1:Deployment::Deployment gateway",
    ],
)
def test_a_violation_that_is_exempted_is_a_notice(tmp_path: Path, target: str) -> None:
    found = _judge(tmp_path, {**ENTRY, "target": target})
    assert list(found) == ["pinned-images (notice)"]
    assert found["pinned-images (notice)"][0].startswith(NOTICE)


@pytest.mark.parametrize(
    "change_", [{"target": "cache/Deployment"}, {"target": "gateway/StatefulSet"}, {"policy": "require-tls"}]
)
def test_an_exception_for_something_else_exempts_nothing(tmp_path: Path, change_: dict[str, str]) -> None:
    found = _judge(tmp_path, {**ENTRY, **change_})
    assert len(found["pinned-images"]) == 1
    assert "covers no violation; allowed: exceptions that are needed; fix: delete it" in found["exceptions"][0]


def test_an_exception_covers_a_violation_of_the_whole_stack(tmp_path: Path) -> None:
    resources = baseline()
    change(resources, "PodDisruptionBudget cache", "(deleted)")
    entry = {**ENTRY, "policy": "disruption-budget", "target": "cache/StatefulSet"}
    found = judge(resources, exemptions=exemptions_of(tmp_path, entry))
    assert list(found) == ["disruption-budget-stack (notice)"]


def test_an_idle_exception_is_a_violation(tmp_path: Path) -> None:
    message = (
        "exception pinned-images for gateway/Deployment in prod covers no violation; "
        "allowed: exceptions that are needed; fix: delete it from exceptions.json"
    )
    assert _judge(tmp_path, ENTRY, broken=False) == {"exceptions": [message]}


def test_an_exception_counts_in_its_environment_only(tmp_path: Path) -> None:
    found = _judge(tmp_path, ENTRY, environment="dev")
    assert list(found) == ["pinned-images"]


@pytest.mark.parametrize(("days", "said"), [(15, False), (14, True), (0, True)])
def test_an_exception_that_ends_soon_is_announced(tmp_path: Path, days: int, said: bool) -> None:
    end = TODAY + timedelta(days=days)
    found = _judge(tmp_path, {**ENTRY, "expires": end.isoformat()})
    expected = (
        f"exception pinned-images for gateway/Deployment in prod ends in {days} days, on {end}; owner team-platform"
    )
    assert found.get("exceptions (notice)", []) == ([expected] if said else [])


@pytest.mark.parametrize(
    ("change_", "problem"),
    [
        ({"expires": "2026-11-20"}, "exceptions[0].expires was 2026-11-20, so it no longer counts"),
        ({"expires": "2027-05-21"}, "exceptions[0].expires is 2027-05-21, too far away"),
        ({"expires": "next spring"}, "exceptions[0].expires is no date"),
        ({"reason": " "}, "exceptions[0].reason is missing"),
        ({"ticket": 12}, "exceptions[0].ticket is missing"),
        ({"approver": "team-platform"}, "exceptions[0].approver is also the owner"),
        ({"policy": "all"}, "exceptions[0].policy names no rule"),
        ({"target": "*/Deployment"}, "exceptions[0].target is too wide or malformed"),
        ({"target": "gateway"}, "exceptions[0].target is too wide or malformed"),
        ({"until": "2027-01-01"}, "exceptions[0].until is not a known field"),
    ],
)
def test_an_exception_that_is_wrong_counts_for_nothing(tmp_path: Path, change_: dict[str, Any], problem: str) -> None:
    found = _judge(tmp_path, {**ENTRY, **change_})
    assert len(found["pinned-images"]) == 1
    assert len(found["exceptions"]) == 1
    assert found["exceptions"][0].startswith(f"{problem}; allowed: ")
    assert "; fix: " in found["exceptions"][0]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"exceptions": {}}', '{"exceptions": ["x"]}'])
def test_a_file_that_is_no_list_of_exceptions_is_a_violation(tmp_path: Path, text: str) -> None:
    path = tmp_path / "exceptions.json"
    path.write_text(text)
    read = load_exemptions(path, ["pinned-images"], TODAY)
    assert (len(read.problems), read.valid) == (1, [])
    assert list(judge(baseline(), exemptions=read)) == ["exceptions"]


def test_no_file_means_no_exceptions(tmp_path: Path) -> None:
    read = load_exemptions(tmp_path / "exceptions.json", ["pinned-images"], TODAY)
    assert (read.problems, read.valid) == ([], [])
