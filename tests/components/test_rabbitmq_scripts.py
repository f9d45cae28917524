"""How a node starts and becomes what the definitions say: the scripts run for real, with stand-ins for programs."""

from __future__ import annotations

import signal
import stat
import subprocess
from pathlib import Path

import pytest

from components.rabbitmq import render
from tests.support.rabbitmq import files_of, plan_of
from toolchain.waiting import wait_until

STAND_INS = {
    # Each notes how it was called, and fails where a file says so.
    **dict.fromkeys(
        ("rabbitmqctl", "rabbitmq-upgrade", "rabbitmq-server", "erlc", "openssl"),
        'echo "$(basename "$0") $*" >>"$ROOT/calls"\n'
        'for word in "$@"; do case " $(cat "$ROOT/fails") " in *" $word "*) exit 1 ;; esac; done',
    ),
    "uname": 'cat "$ROOT/hostname"',
    "sleep": '. "$ROOT/meanwhile"; exec /bin/sleep 0.01',
}


class Node:
    """The files and surroundings of one node."""

    def __init__(self, root: Path, index: int = 0, replicas: int = 3) -> None:
        self.root = root
        for folder in ("etc", "cluster", "run", "data", "bin"):
            (root / folder).mkdir()
        self.plan = plan_of("api", replicas=replicas)
        for name, text in files_of(self.plan).items():
            (root / "etc" / name).write_text(self._here(text))
        for name, text in STAND_INS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        for name in ("calls", "fails", "meanwhile"):
            (root / name).write_text("")
        (root / "hostname").write_text(f"broker-{index}")
        (root / "cluster/cookie").write_text("the cookie")
        (root / "cluster/definitions.json").write_text("{}")

    def _here(self, text: str) -> str:
        for path, folder in (
            (render.ETC, "etc"),
            (render.CLUSTER, "cluster"),
            (render.RUN, "run"),
            (render.DATA, "data"),
        ):
            text = text.replace(path, f"{self.root}/{folder}")
        return text

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().replace(str(self.root), "").splitlines()

    def fails(self, *words: str) -> None:
        (self.root / "fails").write_text(" ".join(words))

    def start(self, container: int) -> subprocess.Popen[str]:
        """Start a container's command."""
        command = [self._here(word) for word in self.plan.workload.containers[container].command]
        environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "ROOT": str(self.root)}
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def await_call(self, wanted: str, times: int = 1) -> None:
        wait_until(wanted, 20, lambda: sum(wanted in call for call in self.calls) >= times, lambda: str(self.calls))


class Topology:
    """The process that has the server be as the definitions say, while it runs."""

    def __init__(self, node: Node) -> None:
        self._process = node.start(1)

    def __enter__(self) -> subprocess.Popen[str]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def test_a_server_has_files_that_only_it_can_read(tmp_path: Path) -> None:
    node = Node(tmp_path)
    out, _ = node.start(0).communicate(timeout=20)
    assert node.calls[-1].startswith("rabbitmq-server")
    cookie = tmp_path / "run/.erlang.cookie"
    assert (cookie.read_text(), stat.S_IMODE(cookie.stat().st_mode)) == ("the cookie", 0o400)
    assert any(call.startswith("erlc") and "groundwork_nodes.erl" in call for call in node.calls)
    assert "the cookie" not in out + "".join(node.calls)


def test_a_new_node_waits_for_the_first(tmp_path: Path) -> None:
    node = Node(tmp_path, index=2)
    node.fails("s_client")
    process = node.start(0)
    node.await_call("openssl", 3)
    assert not [call for call in node.calls if call.startswith("rabbitmq-server")]
    assert "-connect broker-0.broker-peers.groundwork-test.svc:25672" in node.calls[-1]
    node.fails()
    process.communicate(timeout=20)
    assert node.calls[-1].startswith("rabbitmq-server")


@pytest.mark.parametrize(("index", "member"), [(0, False), (2, True)])
def test_the_first_node_and_those_that_were_members_wait_for_nobody(tmp_path: Path, index: int, member: bool) -> None:
    node = Node(tmp_path, index)
    node.fails("s_client")
    if member:
        (tmp_path / "data/member").touch()
    node.start(0).communicate(timeout=20)
    assert node.calls[-1].startswith("rabbitmq-server")


