"""What a cluster or an engine says of its version, and what comes of it before anything is created."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

import pytest

from components.core.problems import ConfigError
from stacks.config import parse
from stacks.environment import Environment
from stacks.targets import target_of
from tests.support.recording import run

PLACE = {"profile": "dev", "placement": {"region": "eu-central-1", "zones": 3}, "owner": "team-platform"}
# Answers `get --raw PATH` with the file of the path's last word; refuses where there is none.
KUBECTL = """#!/bin/sh
echo "$@" >> "$ANSWERS/log"
while [ "$1" != --raw ]; do shift; done
path=${2%%\\?*}
exec cat "$ANSWERS/${path##*/}"
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Environment]]:
    """Makes environments on a cluster whose API server takes connections and whose answers a `kubectl` gives."""
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("ANSWERS", str(tmp_path))

    def environment(version: str = "", operator: str = "", replicas: int = 3) -> Environment:
        if version:
            (tmp_path / "version").write_text(json.dumps({"gitVersion": version}))
        pod = {"spec": {"containers": [{"image": f"ghcr.io/cloudnative-pg/cloudnative-pg:{operator}"}]}}
        items = [{"spec": {"template": pod}}] if operator else []
        (tmp_path / "deployments").write_text(json.dumps({"items": items}))
        own = {"context": "mine", "kubeconfig": str(tmp_path / "config"), "storage_class": "fast"}
        return parse("dev", {**PLACE, "cluster": own}, {"postgres": {"replicas": replicas}})

    with socket.create_server(("127.0.0.1", 0)) as server:
        content = {
            "contexts": [{"name": "mine", "context": {"cluster": "c"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{server.getsockname()[1]}"}}],
        }
        (tmp_path / "config").write_text(json.dumps(content))
        yield environment


def refusals(environment: Environment) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        target_of(environment)
    return [str(problem) for problem in caught.value.problems]


def accepts(environment: Environment) -> None:
    run(lambda: target_of(environment))


def test_a_cluster_of_a_version_that_is_not_supported(cluster: Callable[..., Environment]) -> None:
    assert refusals(cluster("v1.31.9-gke.100", replicas=1)) == [
        "groundwork:environment.cluster.context: mine given; its Kubernetes is 1.31.9; Kubernetes before 1.32 is not "
        "supported; allowed: 1.32 to 1.37; upgrade it, or name another cluster"
    ]


def test_a_cluster_that_an_operator_does_not_support(cluster: Callable[..., Environment]) -> None:
    assert refusals(cluster("v1.33.4")) == [
        "groundwork:environment.cluster.context: mine given; its Kubernetes is 1.33.4; CloudNativePG 1.30 supports "
        "Kubernetes 1.34 to 1.36; allowed: 1.34 to 1.36; upgrade it, or name another cluster"
    ]


def test_an_operator_of_a_version_that_is_not_supported(cluster: Callable[..., Environment], tmp_path: Path) -> None:
    assert refusals(cluster("v1.36.3", "1.28.1")) == [
        "groundwork:environment.cluster.context: mine given; its CloudNativePG is 1.28.1; CloudNativePG before 1.30 is "
        "not supported; allowed: 1.30; upgrade it, or name another cluster"
    ]
    asked = (tmp_path / "log").read_text().splitlines()
    selector = "labelSelector=app.kubernetes.io/name%3Dcloudnative-pg"
    assert f"--context mine get --raw /apis/apps/v1/deployments?{selector} " in asked[-1]
    assert asked[0].startswith(f"--kubeconfig {tmp_path}/config --context mine get --raw /version ")


def test_a_cluster_that_fits_is_taken(cluster: Callable[..., Environment], caplog: pytest.LogCaptureFixture) -> None:
    accepts(cluster("v1.36.3", "1.30.0"))
    accepts(cluster("v1.36.3"))
    assert "mine" not in caplog.text


def test_operators_are_asked_for_where_they_are_needed(cluster: Callable[..., Environment], tmp_path: Path) -> None:
    accepts(cluster("v1.33.4", "1.28.1", replicas=1))
    assert "deployments" not in (tmp_path / "log").read_text()


def test_a_version_without_fixes_is_warned_of(
    cluster: Callable[..., Environment], caplog: pytest.LogCaptureFixture
) -> None:
    accepts(cluster("v1.32.1", replicas=1))
    said = "mine: Kubernetes 1.32 has had no fixes since 2026-02-28, as known on 2026-11-21"
    assert said in caplog.text


def test_a_cluster_that_tells_nothing_is_taken_with_a_warning(
    cluster: Callable[..., Environment], caplog: pytest.LogCaptureFixture
) -> None:
    accepts(cluster())
    assert "mine does not tell its version, so nobody knows whether it is supported" in caplog.text


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Callable[[object], Environment]]:
    """Makes environments on an engine that answers with a version."""
    said: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/version"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *args: Any) -> None:
            """A unix socket has no address to log."""

    def environment(version: object) -> Environment:
        said["Version"] = version
        place = {**PLACE, "profile": "local", "target": "docker", "docker": {"host": f"unix://{path}"}}
        return parse("dev", place, {"postgres": None})

    path = tmp_path / "engine"
    with UnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield environment
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("version", "says"),
    [
        ("19.03.15", "19.03.15; Docker Engine before 20.10 is not supported"),
        ("30.0.0-rc.1", "30.0.0; Docker Engine after 29 is not supported"),
    ],
)
def test_an_engine_of_a_version_that_is_not_supported(
    engine: Callable[[object], Environment], version: str, says: str, tmp_path: Path
) -> None:
    assert refusals(engine(version)) == [
        f"groundwork:environment.docker: unix://{tmp_path}/engine given; its Docker Engine is {says}; "
        "allowed: 20.10 to 29; upgrade it, or name another engine"
    ]


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "29.8.2", None, ["29"]])
def test_an_engine_that_fits_or_tells_nothing_is_taken(
    engine: Callable[[object], Environment], version: object
) -> None:
    accepts(engine(version))
