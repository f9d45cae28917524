"""PgBouncer beside a single PostgreSQL: whom it lets in and how, where it leads, and how it starts and ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from components.core.workload import Container
from components.postgres.pgbouncer import ANSWERS, LEADS, probe_map, render_pooler, served
from components.postgres.plan import PostgresPlan
from components.postgres.render import CONFIG, DATA, REFUSE_PLAINTEXT, REFUSE_REST, SECRETS, SOCKET
from components.postgres.single import single_workload
from tests.support.postgres import plan_of

BACKUP = {"to": "objects"}
needs_perl = pytest.mark.skipif(not shutil.which("perl"), reason="perl is not installed")


def ini(plan: PostgresPlan) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read_string(render_pooler(plan)["pgbouncer.ini"])
    return parser


def rules(plan: PostgresPlan) -> list[str]:
    return render_pooler(plan)["pg_hba_pooler.conf"].splitlines()


def pooler(plan: PostgresPlan) -> Container:
    return next(one for one in single_workload(plan).containers if one.name == "pooler")


def test_it_listens_where_consumers_call_and_asks_for_a_certificate() -> None:
    settings = ini(plan_of("api"))["pgbouncer"]
    assert (settings["listen_port"], settings["unix_socket_dir"]) == ("5432", "")
    assert (settings["client_tls_sslmode"], settings["client_tls_protocols"]) == ("verify-full", "tlsv1.3")
    assert (settings["auth_type"], settings["auth_hba_file"]) == ("hba", f"{CONFIG}/pg_hba_pooler.conf")
    assert [listener.port for listener in pooler(plan_of("api")).listeners] == [5432]


def test_it_leads_to_the_servers_socket_and_to_what_is_named_alone() -> None:
    databases = dict(ini(plan_of("api", "web-x"))["databases"])
    assert databases == dict.fromkeys(("api", "postgres", "web-x"), f"host={SOCKET}")
    assert ini(plan_of("api", backup=BACKUP))["databases"]["replication"] == f"host={SOCKET} dbname=postgres"


def test_the_name_in_a_certificate_is_the_role_and_the_role_has_one_database() -> None:
    found = rules(plan_of("all", "web-x", backup=BACKUP))
    assert (found[0], found[-1]) == (REFUSE_PLAINTEXT, REFUSE_REST)
    assert found[1:-1] == [
        'hostssl "all" "all" all cert',
        'hostssl "web-x" "web-x" all cert',
        "hostssl postgres groundwork_metrics 127.0.0.1/32 cert map=probe",
        'hostssl replication "postgres-backup" all cert',
    ]
    assert not [rule for rule in rules(plan_of("api")) if "replication" in rule]


def test_whoever_may_come_is_known_to_it_and_has_no_password() -> None:
    text = render_pooler(plan_of("api", backup=BACKUP))["userlist.txt"]
    assert text == '"api" ""\n"postgres-backup" ""\n"groundwork_metrics" ""\n'


def test_each_consumer_is_a_pool_of_twenty_and_shares_no_variable() -> None:
    settings = ini(plan_of("api"))["pgbouncer"]
    assert (settings["pool_mode"], settings["default_pool_size"]) == ("transaction", "20")
    assert (settings["server_reset_query"], settings["server_reset_query_always"]) == ("RESET ALL", "1")


def test_its_size_is_that_of_the_spec() -> None:
    fields = {"mode": "session", "pool_size": 5, "max_clients": 50, "resources": {"cpu": "50m", "memory": "64Mi"}}
    plan = plan_of("api", pooler=fields)
    settings = ini(plan)["pgbouncer"]
    assert (settings["pool_mode"], settings["server_reset_query"]) == ("session", "DISCARD ALL")
    assert (settings["default_pool_size"], settings["max_client_conn"]) == ("5", "50")
    assert (pooler(plan).cpu, pooler(plan).memory) == ("50m", "64Mi")


def test_it_sees_the_servers_socket_and_none_of_its_data() -> None:
    assert pooler(plan_of("api")).mounts == (CONFIG, SECRETS, SOCKET)
    assert DATA not in pooler(plan_of("api")).mounts


def test_it_is_ready_once_a_role_is_served_through_the_pooler() -> None:
    plan = plan_of("api")
    roles = next(one for one in single_workload(plan).containers if one.name == "roles")
    assert roles.readiness.command[-len(served(plan)) :] == served(plan)
    connection = dict(word.split("=") for word in served(plan)[-1].split())
    assert (connection["hostaddr"], connection["port"], connection["sslmode"]) == ("127.0.0.1", "5432", "verify-full")
    assert (connection["host"], connection["user"]) == (plan.host, "groundwork_metrics")
    assert probe_map(plan) == f"probe {plan.hosts[0]} groundwork_metrics\n"
    assert (
        probe_map(plan) in {file.path: file.content for file in single_workload(plan).files}[f"{CONFIG}/pg_ident.conf"]
    )


def asked(command: tuple[str, ...], port: int, folder: Path) -> int:
    """Exit code of a probe that asks this port, and looks for the server's socket in this folder."""
    words = [word.replace("127.0.0.1:5432", f"127.0.0.1:{port}").replace(SOCKET, str(folder)) for word in command]
    return subprocess.run(words, timeout=10).returncode


