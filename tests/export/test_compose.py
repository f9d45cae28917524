"""The compose file asks the engine for what Pulumi asked for: the same containers, networks, volumes and files."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import yaml

from components.core.problems import ConfigError
from stacks.config import parse
from stacks.export.compose import render_compose
from stacks.export.compose_fields import translated
from stacks.export.compose_files import Upload, dotenv
from stacks.export.deployed import Resource
from stacks.export.files import File
from tests.export.asked import Asked, by_pulumi, interpolated, labels, variables
from tests.export.stack import exported
from tests.support import environments
from tests.support.deployed import SECRET
from tests.support.recording import record

REPLICATED = {
    "store": {"kind": "redis", "role": "queue", "replicas": 3, "storage": "1Gi", "purpose": "Three servers."},
    "app": {"kind": "app", "image": "docker.io/groundwork/demo:0.4.0", "purpose": "Uses it.", "uses": ["store"]},
}
AFTER = {
    "demo_0_app": ["demo-0-sandbox", "demo-0-app-files", "queue-0-redis", "queue-0-exporter", "gateway-0-run-volume"]
}
# Holders of files do more than they did: they run for a moment, and have named volumes.
OF_HOLDERS = ("User", "CapDrop", "SecurityOpt", "Mounts")


@cache
def recorded(name: str) -> list[Resource]:
    if name == "local":
        return exported(record(environments.load("local"))[1], **AFTER)
    settings = {key: environments.settings("local")["groundwork:environment"][key] for key in ("placement", "owner")}
    return exported(record(parse(name, {"profile": "local", "target": "docker", **settings}, REPLICATED))[1])


@pytest.fixture(scope="module", params=["local", "replicated"])
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def resources(name: str) -> list[Resource]:
    return recorded(name)


@pytest.fixture(scope="module")
def files(name: str, resources: list[Resource]) -> dict[str, File]:
    return render_compose(name, resources)


@pytest.fixture(scope="module")
def document(files: dict[str, File]) -> dict[str, Any]:
    return read(files)


@pytest.fixture(scope="module")
def asked(files: dict[str, File], document: dict[str, Any]) -> Asked:
    return Asked(document, variables(files[".env"].text))


def read(files: dict[str, File]) -> dict[str, Any]:
    document: dict[str, Any] = interpolated(yaml.safe_load(files["compose.yaml"].text))
    return document


def of(resources: list[Resource], kind: str) -> dict[str, dict[str, Any]]:
    return {resource.inputs["name"]: dict(resource.inputs) for resource in resources if resource.kind == kind}


def without_files(asked: Asked, container: str) -> dict[str, Any]:
    """What is asked for a container, its volumes of files left out."""
    found = asked.containers()[container]
    mounts = {path: mount for path, mount in found["Mounts"].items() if "-files-" not in mount[0]}
    return {**found, "Mounts": mounts}


def test_each_container_is_asked_for_alike(asked: Asked, resources: list[Resource]) -> None:
    containers = of(resources, "Container")
    assert set(asked.containers()) == set(containers)
    for name, inputs in containers.items():
        wanted = by_pulumi(inputs, resources)
        found = without_files(asked, name)
        for field in () if not inputs.get("uploads") else OF_HOLDERS:
            del wanted[field], found[field]
        assert found == wanted, name


def test_a_setting_less_would_be_seen(document: dict[str, Any], asked: Asked, resources: list[Resource]) -> None:
    """The comparison above looks at everything: each setting of each service, taken away, makes a difference."""
    before = asked.containers()
    for key, service in document["services"].items():
        for setting in service:
            if setting in ("configs", "secrets", "depends_on"):
                continue
            broken = deepcopy(document)
            del broken["services"][key][setting]
            try:
                assert Asked(broken, {}).containers() != before, f"{key}.{setting}"
            except KeyError:
                continue  # one that every service must have


def test_each_file_is_the_same(asked: Asked, resources: list[Resource]) -> None:
    for name, inputs in of(resources, "Container").items():
        uploads = {u["file"]: (int(u["permissions"], 8), u["content"]) for u in inputs.get("uploads", [])}
        assert asked.files()[name] == uploads


def test_files_are_where_the_process_looks_and_read_only(asked: Asked, resources: list[Resource]) -> None:
    containers = asked.containers()
    seen = 0
    for name, inputs in of(resources, "Container").items():
        for source, mode in (v["fromContainer"].split(":") for v in inputs.get("volumes", []) if "fromContainer" in v):
            there = containers[source]["Mounts"]
            assert mode == "ro"
            assert there
            for path, (volume, _) in there.items():
                assert containers[name]["Mounts"][path] == (volume, False)
                seen += 1
    assert seen


def test_images_add_nothing_to_the_files(document: dict[str, Any]) -> None:
    mounts = [mount for service in document["services"].values() for mount in service.get("volumes", [])]
    assert [m for m in mounts if m.get("read_only") and m.get("volume") != {"nocopy": True}] == []


def test_networks_and_volumes_are_the_same(document: dict[str, Any], resources: list[Resource]) -> None:
    networks = {n["name"]: (n["driver"], n.get("internal", False), n["labels"]) for n in document["networks"].values()}
    assert networks == {
        name: (inputs["driver"], inputs["internal"], labels(inputs))
        for name, inputs in of(resources, "Network").items()
    }
    volumes = {v["name"]: (v["driver"], v.get("driver_opts", {}), v["labels"]) for v in document["volumes"].values()}
    assert {name: volume for name, volume in volumes.items() if "-files-" not in name} == {
        name: (inputs["driver"], inputs.get("driverOpts", {}), labels(inputs))
        for name, inputs in of(resources, "Volume").items()
    }
    assert len(volumes) == len(document["volumes"])


def test_no_secret_is_in_the_compose_file(files: dict[str, File], resources: list[Resource]) -> None:
    text = files["compose.yaml"].text
    secrets = [
        upload["content"]
        for inputs in of(resources, "Container").values()
        for upload in inputs.get("uploads", [])
        # Who a user of the store is stands in the bucket's policy, too.
        if upload["permissions"] == "0440" and not upload["file"].endswith("/access_key_id")
    ]
    assert secrets
    assert [content for content in secrets if content in text] == []
    assert "\n    content: |\n" in text, "configuration can be read and compared"
    assert [path for path, file in files.items() if file.secret] == [".env"]
    assert "/.env" in files[".gitignore"].text.splitlines()


def test_a_start_interval_of_zero_asks_nothing_of_the_engine(resources: list[Resource]) -> None:
    sandbox = next(r for r in resources if "healthcheck" in r.inputs)
    check = {**sandbox.inputs["healthcheck"], "startInterval": "0s"}
    assert (
        "start_interval" not in translated(replace(sandbox, inputs={"healthcheck": check, "name": ""}))["healthcheck"]
    )


def test_only_the_gateway_is_published_and_on_loopback(asked: Asked, name: str) -> None:
    published = {c: found["Ports"] for c, found in asked.containers().items() if found["Ports"]}
    wanted = {"groundwork-local-gateway-0": [("127.0.0.1", 8443, 8443, "tcp")]} if name == "local" else {}
    assert published == wanted


def test_the_order_is_that_of_the_graph() -> None:
    services = read(render_compose("local", recorded("local")))["services"]
    others = {"queue-0-redis": {"condition": "service_healthy"}, "queue-0-exporter": {"condition": "service_started"}}
    own = {
        "demo-0": {"condition": "service_started"},
        "demo-0-app-files": {"condition": "service_completed_successfully"},
    }
    assert services["demo-0-app"]["depends_on"] == {**own, **others}
    assert services["demo-0"]["depends_on"] == others, "its health is that of its processes, so it starts with them"


def test_the_order_of_state_makes_no_difference() -> None:
    resources = recorded("local")
    assert render_compose("local", resources[::-1]) == render_compose("local", resources)


def test_what_has_no_counterpart_is_an_error() -> None:
    name = "groundwork-replicated-store-0"
    resources = [
        replace(r, inputs={**r.inputs, "privileged": True}) if r.inputs["name"] == name else r
        for r in recorded("replicated")
    ]
    with pytest.raises(ConfigError, match=f"{name}.privileged: has no counterpart"):
        render_compose("replicated", resources)


def test_a_secret_elsewhere_is_an_error() -> None:
    hidden = {SECRET: "1b47061264138c4ac30d75fd1eb44270", "value": ["PASSWORD=hunter2"]}
    declared = [
        replace(r, inputs={**r.inputs, "envs": hidden}) if r.name == "demo-0-app" else r
        for r in record(environments.load("local"))[1]
    ]
    with pytest.raises(ConfigError, match=r"demo-0-app\.envs: is secret") as caught:
        render_compose("local", exported(declared))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ['a"b', "back\\slash", "end\\", "two\nlines\n", "$HOME ${X} $$", "\r\t", "'", "#", ""])
def test_a_secret_of_any_form_survives(text: str) -> None:
    upload = Upload("cache-0-files-1-tls.key", "/tls.key", "0440", text)
    assert variables(dotenv([upload])) == {"CACHE_0_FILES_1_TLS_KEY": text}
