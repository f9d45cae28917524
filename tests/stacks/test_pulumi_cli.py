"""A lock in the way of `pulumi`: what is tried again, and what is not."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from stacks import pulumi_cli
from stacks.pulumi_cli import Pulumi, PulumiError

HOLDER = f"created by me@{socket.gethostname()} (pid 4242)"
LOCKED = f"error: locked: s3://state/x.json: {HOLDER}\n"
GONE = 'error: blob (key ".pulumi/locks/organization/groundwork/dev/x.json") (code=NotFound): NoSuchKey\n'


class Answers:
    """Stands for `pulumi`: the errors it ends with, one after the other, and then none."""

    def __init__(self, *errors: str) -> None:
        self._errors = list(errors)
        self.asked: list[str] = []

    def __call__(self, command: list[str], folder: Path) -> tuple[int, str]:
        self.asked.append(command[1])
        return (255, self._errors.pop(0)) if self._errors else (0, "")


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n")
    monkeypatch.setattr(pulumi_cli, "environment", dict)
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    return Pulumi("dev", tmp_path, lambda text: None)


def holder(monkeypatch: pytest.MonkeyPatch, program: str) -> list[list[str]]:
    """What runs under the number of the lock's holder. Returns the commands that are run beside."""
    cancelled: list[list[str]] = []
    monkeypatch.setattr(pulumi_cli, "program", lambda number: program)
    monkeypatch.setattr("stacks.pulumi_cli.subprocess.run", lambda command, **_: cancelled.append(command))
    return cancelled


@pytest.mark.parametrize("error", [LOCKED, GONE])
def test_a_run_waits_for_who_was_faster(pulumi: Any, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    cancelled = holder(monkeypatch, "pulumi")
    pulumi._stream = answers = Answers(error, error)
    pulumi.run("up")
    assert answers.asked == ["up"] * 3
    assert cancelled == []


def test_state_that_was_read_under_a_living_lock_is_never_written(pulumi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds it may have finished before a second try: its state would be overwritten by an older one."""
    holder(monkeypatch, "pulumi")
    pulumi._stream = answers = Answers(LOCKED)
    with pytest.raises(PulumiError):
        pulumi.write_state({})
    assert answers.asked == ["stack"]


def test_a_lock_in_a_folder_is_removed_alone(pulumi: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`pulumi cancel` would take a living one with it, and refuses where a run died before its stack was made."""
    cancelled = holder(monkeypatch, "")
    dead, living = tmp_path / "dead run.json", tmp_path / "living.json"
    dead.touch()
    living.touch()
    pulumi._stream = Answers(f"error: locked: file://{quote(str(dead))}?no_tmp_dir=true: {HOLDER}\n")
    pulumi.run("up")
    assert [dead.exists(), living.exists()] == [False, True]
    assert cancelled == []


def test_a_lock_that_cannot_be_cancelled_is_tried_again(pulumi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that make a stack at once both may give up: there is neither a lock nor a stack then."""
    holder(monkeypatch, "")
    monkeypatch.setattr(pulumi, "_command", lambda *args: ["false"] if args[0] == "cancel" else ["pulumi", *args])
    monkeypatch.setattr("stacks.pulumi_cli.subprocess.run", subprocess.run)
    pulumi._stream = answers = Answers(LOCKED)
    pulumi.run("up")
    assert answers.asked == ["up"] * 2


def test_the_lock_of_a_dead_process_is_removed(pulumi: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = holder(monkeypatch, "")
    pulumi._stream = answers = Answers(LOCKED)
    pulumi.write_state({})
    assert answers.asked == ["stack"] * 2
    assert [command[1] for command in cancelled] == ["cancel"]
