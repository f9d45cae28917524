"""Programs of Debian packages without installing them: fetched by apt, unpacked into the cache, run from there.

Nothing of the system changes. apt keeps lists and archives in a folder of ours, maintainer scripts are never run, and
what the system has already is used instead of fetched. What lies in the cache stays as it is until it is deleted, so
a second call needs no network; a newer package comes after `rm -r` of its folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from toolchain import paths
from toolchain.errors import ToolchainError
from toolchain.locking import complete_folder, exclusive
from toolchain.progress import duration

Log = Callable[[str], None]

MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links into /usr; Debian's policy manual, "File System Structure"."""
SETTINGS = {
    "Acquire::http::Timeout": "20",
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    # The folders are ours alone, below a folder that apt's own user may not be able to enter.
    "APT::Sandbox::User": "root",
    "Debug::NoLocking": "true",
}
"""apt.conf(5). Nothing outside the folder that is named is locked or written."""


@dataclass(frozen=True)
class Programs:
    """Unpacked packages. `versions`: package -> version; what the system had already is not among them."""

    root: Path
    versions: Mapping[str, str]

    def environment(self) -> dict[str, str]:
        """This process's environment, in which the programs find each other, their libraries and their plug-ins."""
        libraries = [str(folder) for folder in sorted((self.root / "usr/lib").glob("*-linux-gnu*"))]
        own = [str(self.root / "usr/sbin"), str(self.root / "usr/bin")]
        found = {
            "PATH": [*own, os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"],
            "LD_LIBRARY_PATH": [*libraries, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])],
            "XTABLES_LIBDIR": [f"{folder}/xtables" for folder in libraries if Path(folder, "xtables").is_dir()],
        }
        return {**os.environ, **{name: os.pathsep.join(value) for name, value in found.items() if value}}

    def program(self, name: str) -> Path:
        """The program, from the packages or from the system; raises ToolchainError when neither has it."""
        found = shutil.which(name, path=self.environment()["PATH"])
        if found is None:
            raise ToolchainError(f"{name}: neither in {self.root} nor on PATH; delete that folder and run this again")
        return Path(found)


def programs(packages: Sequence[str], log: Log = print) -> Programs:
    """The programs of these packages and of all that they depend on and this system lacks; quick when they are there.

    Raises ToolchainError where there is no apt, or when it cannot get them.
    """
    folder = _folder(packages)
    if not folder.is_dir():
        require_apt(packages)
        with exclusive(folder.parent / "lock", lambda: log("another process fetches Debian packages; waiting for it")):
            if not folder.is_dir():
                with complete_folder(folder) as new:
                    _fill(new, packages, log)
    versions = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    return Programs(folder / "root", versions)


def require_apt(packages: Sequence[str]) -> None:
    """Raises ToolchainError where packages cannot be fetched and unpacked."""
    wanted = " ".join(packages)
    if not sys.platform.startswith("linux"):
        raise ToolchainError(f"Debian packages {wanted}: needed, but this system is {sys.platform}; use Debian Linux")
    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        raise ToolchainError(
            f"{wanted}: {', '.join(missing)} not found, so this is no Debian and they cannot be fetched; install "
            "these programs by this system's own package manager, or use Debian"
        )


def download(packages: Sequence[str], folder: Path, settings: Mapping[str, str]) -> dict[str, Path]:
    """Fetch packages and their missing dependencies into `folder`: `name=version` -> archive, sorted by name.

    `settings` are further options of apt.conf(5). Raises ToolchainError with apt's own words.
    """
    own = {"Dir::State::lists": str(folder / "lists"), "Dir::Cache": str(folder / "cache")}
    for path in own.values():
        Path(path).mkdir(parents=True)
    options = [word for item in {**SETTINGS, **own, **settings}.items() for word in ("-o", "=".join(item))]
    words = _apt([*options, "update"])
    install = ["install", "--no-install-recommends", "--download-only", *packages]
    _apt([*options, *install], before=words)
    archives = sorted((folder / "cache" / "archives").glob("*.deb"))
    return {"=".join(unquote(file.name).split("_")[:2]): file for file in archives}


def key(*parts: str) -> str:
    """Twelve hex digits that stand for these words."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _folder(packages: Sequence[str]) -> Path:
    """Another set of packages, release or processor is another folder."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").is_file() else {}
    system = [sys.platform, platform.machine(), release.get("ID", ""), release.get("VERSION_ID", "")]
    return paths.cache_folder() / "debian" / f"{min(packages)}-{key(*system, *sorted(packages))}"


def _fill(folder: Path, packages: Sequence[str], log: Log) -> None:
    started = time.monotonic()
    log(f"fetching Debian packages: {' '.join(packages)} and what they need")
    archives = download(packages, folder / "work", {})
    root = folder / "root"
    for name in MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for archive in archives.values():
        _unpack(archive, root)
    _link_alternatives(root)
    versions = dict(name.split("=", 1) for name in archives)
    (folder / "versions.json").write_text(json.dumps(versions, indent=1), encoding="utf-8")
    megabytes = sum(archive.stat().st_size for archive in archives.values()) / 1e6
    shutil.rmtree(folder / "work")
    log(f"  {len(archives)} packages, {megabytes:.0f} MB in {duration(time.monotonic() - started)}; nothing installed")


def _unpack(archive: Path, root: Path) -> None:
    """dpkg-deb by itself would replace the links of `MERGED` with folders."""
    unpack = ["tar", "-x", "-p", "-f", "-", "-C", str(root), "--keep-directory-symlink", "--warning=no-timestamp"]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as content:
        done = subprocess.run(unpack, stdin=content.stdout, stderr=subprocess.PIPE, text=True, check=False)
    if content.returncode or done.returncode:
        raise ToolchainError(f"{archive.name}: cannot be unpacked into {root}: {done.stderr.strip()}")


def _link_alternatives(root: Path) -> None:
    """`iptables` and its family, which the package's script would choose; Debian's default is nftables."""
    for file in (root / "usr/sbin").glob("*-nft*"):
        plain = file.with_name(file.name.replace("-nft", "", 1))
        if file.is_symlink() and not plain.exists():
            plain.symlink_to(file.readlink())


def _apt(arguments: list[str], before: str = "") -> str:
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        ["apt-get", "-q", "-y", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    output = before + done.stdout
    if done.returncode != 0:
        said = [line for line in output.splitlines() if line.startswith(("E:", "W:", "Err:"))]
        words = "\n    ".join(said[-8:])
        raise ToolchainError(
            f"apt-get failed ({done.returncode}):\n    {words}\n"
            "Make `apt-get update` and `apt-get install` work on this machine (sources, network), then run this again"
        )
    return output
