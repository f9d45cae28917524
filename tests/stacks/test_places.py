"""Which place an environment's settings name, and what is said of how to reach it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stacks.places import kubernetes, place_of
from stacks.places.docker import Engine
from stacks.places.kubernetes import EmbeddedCluster, NodeCluster
from toolchain.cluster import Cluster
from toolchain.node import cluster, loading, profile

PLACEMENT = {"region": "eu-west-1"}
GATEWAY = {"service": "gateway", "host": "demo.example.com", "port": 443, "protocol": "https", "external": True}
INSIDE = {"service": "cache", "host": "cache", "port": 6379, "protocol": "redis", "external": False}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"target": "docker"}, Engine),
        ({"cluster": "embedded"}, EmbeddedCluster),
        ({"cluster": "node"}, NodeCluster),
        ({"cluster": {"context": "node"}}, kubernetes.Cluster),
        ({"cluster": ["node"], "placement": []}, kubernetes.Cluster),
    ],
)
def test_settings_name_a_place(settings: dict[str, Any], kind: type) -> None:
    assert type(place_of("dev", settings, print)) is kind


def test_a_real_node_is_started_in_the_region_and_given_images(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def ensure(*region: str) -> Cluster:
        asked.append(region)
        return Cluster(Path("kubeconfig"), "groundwork-node", "identity", created=True, started=True)

    monkeypatch.setattr(cluster, "ensure", ensure)
    monkeypatch.setattr(loading, "ensure_images", lambda images, say: asked.append(images))
    place = place_of("dev", {"cluster": "node", "placement": PLACEMENT}, print)
    assert place.start()
    place.provide(["redis:8"])
    assert asked == [("eu-west-1",), ["redis:8"]]


def test_a_real_node_is_called_at_the_address_of_the_gateways_service(monkeypatch: pytest.MonkeyPatch) -> None:
    class Api:
        def get(self, path: str) -> dict[str, Any]:
            assert path == "/api/v1/namespaces/groundwork-dev/services/gateway"
            return {"spec": {"clusterIP": "10.96.1.2"}}

    monkeypatch.setattr(profile, "connect", Api)
    place = place_of("dev", {"cluster": "node"}, print)
    (_, call) = place.hints([INSIDE, GATEWAY])
    assert "--resolve demo.example.com:443:10.96.1.2 https://demo.example.com:443/ready" in call
    assert place.hints([INSIDE]) == []


def test_pods_of_a_node_that_was_started_again_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def pod(name: str, phase: str, ready: str) -> dict[str, Any]:
        conditions = [{"type": "Ready", "status": ready}]
        return {"metadata": {"name": name}, "status": {"phase": phase, "conditions": conditions}}

    answers = [
        [pod("cache-0", "Running", "False"), pod("init", "Succeeded", "False")],
        [pod("cache-0", "Running", "True")],
    ]

    class Api:
        def get(self, path: str) -> dict[str, Any]:
            assert path == "/api/v1/namespaces/groundwork-dev/pods"
            return {"items": answers.pop(0) if len(answers) > 1 else answers[0]}

    monkeypatch.setattr(profile, "connect", Api)
    said: list[str] = []
    place_of("dev", {"cluster": "node"}, said.append).await_ready()
    assert said == ["waiting for cache-0"]
    assert len(answers) == 1
