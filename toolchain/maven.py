"""Layers of Java archives, fetched by Maven and compared with the sums that are committed beside their POM.

A folder below `toolchain/maven/` holds a `pom.xml`, which names what is wanted, and `SHA256SUMS`, which names every
archive that follows from it. Maven is the machine's, else Debian's package run by the machine's Java; which repository
it asks is its own configuration's matter. Nothing of the user's Maven folder is read or written but the settings.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from toolchain import debian, paths
from toolchain.errors import ToolchainError
from toolchain.image_layers import Layer, cached
from toolchain.recipe import Jars

Log = Callable[[str], None]

POM, SUMS = "pom.xml", "SHA256SUMS"
LAUNCHER = "org.codehaus.plexus.classworlds.launcher.Launcher"


def jar_layer(jars: Jars, log: Log) -> Layer:
    """The archives, at their place in the image.

    Raises ToolchainError without Maven, where an archive cannot be had, and where one is not the pinned one.
    """
    module = folder_of(jars)

    def fill(folder: Path) -> dict[str, str]:
        work = folder / "work"
        _fetch(module, work, log)
        pinned = sums(jars)
        _compare(module, pinned, work / "jars")
        with tarfile.open(folder / "layer.tar", "w", format=tarfile.GNU_FORMAT) as layer:
            for name in pinned:
                content = (work / "jars" / name).read_bytes()
                member = tarfile.TarInfo(f"{jars.path.lstrip('/')}/{name}")
                member.size, member.mode = len(content), 0o644
                layer.addfile(member, io.BytesIO(content))
        shutil.rmtree(work)
        return {jars.module: jars.version}

    key = debian.key(jars.path, *((module / name).read_text(encoding="utf-8") for name in (POM, SUMS)))
    return cached(f"maven-{jars.module}-{jars.version}-{key}", f"Maven artifacts of {jars.module}", fill, log)


def folder_of(jars: Jars) -> Path:
    """The folder with the POM and the sums."""
    return paths.checkout() / "toolchain" / "maven" / jars.module


def sums(jars: Jars) -> dict[str, str]:
    """SHA-256 of every archive, by its file name. The format is that of sha256sum(1)."""
    lines = (folder_of(jars) / SUMS).read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def _fetch(module: Path, work: Path, log: Log) -> None:
    """Put the archives into `work/jars`, by way of a repository of their own."""
    command, environment = _maven(log)
    goal = [
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={work / 'jars'}",
        f"-Dmaven.repo.local={work / 'repository'}",
    ]
    done = subprocess.run(
        [*command, "--batch-mode", "--quiet", "--file", str(module / POM), *goal],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stdout.splitlines() if "ERROR" in line] or done.stdout.splitlines()[-8:]
        words = "\n    ".join(said[:8])
        raise ToolchainError(
            f"{module.name}: Maven could not fetch its archives ({done.returncode}):\n    {words}\n"
            "Make `mvn` reach a repository on this machine (network, settings.xml), then run this again"
        )


def _maven(log: Log) -> tuple[list[str], dict[str, str]]:
    """Command and environment of Maven."""
    found = shutil.which("mvn")
    if found:
        return [found], dict(os.environ)
    java = shutil.which("java")
    if java is None:
        # Debian's Java does not run from a folder: its settings and certificates are at fixed places.
        raise ToolchainError(
            "mvn: not found, and no Java to run Debian's package by; install the package maven, or Maven 3.8 or newer "
            "with Java 17 or newer, and put `mvn` on PATH"
        )
    programs = debian.programs(("maven",), log)
    home = programs.root / "usr/share/maven"
    # The script `mvn` and its settings are found by absolute links, which lead out of the folder.
    settings = programs.root / "etc/maven"
    options = {
        "classworlds.conf": settings / "m2.conf",
        "maven.home": home,
        "maven.conf": settings,
        "maven.multiModuleProjectDirectory": home,
    }
    properties = [f"-D{name}={value}" for name, value in options.items()]
    classes = str(programs.root / "usr/share/java/plexus-classworlds.jar")
    return [java, "-classpath", classes, *properties, LAUNCHER], programs.environment()


def _compare(module: Path, pinned: dict[str, str], folder: Path) -> None:
    """Raises ToolchainError for an archive that is missing, that nobody pinned, or that is another one."""
    found = {}
    for file in folder.iterdir():
        with file.open("rb") as content:
            found[file.name] = hashlib.file_digest(content, "sha256").hexdigest()
    wrong = sorted(name for name in {*pinned, *found} if pinned.get(name) != found.get(name))
    if wrong:
        shown = "; ".join(f"{n}: {found.get(n, 'missing')}, pinned {pinned.get(n, 'nowhere')}" for n in wrong[:3])
        raise ToolchainError(
            f"{module.name}: {len(wrong)} archives are not the pinned ones ({shown}); they were changed on their way, "
            f"or {module / SUMS} is not that of {POM} beside it"
        )
