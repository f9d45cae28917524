"""One writer at a time, and folders that exist only when complete."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial-"


@contextmanager
def exclusive(lock: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock file; the system releases it when the process ends, however it ends.

    `on_wait` is called once when another process holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def complete_folder(destination: Path) -> Iterator[Path]:
    """A fresh folder beside `destination` that becomes it by one rename when the block succeeds.

    Call it only while holding the lock: whatever interrupted runs left there is removed first.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    for left in destination.parent.glob(f"{PARTIAL}*"):
        remove_tree(left)
    partial = Path(tempfile.mkdtemp(prefix=f"{PARTIAL}{destination.name}-", dir=destination.parent))
    partial.chmod(0o755)
    try:
        yield partial
        remove_tree(destination)
        partial.rename(destination)
    finally:
        remove_tree(partial)


def remove_tree(folder: Path) -> None:
    """Delete a folder if it is there, also one that holds read-only folders."""
    if not folder.exists():
        return
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(folder)


def point(link: Path, target: Path) -> None:
    """Make `link` a symbolic link to `target` in one step; a folder or file in the way is an error of the caller."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