def test_a_node_that_waits_can_be_told_to_stop(tmp_path: Path) -> None:
    node = Node(tmp_path, index=2)
    node.fails("s_client")
    process = node.start(0)
    node.await_call("openssl")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143


def test_definitions_are_applied_once_all_nodes_are_there(tmp_path: Path) -> None:
    node = Node(tmp_path)
    with Topology(node):
        wait_until("applied", 20, (tmp_path / "run/applied").exists, lambda: str(node.calls))
    order = [call for call in node.calls if not call.startswith("openssl")]
    assert order == [
        "rabbitmqctl -q await_online_nodes 3 -t 60",
        "rabbitmqctl -q import_definitions /cluster/definitions.json",
        "rabbitmqctl -q eval_file /etc/prune.erl",
        "rabbitmq-upgrade -q await_online_quorum_plus_one -t 120",
    ]
    assert (tmp_path / "data/member").exists()
    assert (tmp_path / "run/.erlang.cookie").read_text() == "the cookie"


def test_a_single_node_waits_for_no_other(tmp_path: Path) -> None:
    node = Node(tmp_path, replicas=1)
    with Topology(node):
        wait_until("applied", 20, (tmp_path / "run/applied").exists, lambda: str(node.calls))
    assert not [call for call in node.calls if call.startswith("rabbitmq-upgrade")]


def test_without_all_nodes_a_majority_is_enough(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.fails("3")
    with Topology(node):
        node.await_call("import_definitions")
    assert "rabbitmqctl -q await_online_nodes 2 -t 60" in node.calls


@pytest.mark.parametrize("step", ["s_client", "import_definitions", "eval_file", "await_online_nodes"])
def test_what_failed_is_tried_again_and_not_called_done(tmp_path: Path, step: str) -> None:
    node = Node(tmp_path)
    node.fails(step)
    with Topology(node):
        node.await_call(step, 2)
        assert not (tmp_path / "run/applied").exists()
        node.fails()
        wait_until("applied", 20, (tmp_path / "run/applied").exists, lambda: str(node.calls))


@pytest.mark.parametrize("file", ["cookie", "definitions.json"])
def test_what_changed_is_applied_without_a_restart(tmp_path: Path, file: str) -> None:
    node = Node(tmp_path)
    with Topology(node) as process:
        node.await_call("await_online_quorum_plus_one")
        (tmp_path / "cluster" / file).write_text("another")
        node.await_call("await_online_quorum_plus_one", 2)
        assert process.poll() is None
    assert sum("import_definitions" in call for call in node.calls) == 2


def test_what_did_not_change_is_applied_once(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / "meanwhile").write_text('echo >>"$ROOT/slept"')
    with Topology(node):
        slept = tmp_path / "slept"
        wait_until("rounds", 20, lambda: slept.exists() and len(slept.read_text()) > 5, lambda: str(node.calls))
    assert sum("import_definitions" in call for call in node.calls) == 1


def test_a_marker_of_an_earlier_life_says_nothing(tmp_path: Path) -> None:
    node = Node(tmp_path)
    (tmp_path / "run/applied").touch()
    node.fails("import_definitions")
    with Topology(node):
        node.await_call("import_definitions")
        assert not (tmp_path / "run/applied").exists()


@pytest.mark.parametrize(("check", "port"), [("ready", 5671), ("alive", 25672)])
def test_probes_verify_who_answers(tmp_path: Path, check: str, port: int) -> None:
    node = Node(tmp_path)
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "ROOT": str(tmp_path)}
    command = ["/bin/sh", str(tmp_path / "etc/probe.sh"), check]
    assert subprocess.run(command, env=environment).returncode == 0
    assert f"-connect localhost:{port} " in node.calls[0]
    assert "-verify_hostname localhost -verify_return_error" in node.calls[0]
    node.fails("s_client")
    assert subprocess.run(command, env=environment).returncode == 1
