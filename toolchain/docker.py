"""Which Docker engine is used: the toolchain's own if one was made, else what the user has, else a new one.

`docker_engine.py` makes the toolchain's own. An engine of the user's is only ever asked, never started or stopped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from toolchain import docker_engine, docker_files
from toolchain.errors import ToolchainError

Log = Callable[[str], None]

SYSTEM = "unix:///var/run/docker.sock"
"""Where Docker listens when it is installed as a system service."""
ANSWER_SECONDS = 15


def ensure(log: Log = print) -> str:
    """URL of a running engine; starts the toolchain's own or makes it where there is none. Quick when one runs.

    Raises ToolchainError when DOCKER_HOST names an engine that does not answer, and when none can be made.
    """
    return existing(log) or docker_engine.start(log)


def existing(log: Log = print) -> str | None:
    """URL of the engine that is there already, the toolchain's own before the user's; None when there is none.

    The toolchain's own may be stopped; DOCKER_HOST is an error when nothing answers there.
    """
    if docker_files.marker().is_file():
        return docker_engine.start(log)
    chosen = os.environ.get("DOCKER_HOST", "")
    if chosen and chosen != docker_files.url():
        if not answers(chosen):
            raise ToolchainError(f"DOCKER_HOST: no Docker engine answers at {chosen}; start it, or unset DOCKER_HOST")
        return chosen
    return SYSTEM if answers(SYSTEM) else None


def answers(host: str) -> bool:
    """Whether an engine answers at this URL."""
    if host.startswith("unix://"):
        return docker_engine.ping(host.removeprefix("unix://"))
    try:
        done = subprocess.run(
            [*command(host), "version"],
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def command(host: str, log: Log = print) -> list[str]:
    """The `docker` command line for the engine at `host`: the one on PATH, else that of Debian's package."""
    program = shutil.which("docker") or str(docker_files.programs(log).program("docker"))
    return [program, "--host", host]
