"""One graph, two targets: what the servers read is the same on both but for the names of their peers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stacks.config import parse
from tests.support.recording import Recorded, record

PLACE = {"placement": {"region": "eu-central-1"}, "owner": "team-platform", "profile": "local"}
SERVICES: dict[str, Any] = {
    "postgres": {"data_class": "confidential"},
    "cache": {"kind": "redis", "role": "cache"},
    "queue": {"kind": "redis", "role": "queue", "replicas": 3, "storage": "1Gi"},
    "api": {
        "kind": "app",
        "image": "registry.example/api:1.4.2",
        "replicas": 2,
        "uses": ["postgres", "cache", "queue"],
    },
    "gateway": {
        "kind": "nginx",
        "hosts": ["app.example.com"],
        "routes": [
            {"path": "/", "to": "api"},
            {"path": "/live", "to": "api", "balance": "ip-hash"},
            {"path": "/work", "to": "api", "balance": "least-conn"},
        ],
    },
}
NAMESPACE = ".groundwork-test.svc"


def files_on_kubernetes(recorded: list[Recorded]) -> dict[str, str]:
    found: dict[str, str] = {}
    for manifest in (resource.manifest for resource in recorded):
        if manifest and manifest["kind"] == "ConfigMap":
            found |= {f"{manifest['metadata']['name']}/{file}": text for file, text in manifest["data"].items()}
    return found


def files_on_docker(recorded: list[Recorded]) -> dict[str, str]:
    found: dict[str, str] = {}
    for resource in recorded:
        uploads = resource.inputs.get("uploads", [])
        for upload in uploads["value"] if isinstance(uploads, dict) else uploads:
            if upload["permissions"] == "0444":
                service = resource.name.split("-")[0]
                name = f"{service}/{upload['file'].rpartition('/')[2]}"
                assert found.setdefault(name, upload["content"]) == upload["content"], "instances differ"
    return found


def without_names(text: str) -> str:
    """Peers by their plain names, and a gateway's list of instances as one line."""
    text = re.sub(rf"\.[a-z]+-peers{re.escape(NAMESPACE)}", "", text).replace(NAMESPACE, "")
    return re.sub(
        r"( *server )(?:\S+:\d+|\S+ service=\S+)( resolve [^\n]*\n)(?: *server \S+ resolve [^\n]*\n)*",
        r"\1PEERS\2",
        text,
    )


@pytest.fixture(scope="module")
def both() -> tuple[list[Recorded], list[Recorded]]:
    kubernetes = parse("test", {**PLACE, "cluster": "embedded"}, SERVICES)
    docker = parse("test", {**PLACE, "target": "docker"}, SERVICES)
    return record(kubernetes)[1], record(docker)[1]


def test_rendered_configurations_differ_by_peer_names_alone(both: tuple[list[Recorded], list[Recorded]]) -> None:
    cluster, engine = files_on_kubernetes(both[0]), files_on_docker(both[1])
    assert {"queue/redis.conf", "queue/sentinel.conf", "postgres/pg_hba.conf", "gateway/nginx.conf"} <= set(cluster)
    assert set(cluster) == set(engine)
    for name, text in cluster.items():
        assert without_names(text) == without_names(engine[name]), name


def test_the_comparison_sees_other_differences() -> None:
    assert without_names("server a:1 resolve x;\n    deny all;") != without_names(
        "server b:1 resolve x;\n    allow all;"
    )


def test_processes_are_the_same_on_both(both: tuple[list[Recorded], list[Recorded]]) -> None:
    cluster: dict[str, tuple[Any, ...]] = {}
    for manifest in (resource.manifest for resource in both[0]):
        if manifest and manifest["kind"] in ("Deployment", "StatefulSet"):
            for c in manifest["spec"]["template"]["spec"]["containers"]:
                words = (*c.get("command", ()), *c.get("args", ()))
                env = sorted(f"{e['name']}={without_names(e['value'])}" for e in c.get("env", ()))
                cluster[f"{manifest['metadata']['name']}/{c['name']}"] = (c["image"], words, env)
    engine: dict[str, tuple[Any, ...]] = {}
    for resource in both[1]:
        labels = {x["label"].partition("/")[2]: x["value"] for x in resource.inputs.get("labels", ())}
        if "container" in labels and labels["container"] != "sandbox" and "uploads" not in resource.inputs:
            words = (*resource.inputs.get("entrypoints", ()), *resource.inputs.get("command", ()))
            engine[f"{labels['service']}/{labels['container']}"] = (
                resource.inputs["image"], words, sorted(resource.inputs.get("envs", ())),
            )  # fmt: skip
    assert engine == cluster
