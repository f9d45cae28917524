"""What the previous commit brought up, this one takes over: the data is the same, and so is each volume."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import NAME
from tests.live.deployment_docker import DockerDeployment
from tests.live.environment import Live, Say
from tests.live.small import STORES, configure, lost, small, written
from tests.support.checkout import ROOT, Checkout

PREVIOUS = "HEAD~1"
VOLUME = "docker:index/volume:Volume"
CONTAINER = "docker:index/container:Container"


def test_data_outlives_an_upgrade(
    tmp_path_factory: pytest.TempPathFactory, say: Say, host: str, record_property: Callable[[str, object], None]
) -> None:
    folder, name = tmp_path_factory.mktemp("upgrade"), f"{NAME}-upgrade"
    after = small(name, folder, host, say)
    checkout = Checkout(extract(folder / "before"), folder / "state", DOCKER_HOST=host)
    configure(checkout, name)
    before = Live(name, checkout, DockerDeployment(name, host), 0, say)
    try:
        bring_up(before)
        tallies = {store: written(before, store) for store in STORES}
        old = made(before)
        after.up()
        new = made(after)
        volumes = {urn: identity for urn, identity in old.items() if f"${VOLUME}::" in urn}
        assert volumes
        assert {urn: new.get(urn) for urn in volumes} == volumes
        assert lost(after, tallies) == dict.fromkeys(STORES, 0)
    finally:
        after.down()
    containers = [urn for urn in new if f"${CONTAINER}::" in urn]
    kept = [urn for urn in containers if old.get(urn) == new[urn]]
    record_property("note", f"{len(volumes)} volumes and {len(kept)} of {len(containers)} containers kept, 0 lost")


def extract(folder: Path) -> Path:
    """The previous commit as files. Skips where the clone does not have it, or it knows no Docker."""
    done = subprocess.run(["git", "archive", PREVIOUS], cwd=ROOT, capture_output=True)
    if done.returncode:
        pytest.skip(f"the clone has no {PREVIOUS}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    if not (folder / "policies/packs/local.json").is_file():
        pytest.skip(f"{PREVIOUS} has no environment on Docker")
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    return folder


def bring_up(environment: Live) -> None:
    """Bring the previous commit's environment up. Skips where that commit can't do it."""
    try:
        environment.up()
    except AssertionError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        pytest.skip(f"{PREVIOUS} can't bring the environment up: {said[-1] if said else 'it says nothing'}")


def made(environment: Live) -> dict[str, tuple[Any, Any]]:
    """Identity of each object of the engine and when it was made, by its name in state."""
    resources = environment.checkout.state(environment.name)["resources"]
    return {
        resource["urn"]: (resource["id"], resource["created"])
        for resource in resources
        if resource["type"] in (VOLUME, CONTAINER)
    }
