"""The demonstration application: its own tests, and the budgets that hold for every module."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "demo"
SOURCES = sorted(DEMO.glob("*.go"))
FUNCTION = re.compile(r"^func .*?^}$", re.MULTILINE | re.DOTALL)


def test_its_own_tests_pass() -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed; it is needed only where the demo is built from source")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    for arguments in (["vet", "./..."], ["test", "-count=1", "./..."]):
        done = subprocess.run([go, *arguments], cwd=DEMO, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"go {' '.join(arguments)}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_file_fits_its_budget(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 250, "a file has at most 250 lines: split it by what it is for"
    for function in FUNCTION.findall(text):
        assert len(function.splitlines()) <= 40, f"{function.splitlines()[0]}: at most 40 lines"
