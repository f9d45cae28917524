"""The toolchain's own Docker engine as its users meet it: a real one, in a network and a state folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.machine import no_containers
from toolchain import docker_files, docker_remains, image_archive, paths
from toolchain.image_recipes import RECIPES
from toolchain.waiting import wait_until

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(bool(no_containers()), reason=no_containers()),
]
REDIS = "mirror.invalid/docker.io/library/redis:8"
CURL = "mirror.invalid/docker.io/curlimages/curl:8"
SERVE = ("redis-server", "--protected-mode", "no", "--save", "")
PORT = 16379
ASK = f"""
import socket
with socket.create_connection(("127.0.0.1", {PORT}), 5) as connection:
    connection.sendall(b"PING\\r\\n")
    print(connection.recv(7).decode().strip())
"""
SAYS = {
    "library/postgres": (("postgres", "--version"), "PostgreSQL) 18"),
    "cloudnative-pg/postgresql": (("pg_ctl", "--version"), "PostgreSQL) 18"),
    "cloudnative-pg/pgbouncer": (("/usr/bin/pgbouncer", "--version"), "PgBouncer 1."),
    "apache/kafka": (("ls", "/opt/kafka/libs"), "kafka-clients-4.3.1.jar"),
    "library/nats": (("nats-server", "--version"), "nats-server: v2."),
    "natsio/nats-box": (("nats", "--version"), "0.3."),
    "prometheus/node-exporter": (("--version",), "node_exporter, version 1."),
    "library/rabbitmq": (("ls", "/usr/lib/rabbitmq/lib"), "rabbitmq_server-4.3."),
    "clickhouse/clickhouse-server": (
        ("sh", "-c", "cd /dev/shm && echo 'SELECT version();' >q && clickhouse local --path=data --queries-file=q"),
        "26.",
    ),
    "library/redis": (("redis-server", "--version"), "Redis server v=8"),
    "nginxinc/nginx-unprivileged": (("nginx", "-V"), "--modules-path=/usr/lib/nginx/modules"),
    "fholzer/nginx-brotli": (("ls", "/usr/lib/nginx/modules"), "ngx_http_brotli_filter_module.so"),
    "curlimages/curl": (("curl", "--version"), "curl 8"),
    "versity/versitygw": (("versitygw", "posix", "--help"), "versioning-dir"),
    "nginx/nginx-prometheus-exporter": (("--version",), "nginx_exporter, version 1"),
    "prometheuscommunity/postgres-exporter": (("--version",), "postgres_exporter, version 0"),
    "oliver006/redis_exporter": (("--version",), "Redis Metrics Exporter 1"),
}


def quiet(_: str) -> None:
    """A log that nobody reads."""


@dataclass(frozen=True)
class Machine:
    """A network without a way out, in which commands run, and a state folder."""

    holder: int
    state: Path

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        words = ["nsenter", f"--net=/proc/{self.holder}/ns/net", *command]
        done = subprocess.run(
            words, cwd=paths.checkout(), env=self.environment(), text=True, capture_output=True, timeout=300
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def environment(self) -> dict[str, str]:
        theirs = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
        programs = docker_files.programs(quiet).environment()
        names = ("PATH", "LD_LIBRARY_PATH", "XTABLES_LIBDIR")
        own: dict[str, str] = {name: programs[name] for name in names if name in programs}
        return {**theirs, **own, "XDG_STATE_HOME": str(self.state), "XDG_CACHE_HOME": str(paths.cache_folder().parent)}

    def toolchain(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "-m", "toolchain", *words, check=check)

    def image(self, reference: str) -> str:
        """Bring an image, and say what was said. What it is made of is fetched here: there is no way out of there."""
        image_archive.make(reference, quiet)
        return self.toolchain("images", reference).stdout

    def docker(self, *words: str, check: bool = True) -> str:
        done = self.run("docker", "--host", f"unix://{self.folder}/docker.sock", *words, check=check)
        return (done.stdout + done.stderr).strip()

    def start(self) -> None:
        self.toolchain("docker", "start")

    def answer(self) -> str:
        """What the published server says; empty when nobody listens."""
        return self.run(sys.executable, "-c", ASK, check=False).stdout.strip()

    @property
    def folder(self) -> Path:
        return self.state / "groundwork" / "docker"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    docker_files.programs(quiet)
    with (
        tempfile.TemporaryDirectory(prefix="gw-") as state,
        subprocess.Popen(["unshare", "--net", "sleep", "infinity"]) as holder,
    ):
        apart = Machine(holder.pid, Path(state))
        here = Path("/proc/self/ns/net").readlink()
        wait_until("a network", 10, lambda: Path(f"/proc/{holder.pid}/ns/net").readlink() != here, str)
        try:
            apart.run("ip", "link", "set", "lo", "up")
            yield apart
        finally:
            apart.toolchain("docker", "delete", check=False)
            holder.kill()


@pytest.fixture
def engine(machine: Machine) -> Machine:
    machine.start()
    return machine


@pytest.fixture
def served(engine: Machine) -> Iterator[Machine]:
    """One server on an internal network, one published on 127.0.0.1, both to be started again."""
    engine.image(REDIS)
    engine.docker("network", "create", "--internal", "inner")
    engine.docker("network", "create", "outer")
    common = ("run", "--detach", "--restart", "unless-stopped")
    engine.docker(*common, "--name", "hidden", "--network", "inner", "--network-alias", "alias", REDIS, *SERVE)
    published = f"127.0.0.1:{PORT}:6379"
    engine.docker(*common, "--name", "published", "--network", "outer", "--publish", published, REDIS, *SERVE)
    wait_until("the server", 20, lambda: engine.answer() == "+PONG", str)
    yield engine
    engine.start()
    engine.docker("rm", "--force", "hidden", "published")
    engine.docker("network", "rm", "inner", "outer", check=False)


def ping(machine: Machine, network: str, host: str) -> bool:
    # timeout(1) gives up as the first process of a container: its child takes it for init, and itself for an orphan.
    ask = ("sh", "-c", f"timeout 3 redis-cli -h {host} ping; exit 0")
    return "PONG" in machine.docker("run", "--rm", "--network", network, REDIS, *ask, check=False)


def address(machine: Machine, container: str, network: str) -> str:
    form = f"{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}"
    return machine.docker("inspect", "--format", form, container)


def test_it_starts_once_and_listens_on_its_socket_only(engine: Machine) -> None:
    assert engine.toolchain("docker", "host").stdout.strip() == f"unix://{engine.folder}/docker.sock"
    number = docker_remains.engine(engine.folder)
    engine.start()
    assert docker_remains.engine(engine.folder) == number
    assert engine.toolchain("docker", "status").returncode == 0
    sockets = engine.run("ss", "--listening", "--tcp", "--udp", "--no-header", check=False)
    assert sockets.stdout == ""
    assert engine.folder.stat().st_mode & 0o777 == 0o700


def test_an_internal_network_is_closed_and_a_published_port_open(served: Machine) -> None:
    assert ping(served, "inner", "alias")
    assert not ping(served, "outer", address(served, "hidden", "inner"))
    assert not ping(served, "inner", address(served, "published", "outer"))
    assert served.answer() == "+PONG"


def test_a_killed_engine_is_started_again_with_its_containers(served: Machine) -> None:
    number = docker_remains.engine(served.folder)
    assert number is not None
    os.kill(number, signal.SIGKILL)
    wait_until("its end", 10, lambda: docker_remains.engine(served.folder) is None, str)
    assert served.toolchain("docker", "status", check=False).returncode == 3
    served.start()
    wait_until("the server", 20, lambda: served.answer() == "+PONG", str)
    assert ping(served, "inner", "alias")


def test_containers_whose_supervisor_was_killed_too_are_ended(served: Machine) -> None:
    before = docker_remains.in_containers(served.folder)
    assert len(before) == 2
    supervisors = list(docker_remains._of(served.folder))
    # Whoever lives on for a moment would see the end of another, and end its containers.
    for signal_ in (signal.SIGSTOP, signal.SIGKILL):
        for number in supervisors:
            os.kill(number, signal_)
    wait_until("their end", 10, lambda: not docker_remains._of(served.folder), str)
    assert docker_remains.in_containers(served.folder) == before, "orphans"
    served.start()
    assert not set(before) & set(docker_remains.in_containers(served.folder))
    wait_until("the server", 20, lambda: served.answer() == "+PONG", str)


def test_a_stop_ends_every_process_and_keeps_the_content(served: Machine) -> None:
    served.docker("exec", "published", "redis-cli", "config", "set", "save", "")
    served.toolchain("docker", "stop")
    assert docker_remains.engine(served.folder) is None
    assert docker_remains.in_containers(served.folder) == []
    assert served.answer() == ""
    assert served.toolchain("docker", "status", check=False).returncode == 3
    served.start()
    wait_until("the server", 20, lambda: served.answer() == "+PONG", str)


def test_a_second_engine_on_the_same_network_is_refused(machine: Machine) -> None:
    machine.start()
    with tempfile.TemporaryDirectory(prefix="gw-") as state:
        second = Machine(machine.holder, Path(state))
        refused = second.toolchain("docker", "start", check=False)
        assert refused.returncode == 1
        assert f"process {docker_remains.engine(machine.folder)}" in refused.stderr
        assert "set DOCKER_HOST" in refused.stderr
        assert not second.folder.exists()


@pytest.mark.parametrize("repository", SAYS)
def test_every_image_can_be_made_and_runs_without_privileges(engine: Machine, repository: str) -> None:
    reference = f"mirror.invalid/{repository}:any"
    said = engine.image(reference)
    assert f"{reference}: made here from Debian forky packages" in said
    hardened = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--network", "none")
    command, expected = SAYS[repository]
    assert expected in engine.docker("run", "--rm", *hardened, reference, *command)


def test_the_table_of_images_is_complete() -> None:
    assert {recipe.repository for recipe in RECIPES if recipe.packages or recipe.program} == set(SAYS)


def test_a_deletion_leaves_nothing(served: Machine) -> None:
    served.docker("volume", "create", "kept")
    served.toolchain("docker", "delete")
    assert docker_remains.engine(served.folder) is None
    assert docker_remains.in_containers(served.folder) == []
    assert not served.folder.exists()
    assert str(served.state) not in Path("/proc/self/mountinfo").read_text()
    links = served.run("ip", "-oneline", "link", "show").stdout.splitlines()
    assert len(links) == 1, "only the loopback device is left"
    rules = served.run("iptables-save").stdout
    assert "DOCKER" not in rules
    assert "-A " not in rules
    assert served.toolchain("docker", "status", check=False).returncode == 4
