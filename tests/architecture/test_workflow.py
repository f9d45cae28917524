"""The pull request's workflow: least permissions, pinned actions, and no command that only it knows."""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github/workflows/preview.yml")
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []


def test_only_the_job_that_comments_may_write() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    jobs = WORKFLOW["jobs"]
    assert {name for name, job in jobs.items() if "permissions" in job} == {"preview"}
    assert jobs["preview"]["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_no_expression_is_pasted_into_a_script() -> None:
    """What a pull request's author chose reaches a script as a variable, or it could be a command."""
    assert [step["run"] for step in STEPS if "${{" in step.get("run", "")] == []


def test_its_commands_are_those_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = {name for step in STEPS for name in re.findall(r"make (?:-s )?([a-z-]+)", step.get("run", ""))}
    assert {"lint", "test", "touched", "preview"} <= called <= targets
    parts = re.findall(r"^make ([a-z-]+)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    assert parts == ["toolchain", "lint", "test", "test-live"]
