"""The project's Python environment: exactly the versions and hashes of `requirements.lock`, in the user's cache.

`.venv` in the checkout is a link to it, so two checkouts with the same lock share one. It deliberately resolves
nothing: a requirement without a hash or missing from the lock is an error.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.locking import point, remove_tree
from toolchain.paths import cache_folder, checkout

STAMP = ".complete"
# Large packages of which little is ever imported; what is gets compiled then.
SELDOM_USED = "/(debugpy|moto|pip|setuptools)/"


def folder() -> Path:
    """The environment's folder: another lock file or another Python is another folder."""
    content = (checkout() / "requirements.lock").read_bytes() + platform.python_version().encode()
    return cache_folder() / f"venv-{hashlib.sha256(content).hexdigest()[:12]}"


def link() -> Path:
    """`.venv` in the checkout."""
    return checkout() / ".venv"


def is_ready() -> bool:
    """The environment is complete and `.venv` points to it."""
    return (folder() / STAMP).exists() and link().is_symlink() and link().resolve() == folder().resolve()


def make(note: Callable[[str], None]) -> None:
    """Create the environment where it is missing or incomplete, and point `.venv` to it.

    Scripts hold the folder's path, so it is made in place and marked by a stamp at the end.
    """
    target = folder()
    if link().exists() and not link().is_symlink():
        raise ToolchainError(f"{link()}: is a folder of its own, not our link; move it away and run again")
    if not (target / STAMP).exists():
        remove_tree(target)
        python = target / "bin" / "python"
        note("creating")
        _run([sys.executable, "-m", "venv", str(target)], note)
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
        lock = str(checkout() / "requirements.lock")
        _run([*install, "--no-compile", "--no-deps", "--require-hashes", "-r", lock], note)
        note("compiling")
        _run([str(python), "-m", "compileall", "-q", "-j", "0", "-x", SELDOM_USED, str(target / "lib")], note)
        (target / STAMP).touch()
    point(link(), target)


def _run(command: list[str], note: Callable[[str], None]) -> None:
    tail: deque[str] = deque(maxlen=15)
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            tail.append(line.rstrip())
            note(line.strip().split(" (from ")[0])
    if process.returncode != 0:
        words = "\n    ".join(tail)
        what = " ".join(command[1:4])
        hint = "; on Debian the package python3-venv is needed" if command[1:3] == ["-m", "venv"] else ""
        raise ToolchainError(f"python environment: `python {what}` failed{hint}:\n    {words}")
