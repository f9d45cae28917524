"""The namespaces that a node lives in: what is in them stays in them, and nothing is left when they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest

from toolchain import docker_files, paths, processes
from toolchain.locate import locate, mode
from toolchain.locking import point
from toolchain.node import cluster, machine, network, profile
from toolchain.node.network import Network
from toolchain.node.pins import NODE_TOOL
from toolchain.progress import Progress
from toolchain.waiting import wait_until

ROOT = sys.platform.startswith("linux") and os.geteuid() == 0
FOUND = locate(NODE_TOOL, mode()) if ROOT else None
pytestmark = [
    pytest.mark.skipif(not ROOT, reason="needs Linux and root"),
    pytest.mark.skipif(ROOT and FOUND is None, reason="not installed: node; python3 -m toolchain cluster start --node"),
]
TUNABLE = "/proc/sys/vm/panic_on_oom"
# Waits to be asked to end, and says that it was.
POLITE = 'trap "touch /var/lib/asked; exit" TERM; touch /var/lib/waiting; while :; do sleep 0.05; done'


@pytest.fixture
def chosen() -> Iterator[Network]:
    """A network that is free, and stays so for whoever else looks for one."""
    with network.exclusively(print):
        yield network.choose(docker_files.routes())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: Network) -> Iterator[Path]:
    """A cluster's folder with the program that holds the namespaces; whatever was started ends with the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(paths.cache_folder().parent))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    own = profile.folder()
    own.mkdir(parents=True)
    assert FOUND is not None
    point(own / "bin" / machine.HOLDER, FOUND.folder / machine.HOLDER)
    yield own
    machine.stop(own, chosen.name)
    network.disconnect(chosen, own)


def inside(process: int, script: str) -> str:
    command = [*machine.enter(process), "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return (done.stdout + done.stderr).strip()


def groups(name: str) -> list[Path]:
    return [group / name for group in machine._hierarchies() if (group / name).exists()]


def test_the_node_sees_its_own_processes_and_writes_its_own_folder(folder: Path, chosen: Network) -> None:
    process = machine.start(folder, chosen.name)
    assert inside(process, "cat /proc/1/cmdline").strip("\0") == str(folder / "bin" / "init")
    assert inside(process, "echo content > /var/lib/file; cat /var/lib/file") == "content"
    assert (folder / "lib" / "file").read_text() == "content\n"
    assert "Read-only file system" in inside(process, "touch /usr/file")
    assert str(folder) not in Path("/proc/self/mountinfo").read_text(), "a mount of the node is seen outside"
    assert groups(chosen.name)


def test_the_tunables_of_the_machine_stay_as_they_are(folder: Path, chosen: Network) -> None:
    before = Path(TUNABLE).read_text()
    process = machine.start(folder, chosen.name)
    inside(process, f"echo 2 > {TUNABLE}")
    assert (inside(process, f"cat {TUNABLE}"), Path(TUNABLE).read_text()) == ("2", before)


def test_machine_and_node_reach_each_other_and_nothing_of_it_is_left(folder: Path, chosen: Network) -> None:
    process = machine.start(folder, chosen.name)
    network.connect(chosen, process, folder)
    network.connect(chosen, process, folder)
    for destination in (chosen.pods[5], chosen.services[5]):
        route = subprocess.run(["ip", "route", "get", str(destination)], capture_output=True, text=True).stdout
        assert f"via {chosen.node} dev {chosen.name}" in route
    assert f"dev {network.NODE_INTERFACE}" in inside(process, f"ip route get {chosen.machine}")
    assert f"src {chosen.node}" in inside(process, f"ip route get {chosen.api}")
    assert "unreachable" in inside(process, "ip route get 192.0.2.77").lower()
    machine.stop(folder, chosen.name)
    network.disconnect(chosen, folder)
    assert network.choose(docker_files.routes()) == chosen, "its name and its routes are free again"
    assert groups(chosen.name) == []
    assert processes.running(folder) == {}


def test_processes_are_asked_to_end_before_they_are_ended(folder: Path, chosen: Network) -> None:
    process = machine.start(folder, chosen.name)
    subprocess.run([*machine.enter(process), "setsid", "--fork", "sh", "-c", POLITE], check=True)
    wait_until("the process", 10, (folder / "lib" / "waiting").exists, str)
    machine.stop(folder, chosen.name)
    assert (folder / "lib" / "asked").exists()
    assert machine.holder(folder) is None


def test_a_killed_holder_takes_everything_along_and_its_groups_are_removed_by_the_next(
    folder: Path, chosen: Network
) -> None:
    process = machine.start(folder, chosen.name)
    left = groups(chosen.name)[0] / "left"
    left.mkdir()
    os.kill(process, 9)
    wait_until("the end", 10, lambda: processes.running(folder) == {}, str)
    assert machine.start(folder, chosen.name) != process
    assert not left.exists()


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, chosen: Network) -> Callable[[], None]:
    """Has the commands be about a stopped cluster that once had the same network, with a lock of its own."""

    def change() -> None:
        monkeypatch.setattr(network, "LOCK", tmp_path / "lock")
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "stopped"))
        profile.folder().mkdir(parents=True)
        (profile.folder() / "network.json").write_text(json.dumps({"number": chosen.number}), encoding="utf-8")
        assert profile.network() == chosen

    return change


def test_a_stopped_cluster_leaves_the_groups_of_another_that_took_its_network(
    folder: Path, chosen: Network, stopped: Callable[[], None]
) -> None:
    process = machine.start(folder, chosen.name)
    network.connect(chosen, process, folder)
    (group := groups(chosen.name)[0] / "theirs").mkdir()
    stopped()
    cluster.delete()
    assert group.exists()
    assert processes.running(folder) != {}
    assert not profile.folder().exists()


def test_a_stopped_cluster_waits_for_another_that_is_taking_its_network(
    folder: Path, chosen: Network, stopped: Callable[[], None]
) -> None:
    """Its groups are there before its interface, by which it is known."""
    process = machine.start(folder, chosen.name)
    (group := groups(chosen.name)[0] / "theirs").mkdir()
    stopped()
    said = StringIO()
    with ThreadPoolExecutor() as pool:
        with network.exclusively(print):
            deletion = pool.submit(cluster.delete, Progress(said))
            wait_until("it to wait", 10, lambda: "takes or leaves a network; waiting for it" in said.getvalue(), str)
            network.connect(chosen, process, folder)
        deletion.result(timeout=20)
    assert group.exists()
