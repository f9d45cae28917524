"""Layers of images: archives of files, made of Debian packages or of a compiled program, kept in the cache.

A layer is written straight from the packages' archives: nothing is unpacked, no maintainer script is run, and no root
is needed. Documentation and translations are left out; licences stay.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain import debian, paths
from toolchain.build import go_environment
from toolchain.errors import ToolchainError
from toolchain.locking import complete_folder, exclusive
from toolchain.progress import duration

Log = Callable[[str], None]

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LEFT_OUT = re.compile(r"usr/share/(doc(?!/[^/]+/copyright$)|info|locale|lintian|man)/.")


@dataclass(frozen=True)
class Layer:
    """A layer in the cache. `digest`: SHA-256 of the archive; `versions`: what is in it, by package."""

    archive: Path
    digest: str
    versions: Mapping[str, str]


def debian_layer(suite: str, packages: Sequence[str], log: Log) -> Layer:
    """The files of these packages of a Debian release and of all that they depend on.

    Raises ToolchainError where apt or Debian's keys are missing, or the packages cannot be had.
    """

    def fill(folder: Path) -> dict[str, str]:
        archives = debian.download(packages, folder / "work", _settings(suite, folder))
        with tarfile.open(folder / "layer.tar", "w", format=tarfile.GNU_FORMAT) as layer:
            _merge(archives.values(), layer)
        shutil.rmtree(folder / "work")
        return dict(name.split("=", 1) for name in archives)

    debian.require_apt(packages)
    key = debian.key(suite, platform.machine(), LEFT_OUT.pattern, *sorted(packages))
    return cached(f"{suite}-{packages[0]}-{key}", f"Debian {suite} packages {' '.join(packages)}", fill, log)


def go_layer(module: Path, version: str, log: Log, path: str = "", package: str = ".") -> Layer:
    """One static program, `/NAME` or at `path`, compiled from a Go module of this project; ToolchainError without Go.

    `package`: of a module that this one pins; by itself the module is the program.
    """

    def fill(folder: Path) -> dict[str, str]:
        binary = folder / module.name
        _compile(module, version, binary, package)
        with tarfile.open(folder / "layer.tar", "w", format=tarfile.GNU_FORMAT) as layer:
            layer.add(binary, path.lstrip("/") or module.name, filter=as_root)
        binary.unlink()
        return {module.name: version}

    sources = sorted(path for path in module.rglob("*") if path.is_file() and not path.name.endswith("_test.go"))
    content = [hashlib.sha256(path.read_bytes()).hexdigest() + path.name for path in sources]
    key = debian.key(version, platform.machine(), *((path, package) if path else ()), *content)
    return cached(f"go-{module.name}-{key}", f"Go module {module.name}, about a minute the first time", fill, log)


def cached(name: str, what: str, fill: Callable[[Path], dict[str, str]], log: Log) -> Layer:
    """The layer of this name, made once. `fill` writes layer.tar into a folder and returns what is in it.

    `what`: the same in words, for the log.
    """
    folder = paths.cache_folder() / "images" / name
    if not folder.is_dir():
        with exclusive(folder.parent / "lock", lambda: log("another process makes images; waiting for it")):
            if not folder.is_dir():
                started = time.monotonic()
                log(f"  making a layer of {what}")
                with complete_folder(folder) as new:
                    facts = {"versions": fill(new), "digest": _digest(new / "layer.tar")}
                    (new / "layer.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
                size = (folder / "layer.tar").stat().st_size / 1e6
                log(f"    {size:.0f} MB in {duration(time.monotonic() - started)}")
    facts = json.loads((folder / "layer.json").read_text(encoding="utf-8"))
    return Layer(folder / "layer.tar", facts["digest"], facts["versions"])


def _settings(suite: str, folder: Path) -> dict[str, str]:
    """apt.conf(5) for a release of its own, as if nothing were installed, from the server that apt uses anyway."""
    if not KEYRING.is_file():
        raise ToolchainError(
            f"images are made from Debian's packages, and {KEYRING} is missing: this is no Debian. Make the registries "
            "reachable, or install debian-archive-keyring and use a Debian mirror"
        )
    source = folder / "work" / "sources.list"
    source.parent.mkdir()
    source.write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n", encoding="utf-8")
    return {
        "Dir::Etc::sourcelist": str(source),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::status": "/dev/null",
        "Acquire::Check-Valid-Until": "false",
    }


def _mirror() -> str:
    """The server of the first Debian source that apt is configured with."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [line.split()[0] for line in done.stdout.splitlines() if line.endswith(" main")]
    if not found:
        raise ToolchainError(
            "apt has no source with Debian's `main`; add one to /etc/apt/sources.list.d, then run again"
        )
    return found[0]


def _merge(archives: Iterable[Path], layer: tarfile.TarFile) -> None:
    """Write the files of all packages as one archive; a folder that several packages have is written once."""
    seen: set[str] = set()
    for archive in archives:
        with (
            subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as content,
            tarfile.open(fileobj=content.stdout, mode="r|") as files,
        ):
            for member in files:
                member.name = _place(member.name)
                if member.islnk():
                    member.linkname = _place(member.linkname)
                if member.name and member.name not in seen and not LEFT_OUT.match(member.name):
                    seen.add(member.name)
                    layer.addfile(member, files.extractfile(member) if member.isreg() else None)
            assert content.stdout is not None
            content.stdout.read()  # Padding: dpkg-deb fails when nobody takes it.
        if content.returncode != 0:
            raise ToolchainError(f"{archive.name}: dpkg-deb cannot read it ({content.returncode})")


def _place(name: str) -> str:
    """Path in the image, without `./`, below /usr where the first folder is a link to it."""
    path = name.removeprefix("./").rstrip("/")
    first, slash, _ = path.partition("/")
    return f"usr/{path}" if slash and first in debian.MERGED else path


def _compile(module: Path, version: str, binary: Path, package: str) -> None:
    go = shutil.which("go")
    if go is None:
        raise ToolchainError(
            f"{module.name}: is compiled from {module}, and Go is not installed; install Go 1.26 or newer and put `go` "
            "on PATH, or build the image with Docker from the Dockerfile there"
        )
    links = f"-s -w -X main.version={version}"
    command = [go, "build", "-trimpath", "-ldflags", links, "-o", str(binary), package]
    environment = {**go_environment(), "GOOS": "linux"}
    done = subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = "\n    ".join(done.stderr.splitlines()[-20:])
        raise ToolchainError(f"{module.name}: `go build` failed ({done.returncode}):\n    {words}")


def as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """A file of root's that everybody may read and run."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755
    return member


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
