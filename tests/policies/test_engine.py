"""Each rule once through the real command line: `pulumi preview --policy-pack policies`, with the real provider.

No cluster is needed, so a preview takes seconds. What each rule says in full is tested without the engine.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from policies.rules import RULES
from tests.policies.judge import HERE, PACK, UNKNOWN, Resources, baseline, change
from tests.policies.test_rules import CASES, Case
from tests.support.checkout import ROOT, Checkout

SINGLE = {
    "disruption-budget": "a budget without bound",
    "network-isolation": "a service on every node",
    "no-secret-in-plain": "a password in a variable",
    "pinned-images": "the newest image",
    "pod-hardening": "the node's network",
    "regional-placement": "pods in another region",
    "require-owner": "an object without owner",
    "require-tls": "Redis opens its plaintext port",
    "stateful-protection": "a claim without size",
}
WHOLE = {
    "disruption-budget": "a pooler without budget",
    "network-isolation": "a workload without policy",
    "regional-placement": "a storage class that nobody judged",
}
UNKNOWNS = {
    "pinned-images": "StatefulSet cache > spec > template > spec > containers > 0 > image",
    "regional-placement": "Component postgres > region",
    "require-owner": "Namespace > metadata > labels > groundwork.dev/owner",
    "require-tls": "ConfigMap cache > data > redis.conf",
}
IMAGE = "Deployment gateway > spec > template > spec > containers > 0 > image"


class Scratch:
    """A project of its own with a copy of the policy pack; what it previews is in resources.json."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copytree(PACK, root / "policies", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE / "scratch_program.py", root / "__main__.py")
        (root / ".venv").symlink_to((ROOT / ".venv").resolve())
        (root / "Pulumi.yaml").write_text(
            "name: groundwork\nruntime: {name: python, options: {virtualenv: .venv}}\n", encoding="utf-8"
        )
        tools = Checkout(ROOT, root / "state").env
        state = {"PULUMI_BACKEND_URL": root.as_uri(), "PULUMI_CONFIG_PASSPHRASE": "scratch"}
        self._env = {k: v for k, v in tools.items() if k != "PULUMI_CONFIG_PASSPHRASE_FILE"} | state

    def pulumi(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *args], cwd=self.root, env=self._env, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    def preview(self, resources: Resources, *args: str, stack: str = "prod") -> tuple[int, str]:
        (self.root / "resources.json").write_text(json.dumps(resources), encoding="utf-8")
        done = self.pulumi("preview", "--stack", stack, "--policy-pack", "policies", *args)
        return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    if not (ROOT / ".venv").exists():
        pytest.fail("the toolchain is not installed; run `make toolchain`")
    made = Scratch(tmp_path_factory.mktemp("gate"))
    for stack in ("dev", "prod"):
        done = made.pulumi("stack", "init", stack)
        assert done.returncode == 0, done.stderr
    return made


def _broken(chosen: Mapping[str, str]) -> tuple[Resources, list[Case]]:
    cases = [case for case in CASES if chosen.get(case.rule) == case.case]
    assert len(cases) == len(chosen)
    resources = baseline()
    for case in cases:
        for path, value in case.change.items():
            change(resources, path, value)
    return resources, cases


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_compliant_environment_passes(scratch: Scratch, stack: str) -> None:
    code, report = scratch.preview(baseline(stack), stack=stack)
    assert code == 0, report
    assert "groundwork@v0.1.0" in report


def test_each_rule_blocks_the_preview(scratch: Scratch) -> None:
    assert set(SINGLE) == {rule.name for rule in RULES}
    resources, cases = _broken(SINGLE)
    code, report = scratch.preview(resources)
    assert code != 0
    for case in cases:
        assert f"{case.rule}  (" in report, report
        for message in case.finds[case.rule]:
            assert message in report
    assert "hunter2" not in report


def test_each_rule_over_the_whole_stack_blocks_the_preview(scratch: Scratch) -> None:
    resources, cases = _broken(WHOLE)
    code, report = scratch.preview(resources)
    assert code != 0
    for case in cases:
        for message in case.finds[f"{case.rule}-stack"]:
            assert message in report, report


def test_unknown_values_block_the_preview(scratch: Scratch) -> None:
    resources = baseline()
    for path in UNKNOWNS.values():
        change(resources, path, UNKNOWN)
    code, report = scratch.preview(resources)
    assert code != 0
    for rule, path in UNKNOWNS.items():
        field = path.split(" > ")[-1]
        lines = [line for line in report.splitlines() if "could not be checked: " in line and field in line]
        assert lines, f"{rule} says nothing of {field}:\n{report}"


def test_an_exception_lets_its_violation_pass_and_an_idle_one_blocks(scratch: Scratch) -> None:
    entry = {
        "policy": "pinned-images", "target": "gateway/Deployment", "environment": "prod", "owner": "team-platform",
        "approver": "ada.lovelace", "reason": "No versions are published yet", "ticket": "OPS-12",
        "expires": (date.today() + timedelta(days=30)).isoformat(),
    }  # fmt: skip
    path = scratch.root / "policies" / "exceptions.json"
    path.write_text(json.dumps({"exceptions": [entry]}), encoding="utf-8")
    try:
        resources = baseline()
        idle, idle_report = scratch.preview(resources)
        change(resources, IMAGE, "docker.io/library/nginx:latest")
        code, report = scratch.preview(resources)
    finally:
        shutil.copy(PACK / "exceptions.json", path)
    assert idle != 0
    assert "covers no violation" in idle_report
    assert code == 0, report
    assert "by ada.lovelace (OPS-12): gateway: Deployment groundwork-prod/gateway" in report


@pytest.mark.parametrize(
    ("settings", "blocks"),
    [
        ({"pinned-images": {"version_parts": 3}}, True),
        ({"pinned-images": {"version_parts": 3, "enforcementLevel": "advisory"}}, False),
        ({"pinned-images": {"registries": ["docker.io", "ghcr.io"]}}, False),
    ],
)
def test_a_given_configuration_goes_before_the_pack(scratch: Scratch, settings: dict[str, Any], blocks: bool) -> None:
    path = scratch.root / "given.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    code, report = scratch.preview(baseline(), "--policy-pack-config", str(path))
    assert (code != 0) is blocks, report


@pytest.mark.parametrize("pack", ["dev", "prod"])
def test_a_pack_file_is_a_valid_policy_configuration(scratch: Scratch, pack: str) -> None:
    path = os.fspath(scratch.root / "policies" / "packs" / f"{pack}.json")
    code, report = scratch.preview(baseline(), "--policy-pack-config", path)
    assert code == 0, report
