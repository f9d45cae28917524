"""Where secrets lie, and who could read them there: files that others may read, command lines, environments, texts."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tests.live.deployment import Process

_PRIVATE_KEY = b"PRIVATE KEY-----"
_KERNEL = ("/proc/", "/sys/", "/dev/mqueue/", "/dev/pts/")
"""Places below which the kernel answers, not a disk."""
_IMAGE = "overlay"
"""File system of an image, which is the same everywhere and read-only."""
_ROOT = 0
"""Group of secret files, and the one that every process is in besides its own."""


class Secrets:
    """Known passwords, and private keys by their look."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._names = {password.encode(): name for name, password in passwords.items()}
        # No two passwords overlap, so one search finds them all.
        self._pattern = re.compile(b"|".join(map(re.escape, (_PRIVATE_KEY, *self._names))))

    def within(self, content: bytes) -> set[str]:
        """Names of the secrets that `content` holds."""
        return {self._names.get(found, "a private key") for found in self._pattern.findall(content)}


def files_of(process: Process) -> Iterator[Path]:
    """Every regular file that a process sees and that is not its image's, as this machine sees it."""
    for line in Path(f"/proc/{process.pid}/mountinfo").read_text(encoding="utf-8").splitlines():
        place, kind = line.split(" ")[4], line.partition(" - ")[2].split(" ")[0]
        if kind == _IMAGE or f"{place}/".startswith(_KERNEL):
            continue
        top = process.root / place.lstrip("/")
        if top.is_file():
            yield top
        for folder, _, names in os.walk(top):
            yield from (path for name in names if (path := Path(folder, name)).is_file() and not path.is_symlink())


def holders(process: Process, secrets: Secrets) -> dict[Path, set[str]]:
    """The files of a process that hold secrets, and which ones."""
    found = {}
    for path in files_of(process):
        # Servers remove files of their own while one looks.
        with suppress(FileNotFoundError):
            names = secrets.within(path.read_bytes())
            if names:
                found[path] = names
    return found


def too_open(process: Process, files: Mapping[Path, Iterable[str]]) -> list[str]:
    """Files with secrets that others than the process may read or write, in words."""
    return [
        f"{process.place}: /{path.relative_to(process.root)} with {', '.join(sorted(names))}: {fault}"
        for path, names in files.items()
        for fault in _rights(path.stat(), process.uid)
    ]


def _rights(status: os.stat_result, uid: int) -> Iterator[str]:
    if status.st_mode & 0o007:
        yield f"mode {stat.S_IMODE(status.st_mode):04o} is for others too"
    if status.st_uid not in (_ROOT, uid):
        yield f"owner {status.st_uid} is somebody else"
    if status.st_mode & 0o070 and status.st_gid not in (_ROOT, uid):
        yield f"group {status.st_gid} is another one"


def told_by_processes(process: Process, secrets: Secrets) -> list[str]:
    """Secrets in the command line or the environment of any process of a container, in words."""
    found = []
    for number in process.family():
        for name in ("cmdline", "environ"):
            with suppress(FileNotFoundError, ProcessLookupError):
                names = secrets.within(Path(f"/proc/{number}/{name}").read_bytes())
                found += [f"{process.place}: {known} in {name} of process {number}" for known in sorted(names)]
    return found


def told_in_texts(texts: Iterable[tuple[str, str]], secrets: Secrets) -> list[str]:
    """Secrets in texts, each with whose it is, in words."""
    return [f"{whose}: {name}" for whose, text in texts for name in sorted(secrets.within(text.encode()))]
