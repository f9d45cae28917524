"""The Docker engine of the toolchain's own: dockerd of Debian's packages in the user's state folder. Needs root.

For machines without Docker. One per user; data survive a stop, a crash and a reboot. It is started with its default
bridge and addresses of its own, and never beside another engine on the same network, since both would write the same
firewall rules.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from toolchain import docker_files as files
from toolchain import docker_remains as remains
from toolchain import paths
from toolchain.debian import Programs, require_apt
from toolchain.errors import ToolchainError
from toolchain.locking import exclusive, remove_tree
from toolchain.progress import duration
from toolchain.waiting import wait_until

Log = Callable[[str], None]

RUNNING, STOPPED, ABSENT = "running", "stopped", "absent"
HIDE_CONTAINERD = 'mkdir -p /run/containerd && mount -t tmpfs tmpfs /run/containerd && exec "$0" "$@"'
LAUNCH_SECONDS = 10
START_SECONDS = 60
STOP_SECONDS = 60
"""Longer than the engine gives its containers (dockerd(8), `shutdown-timeout`: 15 s, or their own stop timeout)."""


def state() -> str:
    """`running` (it answers), `stopped` or `absent` (it was never made, or not completely)."""
    if not files.marker().is_file():
        return ABSENT
    return RUNNING if answers() else STOPPED


def start(log: Log = print) -> str:
    """Bring the engine to life, whatever state it is in; quick when it runs. Returns its URL.

    Raises ToolchainError without root, beside another engine, or when it does not come up.
    """
    if state() == RUNNING:
        return files.url()
    _require_root()
    files.require_short_paths()
    with _locked(log):
        if state() != RUNNING:
            _start(log)
    return files.url()


def stop(log: Log = print) -> None:
    """End the engine and its containers; images, volumes and networks are there after the next start."""
    with _locked(log):
        ended = _stop()
        log("stopped the Docker engine; its content is kept" if ended else "the Docker engine does not run")


def delete(log: Log = print) -> None:
    """End the engine and remove everything of it: containers, images, volumes, networks, firewall rules."""
    with _locked(log):
        there = files.folder().exists()
        # By force: there is nothing that a container could save.
        _clear()
        if files.settings_file().is_file():
            _remove_networks(log)
        remove_tree(files.folder())
        log(
            "deleted the Docker engine and all that it held" if there else "there is no Docker engine of this toolchain"
        )


def answers() -> bool:
    """Whether the engine answers on its socket."""
    return ping(files.url().removeprefix("unix://"))


def ping(path: str) -> bool:
    """Whether a Docker engine answers on this unix socket. Docker Engine API, "Ping"."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(path)
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False


def last_words() -> str:
    """The end of the engine's log, for an error message."""
    if not files.log_file().is_file():
        return ""
    lines = files.log_file().read_text(encoding="utf-8", errors="replace").splitlines()[-6:]
    return f"{files.log_file()}:\n    " + "\n    ".join(lines)


def _start(log: Log) -> None:
    started = time.monotonic()
    other = remains.other_engine(files.folder())
    if other is not None:
        raise ToolchainError(
            f"Docker engine: another one runs on this machine (process {other}); two would overwrite each other's "
            "firewall rules. Use that one: set DOCKER_HOST to its address; or stop it"
        )
    programs = files.programs(log)
    log("starting the Docker engine")
    files.write_settings(files.routes())
    # What a killed engine left: containers without an engine, and process numbers that may be a stranger's today.
    _clear()
    _make_bridge(programs)
    _launch(programs)
    wait_until("the Docker engine", START_SECONDS, _up, last_words)
    files.marker().touch()
    log(f"  {files.url()}, in {duration(time.monotonic() - started)}")


def _up() -> bool:
    if answers():
        return True
    if remains.engine(files.folder()) is None:
        raise ToolchainError(f"the Docker engine ended by itself; {last_words()}")
    return False


def _launch(programs: Programs) -> None:
    """Run the engine as nobody's child, so that no interrupt from a terminal reaches it, and with mounts of its own.

    Its mounts then end with its processes, and a containerd that the system runs for others is out of its sight: it
    would use that one otherwise. setsid(1), unshare(1).
    """
    apart = ["setsid", "--fork", "unshare", "--mount", "--propagation", "slave", "sh", "-c", HIDE_CONTAINERD]
    command = [*apart, str(programs.program("dockerd")), "--config-file", str(files.settings_file())]
    with files.log_file().open("wb") as log:
        subprocess.run(
            command, cwd="/", env=programs.environment(), check=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    wait_until("dockerd to be run", LAUNCH_SECONDS, lambda: remains.engine(files.folder()) is not None, last_words)


def _make_bridge(programs: Programs) -> None:
    """A bridge by another name than Docker's default, so that a Docker installed here later finds its own as it was."""
    ip = str(programs.program("ip"))
    show = [ip, "link", "show", files.BRIDGE]
    known = subprocess.run(show, env=programs.environment(), capture_output=True, check=False)
    steps = [] if known.returncode == 0 else [["link", "add", "name", files.BRIDGE, "type", "bridge"]]
    steps += [["address", "replace", files.bridge_address(), "dev", files.BRIDGE], ["link", "set", files.BRIDGE, "up"]]
    for words in steps:
        done = subprocess.run([ip, *words], env=programs.environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolchainError(f"Docker engine: `ip {' '.join(words)}` failed: {done.stderr.strip()}")


def _stop() -> bool:
    """Returns whether there was anything to end."""
    number = remains.engine(files.folder())
    if number is not None:
        os.kill(number, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while remains.engine(files.folder()) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
    return _clear() > 0 or number is not None


def _clear() -> int:
    """End what is left of an engine that does not run, and forget its run-time state; returns how many processes."""
    ended = remains.end_processes(files.folder())
    remove_tree(files.folder() / "run")
    (files.folder() / "docker.sock").unlink(missing_ok=True)
    return ended


def _remove_networks(log: Log) -> None:
    try:
        pool = files.pool()
    except ToolchainError:
        log(
            f"{files.settings_file()} is damaged: bridges and firewall rules of the engine, if any, stay until a reboot"
        )
        return
    programs = files.programs(log)
    bridges = remains.remove_bridges(programs, pool)
    if remains.other_engine(files.folder()) is None:
        remains.remove_rules(programs, pool, bridges)


def _locked(log: Log) -> AbstractContextManager[None]:
    lock = paths.state_folder() / "docker.lock"
    return exclusive(lock, lambda: log("another process starts or stops the Docker engine; waiting for it"))


def _require_root() -> None:
    if sys.platform.startswith("linux") and os.geteuid() == 0:
        require_apt(files.packages())
        return
    raise ToolchainError(
        "no Docker engine answers, and one of the toolchain's own needs root on Debian. Install Docker (package "
        "docker.io) and let this user use it (group docker), set DOCKER_HOST to an engine, or run this as root"
    )