@needs_perl
@pytest.mark.parametrize(("answer", "code"), [(b"N", 0), (b"E", 1), (b"", 1)])
def test_it_is_alive_while_it_answers(tmp_path: Path, answer: bytes, code: int) -> None:
    heard: list[bytes] = []

    def reply() -> None:
        with server.accept()[0] as client:
            heard.append(client.recv(8))
            client.sendall(answer)

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        replying = Thread(target=reply)
        replying.start()
        assert asked(ANSWERS, server.getsockname()[1], tmp_path) == code
        replying.join()
    assert heard == [bytes.fromhex("0000000804d21630")]


@needs_perl
def test_it_is_not_alive_where_nobody_listens(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    assert asked(ANSWERS, port, tmp_path) == 1


@needs_perl
def test_it_is_ready_where_there_is_a_server_besides(tmp_path: Path) -> None:
    def reply() -> None:
        with pooling.accept()[0] as client:
            client.recv(8)
            client.sendall(b"N")

    with closing(socket.create_server(("127.0.0.1", 0))) as pooling:
        assert asked(LEADS, pooling.getsockname()[1], tmp_path) == 1
        with closing(socket.socket(socket.AF_UNIX)) as server:
            server.bind(str(tmp_path / ".s.PGSQL.5432"))
            replying = Thread(target=reply)
            replying.start()
            assert asked(LEADS, pooling.getsockname()[1], tmp_path) == 0
            replying.join()


@contextmanager
def started(folder: Path, stub: str) -> Iterator[subprocess.Popen[str]]:
    """The start script with a program of ours in the place of pgbouncer."""
    program = folder / "pgbouncer"
    program.write_text(f"#!/bin/sh\n{stub}\n")
    program.chmod(0o755)
    script = subprocess.Popen(
        ["sh", "-c", render_pooler(plan_of("api"))["pooler.sh"]],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield script
    finally:
        with suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGKILL)
        script.communicate()


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_at_once_when_it_is_told_to(tmp_path: Path, told: signal.Signals) -> None:
    (tmp_path / "stub.py").write_text(
        "import signal, sys\n"
        "for wish in (signal.SIGINT, signal.SIGTERM): signal.signal(wish, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGQUIT, lambda *_: sys.exit(7))\n"
        "print('up', flush=True)\n"
        "signal.pause()\n"
    )
    with started(tmp_path, f"exec {sys.executable} {tmp_path}/stub.py") as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "up\n"
        script.send_signal(told)
        assert script.wait(timeout=10) == 7


def test_it_fails_when_pgbouncer_does(tmp_path: Path) -> None:
    with started(tmp_path, f'[ "$1" = {CONFIG}/pgbouncer.ini ] && exit 3') as script:
        assert script.wait(timeout=10) != 0
