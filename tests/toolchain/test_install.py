"""Installing: whole or not at all, one at a time, repaired by the next run, with errors that say what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchain import sample
from tests.toolchain.sample import SAMPLE, write_go
from toolchain import install, locate, operators, paths, venv
from toolchain.errors import ToolchainError
from toolchain.paths import checkout, plugin_file
from toolchain.progress import Progress, duration


@pytest.fixture
def local(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sample's module in place of the real ones, in this process."""
    monkeypatch.setattr(paths, "modules", lambda: home / "go")
    monkeypatch.setattr(venv, "is_ready", lambda: True)
    monkeypatch.setenv("GO_LOG", str(home / "log"))
    monkeypatch.setenv("GO_HOLD", str(home / "hold"))
    return home


def run(how: str = "build") -> list[install.Row]:
    return install.Installer(how, Progress(), (SAMPLE,)).run()


def start(home: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "SAMPLE_MODULES": str(home / "go"), "PYTHONPATH": str(checkout())}
    return subprocess.Popen(
        [sys.executable, "-m", sample.__name__],
        env=environment,
        cwd=checkout(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit, "the condition did not come true within 20 s"
        time.sleep(0.01)


def builds(home: Path) -> int:
    log = home / "log"
    return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0


def test_a_build_is_plugged_into_pulumi_home_and_not_repeated(local: Path) -> None:
    write_go(local)

    assert [row.source for row in run()][:1] == ["built"]
    assert subprocess.run([plugin_file(SAMPLE)], capture_output=True, text=True).stdout == "sample 1.2.3\n"
    assert run()[0].seconds == 0
    assert builds(local) == 1


def test_a_changed_module_is_built_again(local: Path) -> None:
    write_go(local)
    run()
    first = plugin_file(SAMPLE).readlink()
    (local / "go" / "sample" / "main.go").write_text("package main\n", encoding="utf-8")

    run()

    assert plugin_file(SAMPLE).readlink() != first
    assert builds(local) == 2


def test_a_killed_build_leaves_nothing_usable_and_is_repaired(local: Path) -> None:
    write_go(local)
    (local / "hold").touch()
    process = start(local)
    wait_for(lambda: builds(local) == 1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert locate.locate(SAMPLE, "build") is None
    assert len(list((local / "cache" / "groundwork" / "tools").glob(".partial-*"))) == 1

    (local / "hold").unlink()
    run()

    assert subprocess.run([plugin_file(SAMPLE)], capture_output=True, text=True).stdout == "sample 1.2.3\n"
    assert list((local / "cache" / "groundwork" / "tools").glob(".partial-*")) == []


def test_two_installations_at_once_build_once(local: Path) -> None:
    write_go(local)
    (local / "hold").touch()
    first = start(local)
    wait_for(lambda: builds(local) == 1)
    second = start(local)
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    (local / "hold").unlink()

    results = [process.communicate(timeout=30) for process in (first, second)]

    assert [process.returncode for process in (first, second)] == [0, 0], results
    assert [output for output, _ in results] == ["built", "built"]
    assert builds(local) == 1


def test_a_deleted_binary_is_put_back(local: Path) -> None:
    write_go(local)
    run()
    (paths.built(SAMPLE) / "pulumi-resource-sample").unlink()

    run()

    assert plugin_file(SAMPLE).read_text(encoding="utf-8").endswith("1.2.3\n")


def test_without_go_and_without_releases_one_error_says_what_to_install(local: Path) -> None:
    with pytest.raises(ToolchainError) as caught:
        run("auto")

    assert "sample 1.2.3: no official release could be downloaded and Go is not installed" in str(caught.value)
    assert "Install Go 1.26 or newer" in str(caught.value)


def test_download_mode_never_builds(local: Path) -> None:
    write_go(local)

    with pytest.raises(ToolchainError, match="GROUNDWORK_TOOLCHAIN=download forbids building"):
        run("download")

    assert builds(local) == 0


def test_a_failed_build_shows_the_compilers_words_and_leaves_nothing(local: Path) -> None:
    go = local / "bin" / "go"
    go.write_text("#!/bin/sh\necho main.go:3: undefined: x >&2\nexit 1\n", encoding="utf-8")
    go.chmod(0o755)

    with pytest.raises(ToolchainError, match=r"`go build.*failed \(1\)") as caught:
        run()

    assert "main.go:3: undefined: x" in str(caught.value)
    assert list((local / "cache" / "groundwork" / "tools").iterdir()) == []


def test_an_unknown_mode_is_an_error_with_the_allowed_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDWORK_TOOLCHAIN", "compile")

    with pytest.raises(ToolchainError, match="'compile' given; allowed: auto, download, build"):
        locate.mode()


def test_a_folder_named_venv_is_not_overwritten(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "checkout", lambda: home)
    (home / "requirements.lock").write_text("", encoding="utf-8")
    (home / ".venv").mkdir()

    with pytest.raises(ToolchainError, match="move it away"):
        venv.make(lambda _: None)


@pytest.mark.parametrize("words", [[], ["--node"]])
def test_what_a_real_node_needs_is_brought_where_it_is_asked_for(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Asked(install.Installer):
        def run(self) -> list[install.Row]:
            asked.extend(tool.name for tool in self.tools)
            return []

    monkeypatch.setattr(install, "Installer", Asked)
    monkeypatch.setattr(operators, "fetch", lambda say: None)
    assert install.main(words) == 0
    assert "pulumi" in asked
    assert ({"kubernetes-node", "coredns"} <= set(asked)) is bool(words)


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (11.6, "12 s"), (245, "4 min 5 s")])
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text
