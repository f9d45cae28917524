"""A home of its own for each test: cache, state and modules lie in a temporary folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.toolchain.sample import SAMPLE, write_module


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose name needs quoting, with the sample module in it, and no tool on PATH but the system's."""
    home = tmp_path / "it's a home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(home / "bin"), "/usr/bin", "/bin"]))
    for name in list(os.environ):
        if name.startswith(("PULUMI_", "GROUNDWORK_")) or name == "KUBECONFIG":
            monkeypatch.delenv(name)
    (home / "bin").mkdir(parents=True)
    write_module(home / "go" / SAMPLE.recipes[0].module)
    return home
