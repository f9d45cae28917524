"""One private checkout and one embedded cluster for all engine tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import ROOT, Checkout


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    if not (ROOT / ".venv").exists():
        pytest.fail("the toolchain is not installed; run `make toolchain`")
    folder: Path = tmp_path_factory.mktemp("engine")
    private = Checkout.copy(folder / "groundwork", folder / "state")
    yield private
    private.run_toolchain("cluster", "delete")
