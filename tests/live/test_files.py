"""Secrets are where the process that needs them can read them, and nowhere else: no file open to others, no command
line, no environment, no description, no log."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Iterator

import pytest

from tests.live.deployment import Process
from tests.live.disclosure import Secrets, holders, told_by_processes, told_in_texts, too_open
from tests.live.environment import BROKERS, DOCKER, MAIN, NODE, SERVICES, Live, Record

TARGETS = (DOCKER, NODE)


@pytest.fixture(scope="module")
def secrets(live: Live) -> Secrets:
    passwords = live.secrets()
    assert len(passwords) == len(set(passwords.values())) > 0
    return Secrets(passwords)


@pytest.mark.parametrize("service", SERVICES)
def test_no_file_lets_others_read_a_secret(live: Live, secrets: Secrets, service: str, record_property: Record) -> None:
    found = {process: holders(process, secrets) for process in live.processes(service)}
    record_property("note", f"{sum(map(len, found.values()))} files with secrets")
    assert all(found.values()), "each process has a key of its own; where none is found, the search is wrong"
    assert not [fault for process, files in found.items() for fault in too_open(process, files)]


FOLDERS = ("run/groundwork", "run/secrets", "etc/redis", "etc/gateway", "etc/postgresql")


@pytest.mark.parametrize("service", SERVICES)
def test_configuration_and_secrets_cannot_be_changed_by_the_process(live: Live, service: str) -> None:
    for process in live.processes(service):
        mounts = dict(process.mounts())
        assert "ro" in mounts["/"], process.place
        mounted = {point: flags for point, flags in mounts.items() if point.strip("/").startswith(FOLDERS)}
        ours = not live.deployment.is_operated(process)
        assert bool(mounted) == ours, f"{process.place}: {mounted}; ours are {', '.join(FOLDERS)}"
        assert {point: flags for point, flags in mounted.items() if "ro" not in flags} == {}, process.place
        for folder in FOLDERS:
            for path in (process.root / folder).rglob("*"):
                status = path.lstat()
                assert status.st_uid == 0, f"{process.place}: {path}"
                # A kubelet's folders are everybody's, and nobody's as they are mounted.
                assert not status.st_mode & 0o022 or not stat.S_ISREG(status.st_mode), f"{process.place}: {path}"


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_tells_a_secret(live: Live, secrets: Secrets, service: str) -> None:
    assert not [fault for process in live.processes(service) for fault in told_by_processes(process, secrets)]


@pytest.mark.stages(MAIN, BROKERS)
def test_neither_descriptions_nor_logs_tell_a_secret(live: Live, secrets: Secrets) -> None:
    texts = list(live.deployment.told())
    assert any("serving" in text for _, text in texts), "the app's log is not among them"
    assert not told_in_texts(texts, secrets)


class TestControls:
    """Each way to give a secret away is found in a real container. A word stands for the password."""

    SPOKEN = Secrets({"spoken": "Nobody-should-ever-read-this"})

    @pytest.fixture
    def server(self, live: Live) -> Process:
        return live.process("queue-0", "redis")

    def test_a_key_that_others_may_read_is_found(self, live: Live, server: Process, secrets: Secrets) -> None:
        key, copy = server.root / "run/groundwork/tls/tls.key", server.root / "data/copied.key"
        assert not too_open(server, holders(server, secrets))
        shutil.copyfile(key, copy)
        try:
            copy.chmod(0o444)
            found = too_open(server, holders(server, secrets))
        finally:
            copy.unlink()
        assert found == ["queue-0/redis: /data/copied.key with a private key: mode 0444 is for others too"]

    def test_a_key_of_another_user_is_found(self, server: Process, secrets: Secrets) -> None:
        copy = server.root / "data/copied.key"
        shutil.copyfile(server.root / "run/groundwork/tls/tls.key", copy)
        try:
            copy.chmod(0o440)
            shutil.chown(copy, 4242, 4242)
            found = [fault.rpartition(": ")[2] for fault in too_open(server, holders(server, secrets))]
        finally:
            copy.unlink()
        assert found == ["owner 4242 is somebody else", "group 4242 is another one"]

    @pytest.fixture
    def indiscreet(self, server: Process) -> Iterator[None]:
        """A process in the container that has the word as an argument and in its environment."""
        inside = ["nsenter", "--target", str(server.pid), "--mount", "--"]
        script = ["sh", "-c", "echo; read -r line", "sh", "Nobody-should-ever-read-this"]
        environment = {"WORD": "Nobody-should-ever-read-this", "PATH": "/usr/bin:/bin"}
        with subprocess.Popen(
            [*inside, *script], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            yield
            process.communicate(b"\n")

    def test_a_process_that_tells_is_found(self, server: Process, indiscreet: None) -> None:
        found = {fault.partition(" of process")[0] for fault in told_by_processes(server, self.SPOKEN)}
        assert found == {f"queue-0/redis: spoken in {place}" for place in ("cmdline", "environ")}

    def test_a_log_that_tells_is_found(self, live: Live, server: Process) -> None:
        with open(f"/proc/{server.pid}/fd/2", "w", encoding="utf-8") as log:  # noqa: PTH123 (a pipe of another process)
            log.write("Nobody-should-ever-read-this\n")
        assert any(" logs " in fault for fault in told_in_texts(live.deployment.told(), self.SPOKEN))
