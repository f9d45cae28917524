"""Which Docker engine is used, and what of an engine can be judged without starting one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from toolchain import docker, docker_command, docker_engine, docker_files, docker_remains, processes
from toolchain.errors import ToolchainError
from toolchain.waiting import wait_until

ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 0102A8C0 0003 0 0 0 00000000 0 0 0
eth0 0002A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0
tun0 0000C90A 00000000 0001 0 0 0 0000FFFF 0 0 0
"""
SAVED = """# Generated
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -o groundwork0 -j ACCEPT
-A FORWARD -o br-stranger -j ACCEPT
-A DOCKER -d 10.201.0.130/32 -p tcp -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 10.201.0.64/26 ! -o br-ours -j MASQUERADE
-A POSTROUTING -s 10.244.0.0/16 -j MASQUERADE
COMMIT
*raw
:OUTPUT ACCEPT [0:0]
COMMIT
"""
REMOVAL = """*filter
-D FORWARD -j DOCKER-USER
-D FORWARD -o groundwork0 -j ACCEPT
-F DOCKER
-F DOCKER-USER
-X DOCKER
-X DOCKER-USER
COMMIT
*nat
-D POSTROUTING -s 10.201.0.64/26 ! -o br-ours -j MASQUERADE
COMMIT
"""


def quiet(_: str) -> None:
    """A log that nobody reads."""


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder short enough for unix sockets, and no engine of the system's or the user's."""
    with tempfile.TemporaryDirectory(prefix="gw-") as name:
        folder = Path(name)
        monkeypatch.setenv("XDG_STATE_HOME", name)
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.delenv("DOCKER_HOST", raising=False)
        monkeypatch.setattr(docker, "SYSTEM", f"unix://{name}/system.sock")
        yield folder


@pytest.fixture
def engines() -> Iterator[list[socket.socket]]:
    """Sockets that answer as an engine does; closed at the end."""
    servers: list[socket.socket] = []
    yield servers
    for server in servers:
        server.close()


def serve(url: str, servers: list[socket.socket], status: str = "200 OK") -> None:
    path = Path(url.removeprefix("unix://"))
    path.parent.mkdir(parents=True, exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    servers.append(server)

    def answer() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(1024)
                connection.sendall(f"HTTP/1.0 {status}\r\n\r\n".encode())

    threading.Thread(target=answer, daemon=True).start()


def test_the_toolchains_own_engine_comes_first(
    place: Path, engines: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = f"unix://{place}/theirs.sock"
    serve(theirs, engines)
    serve(docker.SYSTEM, engines)
    assert docker.ensure(quiet) == docker.SYSTEM
    monkeypatch.setenv("DOCKER_HOST", theirs)
    assert docker.ensure(quiet) == theirs
    serve(docker_files.url(), engines)
    docker_files.marker().touch()
    assert docker.ensure(quiet) == docker_files.url()
    assert docker_command.main(["host"]) == 0
    assert docker_command.main(["start"]) == 0


def test_an_engine_that_was_named_and_does_not_answer_is_an_error(
    place: Path, engines: list[socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(docker.SYSTEM, engines)
    serve(f"unix://{place}/ill.sock", engines, status="500 Internal Server Error")
    for name in ("nobody", "ill"):
        monkeypatch.setenv("DOCKER_HOST", f"unix://{place}/{name}.sock")
        with pytest.raises(ToolchainError, match=rf"DOCKER_HOST: no Docker engine answers at unix://.*{name}\.sock"):
            docker.ensure(quiet)
    monkeypatch.setenv("DOCKER_HOST", docker_files.url())
    assert docker.ensure(quiet) == docker.SYSTEM, "a shell may still have the address of an own engine that was deleted"


def test_without_root_and_docker_the_error_says_what_to_install(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolchainError, match=r"Install Docker \(package docker\.io\).*group docker.*run this as root"):
        docker.ensure(quiet)
    assert docker.existing(quiet) is None
    assert not docker_files.folder().exists()
    assert docker_command.main(["status"]) == 4
    with pytest.raises(ToolchainError, match="toolchain docker start"):
        docker_command.main(["host"])


def test_the_command_line_is_the_users_where_there_is_one(home: Path) -> None:
    program = home / "bin" / "docker"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert docker.command("unix:///x") == [str(program), "--host", "unix:///x"]


def test_a_folder_too_deep_for_a_socket_is_refused_with_the_way_out(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", f"{place}/{'x' * 80}")
    with pytest.raises(ToolchainError, match=r"at most 70, .* set XDG_STATE_HOME to a shorter folder"):
        docker_files.require_short_paths()
    room = 70 - len("/groundwork/docker")
    monkeypatch.setenv("XDG_STATE_HOME", f"{place}/".ljust(room, "x"))
    docker_files.require_short_paths()
    longest = docker_files.folder() / docker_files.LONGEST_SOCKET
    longest.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(longest))


def test_networks_get_addresses_that_no_route_leads_to(place: Path) -> None:
    table = place / "route"
    table.write_text(ROUTES)
    routes = docker_files.routes(table)
    assert [str(route) for route in routes] == ["192.168.2.0/24", "10.201.0.0/16"]
    assert docker_files.choose_pool(routes) == IPv4Network("172.30.0.0/16")
    docker_files.write_settings(routes)
    docker_files.write_settings([])
    assert docker_files.pool() == IPv4Network("172.30.0.0/16"), "kept, since networks have addresses of it"
    assert docker_files.bridge_address() == "172.30.0.1/26"
    with pytest.raises(ToolchainError, match=r"routes into each of 10\.201.*set DOCKER_HOST"):
        docker_files.choose_pool([IPv4Network("0.0.0.0/1"), IPv4Network("128.0.0.0/1")])


@pytest.mark.parametrize("pool", docker_files.POOLS)
def test_every_pool_has_room_for_sixty_networks(pool: str) -> None:
    assert 2 ** (docker_files.NETWORK_BITS - IPv4Network(pool).prefixlen) >= 61


def test_damaged_settings_are_an_error_that_says_how_to_start_afresh(place: Path) -> None:
    docker_files.folder().mkdir(parents=True)
    docker_files.settings_file().write_text("{}")
    with pytest.raises(ToolchainError, match="docker delete"):
        docker_files.pool()
    docker_engine.delete(quiet)
    assert not docker_files.folder().exists()


def test_rules_of_others_stay() -> None:
    pool = IPv4Network("10.201.0.0/16")
    assert docker_remains.removal(SAVED.splitlines(), pool, ["groundwork0", "br-ours"]) == REMOVAL
    assert docker_remains.removal(REMOVAL.splitlines(), pool, []) == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the engine is for Linux")
def test_an_engine_of_somebody_else_is_seen_and_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, folder = place / "dockerd", place / "own"
    shutil.copy("/bin/sleep", program)
    every = processes.command_lines
    monkeypatch.setattr(processes, "command_lines", lambda: (one for one in every() if one[1][0] == str(program)))
    assert docker_remains.other_engine(folder) is None
    with subprocess.Popen([str(program), "60"]) as stranger:
        wait_until("the program to run", 10, lambda: docker_remains.other_engine(folder) == stranger.pid, str)
        assert docker_remains.engine(folder) is None
        assert docker_remains.end_processes(folder) == 0
        assert stranger.poll() is None
        stranger.kill()
