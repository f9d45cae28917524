"""An exported base, applied to the cluster that Pulumi deployed to, would change nothing there."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import Checkout

STACK = "dev"
OPTIONS = ("--server-side", "--force-conflicts")


@pytest.fixture(scope="module")
def base(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    early = checkout.groundwork("export", "manifests", STACK)
    assert early.returncode == 1
    assert f"make up ENV={STACK}" in early.stderr
    done = checkout.groundwork("up", STACK)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = tmp_path_factory.mktemp("export") / STACK
    export = checkout.groundwork("export", "manifests", STACK, "--out", str(folder))
    assert export.returncode == 0, export.stdout + export.stderr
    yield folder
    down = checkout.groundwork("down", STACK)
    assert down.returncode == 0, down.stdout + down.stderr


def test_the_server_takes_it_strictly(checkout: Checkout, base: Path) -> None:
    applied = checkout.kubectl("apply", "-k", str(base), *OPTIONS, "--dry-run=server", "--validate=strict")
    manifests = [path for path in base.rglob("*.yaml") if path.name != "kustomization.yaml"]
    assert len(applied.splitlines()) == len(manifests) > 20


def test_it_is_what_the_cluster_has(checkout: Checkout, base: Path) -> None:
    assert checkout.kubectl("diff", "-k", str(base), *OPTIONS) == ""


def test_a_difference_would_be_seen(checkout: Checkout, base: Path) -> None:
    service = base / "base" / "cache" / "service-cache.yaml"
    text = service.read_text()
    service.write_text(text.replace("port: 6379", "port: 6380"))
    try:
        assert service.read_text() != text
        with pytest.raises(AssertionError, match="kubectl diff"):
            checkout.kubectl("diff", "-k", str(base), *OPTIONS)
    finally:
        service.write_text(text)


def test_a_compose_file_does_not_fit(checkout: Checkout, base: Path) -> None:
    done = checkout.groundwork("export", "compose", STACK, "--out", str(base / "other"))
    assert done.returncode == 1
    assert f"make export ENV={STACK} FORMAT=manifests" in done.stderr
    assert not (base / "other").exists()


def test_git_would_take_no_secret(base: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(base)], check=True)
    listed = subprocess.run(
        ["git", "-C", str(base), "ls-files", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = listed.stdout.splitlines()
    assert "base/kustomization.yaml" in found
    assert [path for path in found if path.startswith("secrets")] == []
