"""The kustomize base holds every object that Pulumi sent, with nothing but Pulumi's own left out."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import yaml

from components.core.problems import ConfigError
from stacks.config import parse
from stacks.export.deployed import Resource
from stacks.export.files import File
from stacks.export.manifests import render_manifests
from tests.export.stack import exported
from tests.support import environments
from tests.support.recording import record

SCALED = {
    "app": {
        "kind": "app",
        "image": "registry.example/app:1.0.0",
        "replicas": {"min": 2, "max": 5},
        "purpose": "Grows.",
    }
}


@cache
def recorded(name: str) -> list[Resource]:
    if name != "scaled":
        return exported(record(environments.load(name))[1])
    environment = environments.settings("dev")["groundwork:environment"]
    return exported(record(parse("scaled", environment, SCALED))[1])


def built(files: dict[str, File], folder: str = "") -> dict[str, dict[str, Any]]:
    """What kustomize makes of a folder: every object of its resources, by path."""
    found: dict[str, dict[str, Any]] = {}
    for entry in yaml.safe_load(files[f"{folder}kustomization.yaml"].text)["resources"]:
        path = f"{folder}{entry}"
        found.update({path: yaml.safe_load(files[path].text)} if path in files else built(files, f"{path}/"))
    return found


def identity(manifest: Any) -> tuple[str, ...]:
    meta = manifest["metadata"]
    return (manifest["apiVersion"], manifest["kind"], meta.get("namespace", ""), meta["name"])


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_base_and_its_secrets_are_what_was_sent(name: str) -> None:
    resources = recorded(name)
    files = render_manifests(name, resources)
    found = {identity(manifest): manifest for manifest in built(files).values()}
    wanted = {identity(resource.inputs): dict(resource.inputs) for resource in resources}
    assert set(found) == set(wanted)
    for key, manifest in wanted.items():
        annotations = manifest["metadata"].get("annotations", {})
        kept = {name: value for name, value in annotations.items() if not name.startswith("pulumi.com/")}
        meta = {field: value for field, value in manifest["metadata"].items() if field != "annotations"}
        assert found[key] == {**manifest, "metadata": {**meta, **({"annotations": kept} if kept else {})}}


def test_what_only_pulumi_reads_is_left_out() -> None:
    resources = recorded("dev")
    assert any("pulumi.com/skipAwait" in r.inputs["metadata"].get("annotations", {}) for r in resources)
    assert "pulumi.com/" not in "".join(file.text for file in render_manifests("dev", resources).values())


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_base_can_be_kept_in_git(name: str) -> None:
    resources = recorded(name)
    files = render_manifests(name, resources)
    secrets = {path for path, file in files.items() if file.secret}
    assert secrets == {path for path, manifest in built(files).items() if manifest["kind"] == "Secret"}
    assert all(path.startswith("secrets/") for path in secrets)
    assert "/secrets/" in files[".gitignore"].text.splitlines()
    values = [value for r in resources if r.inputs["kind"] == "Secret" for value in r.inputs["data"].values()]
    shown = "".join(file.text for path, file in files.items() if path not in secrets)
    assert values
    assert [value for value in values if value in shown] == []


def test_an_autoscaler_keeps_the_size_it_chose() -> None:
    resources = recorded("scaled")
    assert any("replicas" in r.inputs["spec"] for r in resources if r.kind == "Deployment")
    (deployment,) = [m for m in built(render_manifests("scaled", resources)).values() if m["kind"] == "Deployment"]
    assert "replicas" not in deployment["spec"]


def test_namespace_first_and_else_by_name() -> None:
    resources = recorded("prod")
    files = render_manifests("prod", resources)
    assert render_manifests("prod", resources[::-1]) == files
    listed = yaml.safe_load(files["base/kustomization.yaml"].text)["resources"]
    assert listed[0] == "namespace-groundwork-prod.yaml"


def test_a_secret_elsewhere_is_an_error() -> None:
    config = next(resource for resource in recorded("dev") if resource.kind == "ConfigMap")
    stray = Resource(**{**vars(config), "secrets": ("data.redis.conf",)})
    with pytest.raises(ConfigError, match=r"data\.redis\.conf: is secret"):
        render_manifests("dev", [stray])


def test_two_objects_of_one_file_are_an_error() -> None:
    config = next(resource for resource in recorded("dev") if resource.kind == "ConfigMap")
    with pytest.raises(ConfigError, match="two objects of dev would be this file"):
        render_manifests("dev", [config, config])
