"""Each rule once through the real command line: `pulumi preview --policy-pack policies`, with the real providers.

Neither a cluster nor a Docker engine is needed, so a preview takes seconds. What each rule says in full is tested
without Pulumi.
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

from tests.policies.judge import HERE, PACK, TARGETS, UNKNOWN, Resources, baseline, change
from tests.policies.test_rules import CASES, Case
from tests.support.checkout import ROOT, Checkout

SINGLE = {
    "kubernetes": {
        "disruption-budget": "a budget without bound",
        "network-isolation": "a service on every node",
        "no-secret-in-plain": "a password in a variable",
        "pinned-images": "the newest image",
        "pod-hardening": "the node's network",
        "regional-placement": "pods in another region",
        "require-owner": "an object without owner",
        "require-tls": "Redis opens its plaintext port",
        "stateful-protection": "a claim without size",
        "supported-versions": "a version that gets no more fixes",
    },
    "docker": {
        "network-isolation": "a port for other machines",
        "no-secret-in-plain": "a password in a variable",
        "pinned-images": "an image of an unapproved registry, by its id",
        "pod-hardening": "a privileged container",
        "regional-placement": "a machine in another region",
        "require-owner": "a network without owner",
        "require-tls": "Redis opens its plaintext port",
        "stateful-protection": "a volume that may be deleted",
        "supported-versions": "a version that is too old",
    },
}
WHOLE = {
    "kubernetes": {
        "disruption-budget": "a pooler without budget",
        "network-isolation": "a workload without policy",
        "regional-placement": "a storage class that nobody judged",
        "supported-versions": "a trace store that can't use its Kafka over TLS",
    },
    "docker": {
        "network-isolation": "a stranger on a service's own network",
        "pinned-images": "an unknown image that comes from nowhere",
        "pod-hardening": "the files of another service",
        "require-tls": "an exporter without certificate",
        "stateful-protection": "data in memory",
    },
}
UNKNOWNS = {
    "kubernetes": {
        "pinned-images": "StatefulSet cache > spec > template > spec > containers > 0 > image",
        "regional-placement": "Component postgres > region",
        "require-owner": "Namespace > metadata > labels > groundwork.dev/owner",
        "require-tls": "ConfigMap cache > data > redis.conf",
    },
    "docker": {
        "network-isolation": "Network cache > internal",
        "no-secret-in-plain": "Container cache > envs > 0",
        "pinned-images": "RemoteImage exporter > name",
        "pod-hardening": "Container cache > user",
        "require-tls": "Container cache-files > uploads > 0 > content",
    },
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


def _broken(target: str, chosen: Mapping[str, str]) -> tuple[Resources, list[Case]]:
    cases = [case for case in CASES if case.target == target and chosen.get(case.rule) == case.case]
    assert len(cases) == len(chosen)
    resources = baseline(target=target)
    for case in cases:
        for path, value in case.change.items():
            change(resources, path, value)
    return resources, cases


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_compliant_environment_passes(scratch: Scratch, stack: str, target: str) -> None:
    code, report = scratch.preview(baseline(stack, target), stack=stack)
    assert code == 0, report
    assert "groundwork@v0.1.0" in report


@pytest.mark.parametrize("target", TARGETS)
def test_each_rule_blocks_the_preview(scratch: Scratch, target: str) -> None:
    assert set(SINGLE[target]) == {case.rule for case in CASES if case.target == target}
    resources, cases = _broken(target, SINGLE[target])
    code, report = scratch.preview(resources)
    assert code != 0
    for case in cases:
        assert f"{case.rule}  (" in report, report
        for message in case.finds[case.rule]:
            assert message in report
    assert "hunter2" not in report


@pytest.mark.parametrize("target", TARGETS)
def test_each_rule_over_the_whole_stack_blocks_the_preview(scratch: Scratch, target: str) -> None:
    resources, cases = _broken(target, WHOLE[target])
    code, report = scratch.preview(resources)
    assert code != 0
    for case in cases:
        for message in case.finds[f"{case.rule}-stack"]:
            assert message in report, report


@pytest.mark.parametrize("target", TARGETS)
def test_unknown_values_block_the_preview(scratch: Scratch, target: str) -> None:
    resources = baseline(target=target)
    for path in UNKNOWNS[target].values():
        change(resources, path, UNKNOWN)
    code, report = scratch.preview(resources)
    assert code != 0
    for rule, path in UNKNOWNS[target].items():
        field = next(part for part in reversed(path.split(" > ")) if not part.isdigit())
        lines = [line for line in report.splitlines() if "could not be checked: " in line and field in line]
        assert lines, f"{rule} says nothing of {field}:\n{report}"


def test_an_id_that_is_unknown_until_up_is_traced_to_its_container(scratch: Scratch) -> None:
    chosen = {"pod-hardening": "the sandbox and the files of another service, unknown until they are made"}
    resources, [case] = _broken("docker", chosen)
    code, report = scratch.preview(resources)
    assert code != 0
    for messages in case.finds.values():
        for message in messages:
            assert message in report, report


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


@pytest.mark.parametrize("pack", ["dev", "local", "prod"])
def test_a_pack_file_is_a_valid_policy_configuration(scratch: Scratch, pack: str) -> None:
    path = os.fspath(scratch.root / "policies" / "packs" / f"{pack}.json")
    code, report = scratch.preview(baseline(), "--policy-pack-config", path)
    assert code == 0, report


def test_a_slip_in_a_pack_is_said_before_anything_is_judged(scratch: Scratch) -> None:
    path = scratch.root / "policies" / "packs" / "dev.json"
    original = path.read_text(encoding="utf-8")
    path.write_text(original.replace('"from_replicas": 2', '"from_replica": 2'), encoding="utf-8")
    try:
        code, report = scratch.preview(baseline("dev"), stack="dev")
    finally:
        path.write_text(original, encoding="utf-8")
    assert code != 0
    assert "packs/dev.json: disruption-budget.from_replica is no parameter; allowed: enforcementLevel, " in report
    assert "Traceback" not in report
