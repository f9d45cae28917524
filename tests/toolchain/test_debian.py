"""Programs of Debian packages: fetched once, whole or not at all, and found together with what they need."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.toolchain.packages import needs_dpkg, write_apt, write_package
from toolchain import debian
from toolchain.errors import ToolchainError

LIBRARY = "usr/lib/x86_64-linux-gnu/libsample.so"


def quiet(_: str) -> None:
    """A log that nobody reads."""


@pytest.fixture
def apt(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt that knows two packages; the log of its calls."""
    log = write_apt(home, monkeypatch)
    files = {"sbin/sample": "#!/bin/sh\necho sample $LD_LIBRARY_PATH\n", LIBRARY: "", "lib/sample/data": ""}
    write_package(home, "sample", "5:1.2-3", files, {})
    tables = {"usr/sbin/xtables-nft-multi": "#!/bin/sh\necho $0\n", "usr/lib/x86_64-linux-gnu/xtables/a.so": ""}
    write_package(home, "tables", "1.8", tables, {"usr/sbin/iptables-nft": "xtables-nft-multi"})
    return log


@needs_dpkg
def test_programs_find_each_other_their_libraries_and_their_plugins(apt: Path) -> None:
    found = debian.programs(["sample"], quiet)
    library = found.root / "usr/lib/x86_64-linux-gnu"
    assert found.versions == {"sample": "5:1.2-3", "tables": "1.8"}
    assert found.program("sample") == found.root / "usr/sbin/sample", "below /usr, wherever the package puts it"
    said = subprocess.run(["sample"], env=found.environment(), capture_output=True, text=True, check=True)
    assert said.stdout.removeprefix("sample ").split(":")[0].strip() == str(library)
    assert found.environment()["XTABLES_LIBDIR"] == str(library / "xtables")
    assert (found.root / "lib/sample/data").is_file()


@needs_dpkg
def test_iptables_is_what_debian_would_choose(apt: Path) -> None:
    found = debian.programs(["tables"], quiet)
    assert found.program("iptables").readlink() == Path("xtables-nft-multi")


@needs_dpkg
def test_a_second_call_fetches_nothing_and_other_packages_are_another_folder(apt: Path) -> None:
    first = debian.programs(["sample", "tables"], quiet)
    calls = apt.read_text()
    assert debian.programs(["tables", "sample"], quiet) == first
    assert apt.read_text() == calls
    assert debian.programs(["sample"], quiet).root != first.root
    assert apt.read_text() != calls


@needs_dpkg
def test_apt_writes_nothing_outside_its_own_folder(apt: Path, home: Path) -> None:
    debian.programs(["sample"], quiet)
    own = str(home / "cache")
    for call in apt.read_text().splitlines():
        words = dict(word.split("=", 1) for word in call.split(" -o ")[1:])
        assert words["Dir::State::lists"].startswith(own)
        assert words["Dir::Cache"].startswith(own)
        assert "--download-only" in call or call.endswith("update")


@needs_dpkg
def test_a_refusal_shows_apts_words_and_leaves_nothing(apt: Path, home: Path) -> None:
    (home / "refuses").touch()
    with pytest.raises(ToolchainError, match=r"E: Unable to locate package nonesuch[\s\S]*apt-get update"):
        debian.programs(["nonesuch"], quiet)
    assert [path.name for path in (home / "cache" / "groundwork" / "debian").iterdir()] == ["lock"]
    (home / "refuses").unlink()
    assert debian.programs(["nonesuch"], quiet).versions


def test_without_apt_the_error_says_what_is_needed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(home / "bin"))
    with pytest.raises(ToolchainError, match=r"docker\.io: apt-get, dpkg-deb not found, so this is no Debian"):
        debian.programs(["docker.io"], quiet)
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(ToolchainError, match=r"docker\.io: needed, but this system is darwin"):
        debian.programs(["docker.io"], quiet)


def test_a_program_that_nobody_has_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="nonesuch: neither in"):
        debian.Programs(tmp_path, {}).program("nonesuch")
