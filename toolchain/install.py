"""`python3 -m toolchain install [--node]`: bring every tool of `pins.py` and the Python environment to this machine;
with `--node` those of a real node too, which `cluster start --node` would bring otherwise.

Order for each tool: an official `pulumi` on PATH, else a download of the official release, else a build from the
pinned Go modules. What is already there is kept; a second call looks at files only. One process installs at a time.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from toolchain import venv
from toolchain.errors import ToolchainError
from toolchain.locate import Found, is_plugged, locate, mode
from toolchain.locking import complete_folder, exclusive, point
from toolchain.paths import built, cache_folder, lock_file, plugin_file, released
from toolchain.pins import TOOLS
from toolchain.progress import Progress, duration
from toolchain.tool import UNRELEASED, Tool, this_platform

OLDEST_PYTHON = (3, 11)
NODE = "--node"


@dataclass(frozen=True)
class Row:
    """One line of the summary."""

    name: str
    version: str
    source: str
    seconds: float


def main(arguments: list[str]) -> int:
    """Install everything, show what and how long, end with a summary."""
    from toolchain import operators

    if arguments not in ([], [NODE]):
        raise ToolchainError(f"install: {' '.join(arguments)} given; allowed: nothing, or {NODE} for a real node's too")
    if sys.version_info < OLDEST_PYTHON:
        raise ToolchainError(f"Python {sys.version.split()[0]} given; 3.11 or newer is needed, run it with that one")
    started = time.monotonic()
    progress = Progress()
    rows = Installer(mode(), progress, (*TOOLS, *_of_node()) if arguments else TOOLS).run()
    operators.fetch(progress.say)
    total = duration(time.monotonic() - started)
    if not any(row.seconds for row in rows):
        progress.say(f"toolchain: all {len(rows)} parts are in place ({total})")
        return 0
    for row in rows:
        spent = duration(row.seconds) if row.seconds else "was there"
        progress.say(f"  {row.name:<22}{row.version:<10}{row.source:<12}{spent}")
    progress.say(f"toolchain: ready in {total}; in {cache_folder()}")
    return 0


def _of_node() -> tuple[Tool, ...]:
    from toolchain.node.pins import NODE_TOOLS

    return NODE_TOOLS


class Installer:
    """One run: what is missing is fetched or built, under the lock."""

    def __init__(self, how: str, progress: Progress, tools: tuple[Tool, ...] = TOOLS) -> None:
        self.how = how
        self.progress = progress
        self.tools = tools

    def run(self) -> list[Row]:
        """Returns one row for each tool and one for the Python environment."""
        found = {tool.name: self._ready(tool) for tool in self.tools}
        if all(found.values()) and venv.is_ready():
            return [self._row(tool, found[tool.name], 0.0) for tool in self.tools] + [_python_row(0.0)]
        with exclusive(lock_file(), lambda: self.progress.say("another installation is running; waiting for it")):
            fetcher = _Fetcher(self.how, self.progress)
            # The short part first, so that the programs of this project can already be read and checked.
            python = _python_row(self._python())
            rows = []
            for number, tool in enumerate(self.tools, start=1):
                started = time.monotonic()
                present = self._ready(tool)
                place = present or fetcher.bring(tool, f"[{number}/{len(self.tools)}]")
                if tool.plugin:
                    point(plugin_file(tool), place.folder / plugin_file(tool).name)
                rows.append(self._row(tool, place, 0.0 if present else time.monotonic() - started))
            return [*rows, python]

    def _ready(self, tool: Tool) -> Found | None:
        found = locate(tool, self.how, ask=True)
        if found is not None and tool.plugin and not is_plugged(tool, found):
            return None
        return found

    def _row(self, tool: Tool, found: Found | None, seconds: float) -> Row:
        assert found is not None
        return Row(tool.name, found.version, found.source, seconds)

    def _python(self) -> float:
        if venv.is_ready():
            return 0.0
        started = time.monotonic()
        with self.progress.step("python environment"):
            venv.make(self.progress.note)
        return time.monotonic() - started


class _Fetcher:
    """Brings one missing tool; remembers for the run which hosts are out of reach."""

    def __init__(self, how: str, progress: Progress) -> None:
        from toolchain.download import Downloader

        self.how = how
        self.progress = progress
        self.downloader = Downloader(this_platform())

    def bring(self, tool: Tool, number: str) -> Found:
        """The tool from a release or from its modules; what lies there already is only looked up again."""
        present = locate(tool, self.how)
        if present is not None:
            return present
        asked = tool.release is not UNRELEASED and self.downloader.ruled_out(tool) is None
        if self.how == "download" or (self.how == "auto" and asked):
            found = self._download(tool, number)
            if found is not None:
                return found
        return self._build(tool, number)

    def _download(self, tool: Tool, number: str) -> Found | None:
        from toolchain.download import UnavailableError

        destination = released(tool)
        title = f"{number} {tool.name} {tool.version}: download"
        try:
            with self.progress.step(title, "not available after"), complete_folder(destination) as new:
                self.downloader.fetch(tool, new, self.progress.note)
        except UnavailableError as reason:
            if self.how == "download":
                raise ToolchainError(
                    f"{tool.name} {tool.version}: {reason}. GROUNDWORK_TOOLCHAIN=download forbids building; "
                    "unset it, or open this address in the network"
                ) from reason
            self.progress.say(f"    {reason}; building from pinned modules instead")
            return None
        return Found(destination, "downloaded", tool.version)

    def _build(self, tool: Tool, number: str) -> Found:
        from toolchain.build import build

        destination: Path = built(tool)
        title = f"{number} {tool.name} {tool.version}: build (first time usually {tool.minutes:g} min on two cores)"
        with self.progress.step(title), complete_folder(destination) as new:
            build(tool, new, self.progress.note)
        return Found(destination, "built", tool.version)


def _python_row(seconds: float) -> Row:
    return Row("python environment", ".".join(map(str, sys.version_info[:3])), "locked", seconds)
