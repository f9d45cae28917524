"""Find an official `pulumi` on PATH that can be used instead of our own.

What `pulumi version` said is remembered with the file's size and time, so that a quick call does not run it again.
It deliberately ignores every `pulumi` inside our cache: that one is ours.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.paths import cache_folder, official_record
from toolchain.pins import OLDEST_PULUMI

HOST = "pulumi-language-python"


@dataclass(frozen=True)
class Official:
    """A `pulumi` found on PATH and what it is."""

    path: str
    size: int
    modified: int
    version: str

    def usable(self) -> bool:
        """Same major version, not older than what the Python packages need, and a Python language host beside it."""
        match = re.match(r"v?(\d+)\.(\d+)\.", self.version)
        if match is None:
            return False
        major, minor = int(match.group(1)), int(match.group(2))
        fits = major == OLDEST_PULUMI[0] and minor >= OLDEST_PULUMI[1]
        return fits and os.access(Path(self.path).parent / HOST, os.X_OK)


def official_pulumi(ask: bool) -> Official | None:
    """The first `pulumi` on PATH that is not ours, if it is usable.

    With `ask` an unknown file is run once to learn its version; without, only what is already known counts.
    """
    path = _on_path()
    if path is None:
        return None
    status = path.stat()
    known = _recorded()
    if known is None or (known.path, known.size, known.modified) != (str(path), status.st_size, status.st_mtime_ns):
        if not ask:
            return None
        known = Official(str(path), status.st_size, status.st_mtime_ns, _version(path))
        _record(known)
    return known if known.usable() else None


def _on_path() -> Path | None:
    ours = cache_folder().resolve()
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        # Resolved, since package managers link `pulumi` and keep its language hosts beside the real file.
        candidate = (Path(entry) / "pulumi").resolve()
        if entry and candidate.is_file() and os.access(candidate, os.X_OK) and not candidate.is_relative_to(ours):
            return candidate
    return None


def _version(path: Path) -> str:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"}
    try:
        answer = subprocess.run(
            [str(path), "version"], env=environment, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _recorded() -> Official | None:
    try:
        return Official(**json.loads(official_record().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _record(official: Official) -> None:
    file = official_record()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        fresh.write_text(json.dumps(vars(official)), encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise ToolchainError(f"{file}: cannot be written: {error.strerror}") from error
