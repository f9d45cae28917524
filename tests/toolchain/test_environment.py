"""`env`: what a shell evaluates, and what of the user's it leaves alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from toolchain import environment, venv
from toolchain.__main__ import main
from toolchain.errors import ToolchainError
from toolchain.official import official_pulumi
from toolchain.paths import built, cache_folder, state_folder
from toolchain.pins import OLDEST_PULUMI, TOOLS


@pytest.fixture
def installed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All tools and the Python environment, as empty files."""
    monkeypatch.setattr(venv, "checkout", lambda: home)
    (home / "requirements.lock").write_text("", encoding="utf-8")
    venv.folder().mkdir(parents=True)
    (venv.folder() / venv.STAMP).touch()
    venv.link().symlink_to(venv.folder())
    for tool in TOOLS:
        for name in tool.binaries():
            executable(built(tool) / name)
    return home


def executable(file: Path, text: str = "") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


def shell(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """The variables of a shell that evaluated our output."""
    assert main(["env"]) == 0
    script = 'eval "$1" && env -0'
    answer = subprocess.run(
        ["bash", "-c", script, "bash", capsys.readouterr().out], capture_output=True, text=True, check=True
    )
    assert answer.stderr == ""
    return dict(item.split("=", 1) for item in answer.stdout.split("\0") if item)


def test_a_shell_gets_the_tools_first_and_a_private_home(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    variables = shell(capsys)

    path = variables["PATH"].split(os.pathsep)
    assert path[0] == str(installed / ".venv" / "bin")
    assert path[-3:] == [str(installed / "bin"), "/usr/bin", "/bin"]
    for name in ("pulumi", "kubectl", "etcd", "kwokctl"):
        assert any((Path(folder) / name).is_file() for folder in path[1:-3]), name
    assert variables["PULUMI_HOME"] == str(cache_folder() / "pulumi-home")
    assert variables["PULUMI_BACKEND_URL"].startswith("file:///")
    assert "KUBECONFIG" not in variables


def test_the_passphrase_is_random_private_and_stays(installed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Path(shell(capsys)["PULUMI_CONFIG_PASSPHRASE_FILE"])
    content = first.read_text(encoding="utf-8")

    assert first.stat().st_mode & 0o777 == 0o600
    assert state_folder().stat().st_mode & 0o777 == 0o700
    assert len(content) >= 32
    assert shell(capsys)["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(first)
    assert first.read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    ("theirs", "absent"),
    [
        ({"PULUMI_BACKEND_URL": "s3://team"}, "PULUMI_CONFIG_PASSPHRASE_FILE"),
        ({"PULUMI_CONFIG_PASSPHRASE": "mine"}, "PULUMI_CONFIG_PASSPHRASE_FILE"),
        ({"PULUMI_CONFIG_PASSPHRASE_FILE": "/mine"}, ""),
        ({"KUBECONFIG": "/my/config"}, ""),
    ],
    ids=["backend", "passphrase", "passphrase file", "kubeconfig"],
)
def test_the_users_choices_stay(
    installed: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    theirs: dict[str, str],
    absent: str,
) -> None:
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)

    variables = shell(capsys)

    assert theirs.items() <= variables.items()
    assert absent not in variables


def test_twice_is_the_same_as_once(
    installed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = environment.environment()
    for name, value in first.items():
        monkeypatch.setenv(name, value)

    again = shell(capsys)

    assert first.items() <= again.items()


def test_missing_parts_are_all_named_and_nothing_is_printed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env"]) == 1

    output = capsys.readouterr()
    assert output.out == ""
    assert all(tool.name in output.err for tool in TOOLS)
    assert "python3 -m toolchain install" in output.err


def test_unwritable_state_is_an_error(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")

    with pytest.raises(ToolchainError, match=r"cannot be created.*XDG_STATE_HOME"):
        environment.environment()


@pytest.mark.parametrize(
    ("version", "host", "used"),
    [
        (f"v{OLDEST_PULUMI[0]}.{OLDEST_PULUMI[1]}.0", True, True),
        (f"v{OLDEST_PULUMI[0]}.{OLDEST_PULUMI[1] + 41}.1", True, True),
        (f"v{OLDEST_PULUMI[0]}.{OLDEST_PULUMI[1] - 1}.9", True, False),
        (f"v{OLDEST_PULUMI[0] + 1}.0.0", True, False),
        (f"v{OLDEST_PULUMI[0]}.{OLDEST_PULUMI[1]}.0", False, False),
        ("nonsense", True, False),
    ],
    ids=["same", "newer", "older", "next major", "no language host", "no version"],
)
def test_an_official_pulumi_on_path_is_used_if_it_fits(
    installed: Path, monkeypatch: pytest.MonkeyPatch, version: str, host: bool, used: bool
) -> None:
    executable(installed / "bin" / "pulumi", f"#!/bin/sh\necho {version}\n")
    if host:
        executable(installed / "bin" / "pulumi-language-python")

    assert (official_pulumi(ask=True) is not None) is used
    ours = str(built(TOOLS[0]))
    assert (ours not in environment.environment()["PATH"].split(os.pathsep)) is used


def test_an_official_pulumi_is_asked_once_until_it_changes(installed: Path) -> None:
    program = installed / "bin" / "pulumi"
    script = f"#!/bin/sh\necho run >> '{installed.parent}/runs'\necho v{OLDEST_PULUMI[0]}.{OLDEST_PULUMI[1]}.0\n"
    executable(program, script)
    executable(installed / "bin" / "pulumi-language-python")
    official_pulumi(ask=True)
    official_pulumi(ask=True)
    assert (installed.parent / "runs").read_text(encoding="utf-8").count("run") == 1

    executable(program, script.replace(f".{OLDEST_PULUMI[1]}.", ".1."))

    assert official_pulumi(ask=False) is None
    assert official_pulumi(ask=True) is None


def test_our_own_pulumi_on_path_is_not_taken_for_an_official_one(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = built(TOOLS[0])
    executable(ours / "pulumi", f"#!/bin/sh\necho v{OLDEST_PULUMI[0]}.{OLDEST_PULUMI[1]}.0\n")
    monkeypatch.setenv("PATH", f"{ours}{os.pathsep}{os.environ['PATH']}")

    assert official_pulumi(ask=True) is None


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fly"], 2, "fly: no such command"),
        (["install", "--fast"], 1, "install: --fast given; allowed: nothing, or --node for a real node's too"),
        (["env", "zsh"], 1, "env: takes no arguments, 'zsh' given"),
    ],
)
def test_wrong_calls_are_one_clear_message(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code
    output = capsys.readouterr()
    assert words in output.err
    assert output.out == ""
