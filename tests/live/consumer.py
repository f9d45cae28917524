"""A process of this machine in the place of an app: in its network, with its variables, its secret files, its names.

Client libraries of the tests run there, since an app's image has none. Only the app's own process is needed to enter,
so this is the same for a container and for a pod. Needs root and Linux.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

SPAWN = get_context("spawn")
SECRETS = Path("/run/groundwork")
P = ParamSpec("P")
T = TypeVar("T")
_CLONE_NEWNS = 0x00020000
"""linux/sched.h."""


class Consumer:
    """Runs functions in the place of the process `pid`. They and their arguments must be importable by name."""

    def __init__(self, pid: int) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=SPAWN, initializer=enter, initargs=(pid,))

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns or raises there."""
        return self._pool.submit(function, *args, **kwargs).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()


def enter(pid: int) -> None:
    """Move this process, which must be a new one, into the place of another for good."""
    variables = (Path("/proc") / str(pid) / "environ").read_text().split("\0")
    root = Path("/proc") / str(pid) / "root"
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    _succeeds(_libc().setns(network, 0))
    os.close(network)
    _succeeds(_libc().unshare(_CLONE_NEWNS))
    _mount("--make-rprivate", "/")
    _mount("-t", "tmpfs", "tmpfs", "/run")
    # Mounts of another namespace can't be bound here, so what the app sees is copied to where it sees it.
    if (source := root / SECRETS.relative_to("/")).is_dir():
        shutil.copytree(source, SECRETS)
    _replace(Path("/etc/resolv.conf"), (root / "etc/resolv.conf").read_bytes())
    os.environ.clear()
    os.environ.update({name: value for name, equals, value in (v.partition("=") for v in variables) if equals})


def _replace(file: Path, content: bytes) -> None:
    own = Path("/run") / file.name
    own.write_bytes(content)
    target = file.resolve()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    _mount("--bind", str(own), str(target))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _succeeds(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
