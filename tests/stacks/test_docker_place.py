"""What the commands learn from a Docker engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from stacks import cli
from stacks.places.docker import Engine, left_behind
from stacks.pulumi_cli import PulumiError


def container(name: str, started: str, mode: str = "none", running: bool = True) -> dict[str, Any]:
    state = {"Running": running, "StartedAt": f"2026-11-21T{started}Z"}
    return {"Id": f"id-{name}", "Name": f"/{name}", "State": state, "HostConfig": {"NetworkMode": mode}}


@pytest.mark.parametrize(
    ("sandbox", "process", "running", "found"),
    [
        ("10:00:00.5", "10:00:00.75", True, []),
        ("10:00:00.123456789", "10:00:00.12", True, ["redis"]),
        ("11:00:00", "10:00:00.999999999", True, ["redis"]),
        ("11:00:00", "10:00:00", False, []),
    ],
)
def test_who_is_older_than_the_network_it_shares_is_left_behind(
    sandbox: str, process: str, running: bool, found: list[str]
) -> None:
    containers = [
        container("cache-0", sandbox, "groundwork-local-cache"),
        container("redis", process, "container:id-cache-0", running),
        container("other", "09:00:00", "container:id-unknown"),
    ]
    assert left_behind(containers) == found


DOCKER = """#!/bin/sh
case $1 in
  ps) cat "$LISTED" ;;
  logs) echo "$4 can't find its key" ;;
esac
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine with a container that serves, one that does not, and one that never runs."""
    program = tmp_path / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    states = {"a": ("running", "Up (healthy)"), "b": ("running", "Up (unhealthy)"), "b-files": ("created", "Created")}
    listed = [{"Names": name, "State": state, "Status": status} for name, (state, status) in states.items()]
    (tmp_path / "listed").write_text("".join(f"{json.dumps(one)}\n" for one in listed))
    monkeypatch.setenv("LISTED", str(tmp_path / "listed"))
    monkeypatch.setattr("stacks.places.docker.command", lambda host: [str(program)])
    return Engine("local", {"host": "unix:///nowhere.sock"}, print)


class Failing:
    """A `pulumi` that fails."""

    def run(self, *args: str) -> None:
        assert args[0] == "up"
        raise PulumiError(255)


def test_a_failed_up_says_what_those_said_that_do_not_serve(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    pulumi: Any = Failing()
    with pytest.raises(PulumiError):
        cli._apply(pulumi, engine)
    assert capsys.readouterr().err == "b:\n  b can't find its key\n"


def test_a_failed_up_is_told_of_where_the_engine_is_gone_too(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stacks.places.docker.command", lambda host: ["sh", "-c", "echo no such socket; exit 1"])
    assert engine.last_words() == "the engine does not answer: no such socket"
