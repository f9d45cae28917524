"""What a tool is: the shapes of the rows in `pins.py`. Plain data; knows neither network nor disk."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field

from toolchain.errors import ToolchainError

MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True)
class Platform:
    """An operating system and processor, by their names in Go and in release files."""

    system: str
    machine: str

    def fill(self, template: str, version: str) -> str:
        """Put version and platform into an address; `{cpu}` is Pulumi's own name of the processor."""
        cpu = {"amd64": "x64"}.get(self.machine, self.machine)
        return template.format(version=version, os=self.system, arch=self.machine, cpu=cpu)


@dataclass(frozen=True)
class Asset:
    """One file of an official release and where its SHA-256 is published.

    `checksums` is the address of a sums file, of a file with one bare digest, or of the release's description on
    GitHub (JSON), which holds the digest of every asset. `binaries` are the wanted files: members of the archive, or
    the one name the downloaded file gets when it is no archive.
    """

    url: str
    checksums: str
    binaries: tuple[str, ...]


@dataclass(frozen=True)
class Release:
    """An official release: its assets and the systems it is made for."""

    assets: tuple[Asset, ...]
    systems: tuple[str, ...] = ("linux", "darwin")


UNRELEASED = Release((), ())
"""Of a tool whose programs nobody publishes: it is always built."""


@dataclass(frozen=True)
class Copy:
    """Files of a Go module, copied unchanged: beside the binaries (executable) or into the build folder."""

    module: str
    pattern: str


@dataclass(frozen=True)
class Recipe:
    """How one Go module below `toolchain/go/` becomes binaries; `build.py` describes the steps."""

    module: str
    requires: Mapping[str, str]
    binaries: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    scripts: tuple[Copy, ...] = ()
    inputs: tuple[Copy, ...] = ()
    bridge: str = ""


@dataclass(frozen=True)
class Tool:
    """One row: a version, its official release, and the recipes that build the same binaries.

    `plugin` is the name of a Pulumi resource plugin, empty for other tools. `minutes` is the usual time of a cold
    build on two processors, shown so that a person knows what to expect.
    """

    name: str
    version: str
    release: Release
    recipes: tuple[Recipe, ...]
    minutes: float
    plugin: str = ""

    def binaries(self) -> tuple[str, ...]:
        """The files that must be there, whichever way the tool came."""
        if self.release is UNRELEASED:
            copied = [copy.pattern.rsplit("/", 1)[-1] for recipe in self.recipes for copy in recipe.scripts]
            return (*(name for recipe in self.recipes for name in recipe.binaries), *copied)
        return tuple(name for asset in self.release.assets for name in asset.binaries)


def this_platform() -> Platform:
    """The machine at hand; raises ToolchainError where no release and no recipe fits."""
    system, machine = platform.system().lower(), platform.machine().lower()
    if system not in ("linux", "darwin") or machine not in MACHINES:
        raise ToolchainError(f"{system}/{machine}: not supported; use linux or darwin on amd64 or arm64 (or WSL)")
    return Platform(system, MACHINES[machine])
