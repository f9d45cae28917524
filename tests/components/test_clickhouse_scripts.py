"""How a server starts, gets its tables and hands leadership over: the scripts run for real.

Programs of the image have stand-ins; Keeper is a server with TLS that takes commands as Keeper does, by the first four
bytes of a connection.
"""

from __future__ import annotations

import shutil
import signal
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest

from components.clickhouse import render
from components.core.mounts import OWN
from components.core.workload import Workload
from tests.components.test_redis_server import write_certificate
from tests.support.clickhouse import plan_of
from tests.support.site import contents
from toolchain.waiting import wait_until

STAND_INS = {
    "uname": 'cat "$ROOT/hostname"',
    "clickhouse-server": 'echo "$* $SHARD $REPLICA $OWN_HOST $SERVER_ID $CLICKHOUSE_WATCHDOG_ENABLE" >>"$ROOT/calls"',
    "clickhouse-client": 'echo "client $*" >>"$ROOT/calls"; exit "$(cat "$ROOT/status")"',
    "sleep": "exec /bin/sleep 0.01",
}


class Instance:
    """The files and surroundings of one instance of a workload."""

    def __init__(self, root: Path, workload: Workload, index: int = 0) -> None:
        self.root = root
        self.workload = workload
        for folder in ("etc", "run", "bin"):
            (root / folder).mkdir()
        for name, text in contents(workload).items():
            (root / "etc" / name).write_text(self._here(text))
        for name, text in STAND_INS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        (root / "calls").write_text("")
        (root / "status").write_text("0")
        (root / "hostname").write_text(f"{workload.name}-{index}")

    def _here(self, text: str) -> str:
        for path, folder in ((render.ETC, "etc"), (render.RUN, "run"), (OWN, "tls")):
            text = text.replace(path, f"{self.root}/{folder}")
        return text

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().replace(str(self.root), "").splitlines()

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start a command of a container."""
        environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin", "ROOT": str(self.root), **variables}
        command = [self._here(word) for word in words]
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def end(self, process: subprocess.Popen[str]) -> int:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
        return process.returncode


def test_a_server_knows_who_it_is(tmp_path: Path) -> None:
    server = plan_of("api", replicas=2, shards=2).servers[1]
    instance = Instance(tmp_path, server, index=1)
    instance.start(*server.containers[0].command).communicate(timeout=20)
    host = "store-2-1.store-2-peers.groundwork-test.svc"
    assert instance.calls == [f"--config-file=/etc/clickhouse.yaml 2 store-2-1 {host} 2 0"]


def test_keepers_are_numbered_from_one(tmp_path: Path) -> None:
    keeper = plan_of("api", replicas=2).keeper
    assert keeper
    instance = Instance(tmp_path, keeper, index=0)
    instance.start(*keeper.containers[0].command).communicate(timeout=20)
    assert instance.calls[0].split()[0] == "--config-file=/etc/clickhouse-keeper.yaml"
    assert instance.calls[0].split()[-2] == "1"


def test_tables_are_made_once_the_server_takes_them_and_not_again(tmp_path: Path) -> None:
    server = plan_of("api").servers[0]
    instance = Instance(tmp_path, server)
    (tmp_path / "status").write_text("1")
    process = instance.start(*server.containers[1].command)
    wait_until("tries", 20, lambda: len(instance.calls) > 2, lambda: str(instance.calls))
    assert not (tmp_path / "run/applied").exists()
    (tmp_path / "status").write_text("0")
    wait_until("tables", 20, (tmp_path / "run/applied").exists, lambda: str(instance.calls))
    done, tried = len(instance.calls), (tmp_path / "run/tried").stat().st_mtime_ns
    still = (tmp_path / "run/tried").stat
    wait_until("a later look", 20, lambda: still().st_mtime_ns > tried, lambda: str(instance.calls))
    assert len(instance.calls) == done
    assert instance.calls[0] == "client --config-file=/etc/clickhouse-client.yaml --queries-file=/etc/schema.sql"
    assert instance.end(process) == 0


def test_tables_are_made_anew_after_each_start(tmp_path: Path) -> None:
    server = plan_of("api").servers[0]
    instance = Instance(tmp_path, server)
    (tmp_path / "run/applied").touch()
    process = instance.start(*server.containers[1].command)
    wait_until("tables", 20, lambda: len(instance.calls) > 0, lambda: str(instance.calls))
    assert instance.end(process) == 0


class Keeper(ThreadingTCPServer):
    """Takes commands by TLS from whoever has a certificate, and answers as Keeper does."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        self.asked: list[bytes] = []
        self.state = "follower"
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self._context.load_verify_locations(folder / "ca.crt")
        self._context.verify_mode = ssl.CERT_REQUIRED
        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def port(self) -> str:
        return str(self.server_address[1])


