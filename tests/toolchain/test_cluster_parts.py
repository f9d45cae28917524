"""The parts of the embedded cluster that can be judged without starting it."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from toolchain import cluster, cluster_command, cluster_files, operators, paths, processes
from toolchain import simulated_nodes as simulation
from toolchain.errors import ToolchainError
from toolchain.waiting import wait_until


def quiet(_: str) -> None:
    """A log that nobody reads."""


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> operators.Definition:
    """One definition instead of all, whose sum no content has."""
    definition = operators.Definition(operators.CLOUDNATIVE_PG, "example.org", "things", "0" * 64)
    monkeypatch.setattr(operators, "DEFINITIONS", (definition,))
    return definition


def test_nodes_are_spread_over_three_zones_and_one_other_region() -> None:
    nodes = simulation.plan_nodes("eu-central-1", "eu-west-1")
    zones = Counter((node.region, node.zone) for node in nodes)
    home = {("eu-central-1", f"eu-central-1{zone}"): 2 for zone in "abc"}
    assert zones == {**home, ("eu-west-1", "eu-west-1a"): 1, ("eu-west-1", "eu-west-1b"): 1}
    assert len({node.name for node in nodes}) == len(nodes)


def test_a_node_carries_the_well_known_labels_and_no_taint() -> None:
    node = simulation.manifest(simulation.SimulatedNode("eu-central-1", "eu-central-1a", 1))
    labels = node["metadata"]["labels"]
    assert labels["kubernetes.io/hostname"] == node["metadata"]["name"] == "eu-central-1a-1"
    assert labels["topology.kubernetes.io/region"] == "eu-central-1"
    assert labels["topology.kubernetes.io/zone"] == "eu-central-1a"
    assert labels["kubernetes.io/arch"] in {"amd64", "arm64"}
    assert "spec" not in node


@pytest.mark.parametrize("region", ["", "EU", "eu_central", "-eu", "eu-", "e" * 41])
def test_a_region_that_makes_no_node_name_is_refused(region: str) -> None:
    with pytest.raises(ToolchainError, match=re.escape(repr(region))):
        simulation.plan_nodes(region, "eu-west-1")


def test_the_other_region_differs_by_itself_or_is_refused() -> None:
    assert simulation.other_than("eu-west-1") != "eu-west-1"
    with pytest.raises(ToolchainError, match="other region: eu-west-1 given"):
        simulation.plan_nodes("eu-west-1", "eu-west-1")


def test_definitions_and_go_module_pin_the_same_versions() -> None:
    text = (paths.modules() / "crds" / "go.mod").read_text()
    pinned = set(re.findall(r"^\t(\S+) (v\S+)$", text, re.MULTILINE))
    assert pinned == {definition.source for definition in operators.DEFINITIONS}


def test_a_changed_definition_is_refused_and_not_kept(
    home: Path, short: operators.Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = home / "module" / "config" / "crd" / "bases"
    module.mkdir(parents=True)
    (module / short.file).write_text("kind: changed")
    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(operators, "_module_folders", lambda go: {short.source[0]: home / "module"})
    with pytest.raises(ToolchainError, match=r"example\.org_things\.yaml: SHA-256 .* is pinned"):
        operators.fetch(quiet)
    assert list(home.rglob("cache/**/*.yaml")) == []


def test_without_go_a_definition_comes_from_the_repository_at_its_tag(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def open_url(url: str, timeout: float) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(b"kind: x\n")

    sha256 = "1f14dfe18d7bc8077a373235096fdd769dd10ce2df8e470e1c74f5b9495d9fcc"
    definition = operators.Definition(operators.BARMAN_PLUGIN, "example.org", "things", sha256)
    monkeypatch.setattr(operators, "DEFINITIONS", (definition,))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(urllib.request, "urlopen", open_url)
    folder = operators.fetch(quiet)
    assert (folder / "example.org_things.yaml").read_bytes() == b"kind: x\n"
    assert operators.fetch(quiet) == folder
    base = "https://raw.githubusercontent.com/cloudnative-pg/plugin-barman-cloud/v0.15.0"
    assert asked == [f"{base}/config/crd/bases/example.org_things.yaml"]


def test_without_go_and_network_the_error_says_what_to_install(
    home: Path, short: operators.Definition, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(url: str, timeout: float) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(ToolchainError, match=r"no route.*Install Go"):
        operators.fetch(quiet)


def test_only_processes_that_run_a_program_of_the_folder_are_ours(tmp_path: Path) -> None:
    program = tmp_path / "sleeper"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "60"]) as ours, subprocess.Popen(["sleep", "60"]) as stranger:
        wait_until("the program to run", 10, lambda: processes.running(tmp_path) == {"sleeper": ours.pid}, str)
        assert processes.memory(ours.pid) > 0
        processes.terminate([ours.pid])
        assert processes.running(tmp_path) == {}, "ended, though its parent has not collected it"
        assert stranger.poll() is None
        stranger.kill()


def test_a_process_that_ignores_the_request_is_ended_by_force(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "POLITE_SECONDS", 0.2)
    program = tmp_path / "stubborn"
    program.symlink_to("/bin/sh")
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    with subprocess.Popen([str(program), "-c", script], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == b"ready\n"
        processes.terminate([stubborn.pid])
        assert stubborn.wait(timeout=10) == -signal.SIGKILL


def test_a_kwokctl_left_by_a_killed_caller_is_ended(home: Path) -> None:
    cluster_files.folder().mkdir(parents=True)
    program = cluster_files.folder() / "kwokctl"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "15"]) as left:
        wait_until("the program to run", 10, lambda: "kwokctl" in processes.running(program.parent), str)
        cluster.stop(quiet)
        assert left.wait(timeout=5) == -signal.SIGTERM


def test_ports_are_free_distinct_and_outside_the_range_of_outgoing_connections() -> None:
    chosen = cluster_files.choose_ports()
    assert len(set(chosen.values())) == len(chosen) == len(cluster_files.COMPONENTS) + 1
    assert all(20000 <= port < 32000 for port in chosen.values())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", chosen["etcdPort"]))
        taken.listen()
        assert not cluster_files.is_free(chosen["etcdPort"])


def test_missing_programs_are_named_with_the_command_that_brings_them(home: Path) -> None:
    with pytest.raises(ToolchainError, match=r"etcd .* is not installed; run `make toolchain`"):
        cluster.ensure(log=quiet)
    assert not cluster_files.folder().exists()
    assert cluster_command.main(["status"]) == 4


def test_a_damaged_cluster_is_an_error_that_says_how_to_start_afresh(home: Path) -> None:
    cluster_files.folder().mkdir(parents=True)
    (cluster_files.folder() / "complete.json").write_text("{}")
    with pytest.raises(ToolchainError, match="cluster delete"):
        cluster.ensure(log=quiet)
    cluster.delete(quiet)
    assert cluster.state() == cluster.ABSENT


def test_the_kubeconfig_names_only_this_cluster(home: Path) -> None:
    pki = cluster_files.work_folder() / "pki"
    pki.mkdir(parents=True)
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (pki / name).write_text(name)
    options = {"options": {"kubeApiserverPort": 20001}}
    (cluster_files.folder() / "kwokctl.json").write_text(json.dumps(options))
    previous = os.umask(0)
    try:
        cluster_files.write_kubeconfig()
    finally:
        os.umask(previous)
    written = json.loads(cluster_files.kubeconfig_file().read_text())
    assert written["current-context"] == "groundwork-embedded"
    assert [one["cluster"]["server"] for one in written["clusters"]] == ["https://127.0.0.1:20001"]
    assert cluster_files.kubeconfig_file().stat().st_mode & 0o777 == 0o600


def test_waiting_ends_with_what_was_waited_for_and_the_hint() -> None:
    with pytest.raises(ToolchainError, match=r"for the moon, in vain; look up"):
        wait_until("the moon", 0.1, lambda: False, lambda: "look up")
