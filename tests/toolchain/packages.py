"""Small Debian packages, and an `apt-get` that pretends to fetch them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg-deb: this is no Debian")

# Notes each call in a log; `install` gives what lies in APT_ARCHIVES, or fails while APT_REFUSES is there.
APT = """#!/bin/sh
echo "$@" >> "$APT_LOG"
for word; do
  case $word in Dir::Cache=*) cache=${word#Dir::Cache=} ;; update | install | indextargets) action=$word ;; esac
done
if [ $action = indextargets ]; then echo "file:/mirror/ main"; fi
if [ $action = install ]; then
  if [ -e "$APT_REFUSES" ]; then echo "E: Unable to locate package nonesuch"; exit 100; fi
  mkdir -p "$cache/archives"
  cp "$APT_ARCHIVES"/*.deb "$cache/archives"
fi
"""


def write_apt(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the pretending `apt-get` on PATH; returns its log."""
    apt = home / "bin" / "apt-get"
    apt.write_text(APT, encoding="utf-8")
    apt.chmod(0o755)
    (home / "archives").mkdir()
    monkeypatch.setenv("APT_LOG", str(home / "apt.log"))
    monkeypatch.setenv("APT_REFUSES", str(home / "refuses"))
    monkeypatch.setenv("APT_ARCHIVES", str(home / "archives"))
    return home / "apt.log"


def write_package(home: Path, name: str, version: str, files: Mapping[str, str], links: Mapping[str, str]) -> None:
    """Build a package; every file is executable."""
    tree = home / "trees" / name
    for path, content in files.items():
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        file.chmod(0o755)
    for path, target in links.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).symlink_to(target)
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody\nDescription: a sample\n"
    (tree / "DEBIAN" / "control").write_text(control, encoding="utf-8")
    archive = home / "archives" / f"{name}_{version.replace(':', '%3a')}_all.deb"
    command = ["dpkg-deb", "--build", "--root-owner-group", str(tree), str(archive)]
    subprocess.run(command, check=True, capture_output=True)