class Answer(BaseRequestHandler):
    """One connection: a command of four bytes, an answer, and no more."""

    server: Keeper

    def handle(self) -> None:
        try:
            with self.server._context.wrap_socket(self.request, server_side=True) as connection:
                command = connection.recv(4)
                self.server.asked.append(command)
                state = f"zk_version\tv26.8\nzk_server_state\t{self.server.state}\n".encode()
                connection.sendall({b"ruok": b"imok", b"mntr": state}.get(command, b"Sent yield leadership request\n"))
                connection.unwrap()
        except (ssl.SSLError, OSError):
            return


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    keeper = plan_of("api", replicas=2).keeper
    assert keeper
    made = Instance(tmp_path, keeper)
    (tmp_path / "tls").mkdir()
    write_certificate(tmp_path / "tls")
    return made


@pytest.fixture
def keeper(instance: Instance) -> Iterator[Keeper]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed; the container that asks Keeper has it")
    with Keeper(instance.root / "tls") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=20)


def check(instance: Instance, keeper: Keeper, word: str) -> int:
    process = instance.start("/bin/sh", f"{render.ETC}/keeper.sh", word, KEEPER_PORT=keeper.port)
    process.communicate(timeout=20)
    return process.returncode


def test_keeper_is_ready_while_it_leads_or_follows(instance: Instance, keeper: Keeper) -> None:
    for state, status in (("follower", 0), ("leader", 0), ("observer", 1), ("standalone", 1)):
        keeper.state = state
        assert check(instance, keeper, "ready") == status
    assert check(instance, keeper, "alive") == 0
    assert keeper.asked == [b"mntr"] * 4 + [b"ruok"]


def test_keeper_is_asked_by_who_has_its_certificate(instance: Instance, keeper: Keeper) -> None:
    other = instance.root / "other"
    other.mkdir()
    write_certificate(other)
    for name in ("tls.crt", "tls.key"):
        shutil.copy(other / name, instance.root / "tls" / name)
    assert check(instance, keeper, "alive") != 0
    assert not [command for command in keeper.asked if command]


def test_who_answers_in_the_place_of_keeper_is_not_believed(instance: Instance, keeper: Keeper) -> None:
    other = instance.root / "other"
    other.mkdir()
    write_certificate(other)
    shutil.copy(other / "ca.crt", instance.root / "tls/ca.crt")
    assert check(instance, keeper, "alive") != 0


def test_a_keeper_that_stops_hands_leadership_over_first(instance: Instance, keeper: Keeper) -> None:
    command = instance.workload.containers[1].command
    process = instance.start(*command, KEEPER_PORT=keeper.port)
    # Its trap is set once it waits.
    wait_until("the wait", 20, lambda: _has_child(process.pid), lambda: "it does not wait")
    assert instance.end(process) == 0
    assert keeper.asked == [b"ydld"]


def test_a_keeper_that_is_gone_already_holds_nobody_up(instance: Instance) -> None:
    process = instance.start(*instance.workload.containers[1].command, KEEPER_PORT="1")
    wait_until("the wait", 20, lambda: _has_child(process.pid), lambda: "it does not wait")
    assert instance.end(process) == 0


def test_another_word_is_refused(instance: Instance) -> None:
    process = instance.start("/bin/sh", f"{render.ETC}/keeper.sh", "stop")
    process.communicate(timeout=20)
    assert process.returncode == 64


def _has_child(pid: int) -> bool:
    return bool(Path(f"/proc/{pid}/task/{pid}/children").read_text().strip())
