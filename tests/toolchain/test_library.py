"""The layer of a library: its files from the project's environment, and the programs that call it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from toolchain import library, paths, venv
from toolchain.errors import ToolchainError
from toolchain.recipe import Library

SAMPLE = Library("/usr/lib/sample", "sample-core", "1.2.0", ("sample/*.so",), {"sample": "tools.sample.program"})


def quiet(_: str) -> None:
    """A log that nobody reads."""


@pytest.fixture
def machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a program, and its environment with a package."""
    programs = home / "checkout/tools/sample"
    programs.mkdir(parents=True)
    (programs / "__init__.py").write_text("")
    (programs / "program.py").write_text("def main(words):\n    print('said', *words)\n    return 3\n")
    packages = home / "venv/lib/python3.11/site-packages"
    (packages / "sample").mkdir(parents=True)
    (packages / "sample/a.so").write_bytes(b"library")
    (packages / "sample/large.py").write_text("unused = True\n")
    known = packages / "sample_core-1.2.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: sample-core\nVersion: 1.2.0\n")
    (known / "RECORD").write_text("sample/a.so,,\nsample/large.py,,\n")
    monkeypatch.setattr(paths, "checkout", lambda: home / "checkout")
    monkeypatch.setattr(venv, "folder", lambda: home / "venv")
    return home


def test_it_has_what_is_wanted_of_the_package_and_the_programs(machine: Path) -> None:
    layer = library.library_layer(SAMPLE, quiet)
    with tarfile.open(layer.archive) as file:
        file.extractall(machine / "image", filter="data")
        assert sorted(file.getnames()) == [
            "usr/bin/sample",
            "usr/lib/sample/sample/a.so",
            "usr/lib/sample/tools/sample/__init__.py",
            "usr/lib/sample/tools/sample/program.py",
        ]
        assert {(member.uid, member.mode) for member in file} == {(0, 0o755)}
    assert (machine / "image/usr/lib/sample/sample/a.so").read_bytes() == b"library"
    assert layer.versions == {"sample-core": "1.2.0"}


def test_a_program_is_called_by_its_name(machine: Path) -> None:
    here = replace(SAMPLE, path=str(machine / "lib"))
    layer = library.library_layer(here, quiet)
    with tarfile.open(layer.archive) as file:
        file.extractall(machine / "image", filter="data")
    (machine / "image" / str(machine / "lib").lstrip("/")).rename(machine / "lib")
    done = subprocess.run([sys.executable, str(machine / "image/usr/bin/sample"), "a"], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("said a\n", 3)


def test_a_changed_program_is_another_layer(machine: Path) -> None:
    first = library.library_layer(SAMPLE, quiet)
    assert library.library_layer(SAMPLE, quiet) == first
    (machine / "checkout/tools/sample/program.py").write_text("def main(words):\n    return 0\n")
    assert library.library_layer(SAMPLE, quiet).digest != first.digest


def test_another_version_is_refused(machine: Path) -> None:
    with pytest.raises(ToolchainError, match=r"sample-core 1\.3\.0: not in the project's Python environment"):
        library.library_layer(replace(SAMPLE, version="1.3.0"), quiet)
