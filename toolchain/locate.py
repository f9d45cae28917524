"""Find the tools that are already here. Reads the disk only; used by `install` to skip and by `env` to point."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.official import official_pulumi
from toolchain.paths import built, plugin_file, released
from toolchain.pins import PULUMI_TOOL
from toolchain.tool import Tool

MODES = ("auto", "download", "build")


@dataclass(frozen=True)
class Found:
    """Where a tool lies, how it came here, and its version (an official `pulumi` may be newer than the pin)."""

    folder: Path
    source: str
    version: str


def mode() -> str:
    """GROUNDWORK_TOOLCHAIN: auto (official, else download, else build), download or build."""
    value = os.environ.get("GROUNDWORK_TOOLCHAIN", "") or "auto"
    if value not in MODES:
        raise ToolchainError(f"GROUNDWORK_TOOLCHAIN: {value!r} given; allowed: {', '.join(MODES)}; unset means auto")
    return value


def locate(tool: Tool, how: str, ask: bool = False) -> Found | None:
    """The tool as `how` allows it, or None. `ask` permits running an unknown official `pulumi` once."""
    if tool is PULUMI_TOOL and how == "auto":
        official = official_pulumi(ask)
        if official is not None:
            return Found(Path(official.path).parent, "official", official.version.removeprefix("v"))
    candidates = []
    if how != "build":
        candidates.append(Found(released(tool), "downloaded", tool.version))
    if how != "download":
        candidates.append(Found(built(tool), "built", tool.version))
    return next((found for found in candidates if is_complete(tool, found.folder)), None)


def is_complete(tool: Tool, folder: Path) -> bool:
    """Every binary is there and may be executed."""
    return all(os.access(folder / name, os.X_OK) for name in tool.binaries())


def is_plugged(tool: Tool, found: Found) -> bool:
    """Pulumi finds the plugin in its home, and it is this one."""
    link = plugin_file(tool)
    return link.is_symlink() and link.readlink() == found.folder / link.name
