"""The behaviour catalogue: one file per behaviour, input first, then exactly what is deployed for it.

`tests/golden/<component>/<case>.<target>.yaml` holds the case (description, services, service, optionally an
environment) and the objects of `service`; `error_<why>.yaml` holds the case and the messages. `make golden` writes the
files anew; the diff is then what a reviewer reads.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from components.core.problems import ConfigError
from stacks.config import parse
from tests.support.recording import Recorded, record

FOLDER = Path(__file__).parent / "golden"
ENVIRONMENT = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1", "eu-west-1"]},
    "owner": "team-platform",
}


BESIDE = re.compile(r"\$(?:here|\{0%/\*\})/([\w.-]+)")
"""How a script names a file of its own folder."""
DOCKER = {"profile": "local", "target": "docker", "placement": ENVIRONMENT["placement"], "owner": "team-platform"}


def cases(pattern: str) -> list[Any]:
    found = sorted(FOLDER.rglob(pattern))
    return [pytest.param(path, id=f"{path.parent.name}/{path.name}") for path in found]


@pytest.mark.parametrize("path", cases("*.kubernetes.yaml") + cases("*.docker.yaml"))
def test_objects_are_as_the_catalogue_says(path: Path, request: pytest.FixtureRequest) -> None:
    case, *expected = documents(path)
    environment = parse("test", environment_of(case, path), case["services"])
    _, recorded = record(environment)
    found = [manifest for manifest in map(shown, recorded) if manifest and belongs(manifest, case["service"])]
    found.sort(key=lambda manifest: identities([manifest]))
    if request.config.getoption("--update-golden"):
        write(path, [case, *found])
        return
    assert identities(found) == identities(expected), f"the objects of {case['service']} are others; see `make golden`"
    for manifest, wanted in zip(found, expected, strict=True):
        assert manifest == wanted, f"{identities([manifest])[0]} differs; see `make golden`"


@pytest.mark.parametrize("path", cases("*.kubernetes.yaml"))
def test_scripts_have_beside_them_what_they_read(path: Path) -> None:
    for manifest in documents(path)[1:]:
        files = manifest.get("data", {}) if manifest["kind"] == "ConfigMap" else {}
        # Of what many share, none needs everything.
        own = {name: text for name, text in files.items() if name.endswith(".sh") and name != "backup.sh"}
        wanted = {name: set(BESIDE.findall(text)) - set(files) for name, text in own.items()}
        assert not any(wanted.values()), f"{identities([manifest])[0]} lacks what a script reads: {wanted}"


@pytest.mark.parametrize("path", cases("*.docker.yaml"))
def test_no_command_has_an_empty_word(path: Path) -> None:
    """The provider of Docker refuses it, and only when the container is made."""
    commands = {
        one["name"]: [*one.get("entrypoints", ()), *one.get("command", ())]
        for one in documents(path)[1:]
        if one["docker"] == "Container"
    }
    assert commands, "no container was looked at"
    assert {name: words for name, words in commands.items() if "" in words} == {}


@pytest.mark.parametrize("path", cases("error_*.yaml"))
def test_mistakes_are_answered_as_the_catalogue_says(path: Path, request: pytest.FixtureRequest) -> None:
    (case,) = documents(path)
    with pytest.raises(ConfigError) as caught:
        parse("test", environment_of(case, path), case["services"])
    found = [str(problem) for problem in caught.value.problems]
    if request.config.getoption("--update-golden"):
        write(path, [{**case, "errors": found}])
        return
    assert found == case["errors"]


def environment_of(case: dict[str, Any], path: Path) -> dict[str, Any]:
    base = DOCKER if path.name.endswith(".docker.yaml") else ENVIRONMENT
    written = case.get("environment", {})
    return {**(DOCKER if written.get("target") == "docker" else base), **written}


def belongs(manifest: dict[str, Any], service: str) -> bool:
    if "docker" in manifest:
        return {"label": "groundwork.dev/service", "value": service} in manifest["labels"]
    return bool(manifest["metadata"].get("labels", {}).get("app.kubernetes.io/instance") == service)


def identities(manifests: list[dict[str, Any]]) -> list[str]:
    return [
        f"{m['docker']} {m['name']}" if "docker" in m else f"{m['apiVersion']} {m['kind']} {m['metadata']['name']}"
        for m in manifests
    ]


def shown(resource: Recorded) -> dict[str, Any] | None:
    """The object with secret content left out: the catalogue shows which keys there are, not what is in them."""
    if resource.type.startswith("docker:index/"):
        given = resource.inputs.get("uploads", [])
        uploads = [secretless(upload) for upload in (given["value"] if isinstance(given, dict) else given)]
        content = {**resource.inputs, **({"uploads": uploads} if uploads else {})}
        return {"docker": resource.type.rpartition(":")[2], **plain(content)}
    manifest = resource.manifest
    if manifest and manifest["kind"] == "Secret":
        for field in ("data", "stringData"):
            if field in manifest:
                keys = manifest[field].get("value", manifest[field])
                manifest[field] = dict.fromkeys(sorted(keys), "(secret)")
    return plain(manifest) if manifest else None


def secretless(upload: dict[str, Any]) -> dict[str, Any]:
    return {**upload, "content": "(secret)"} if upload["permissions"] == "0440" else upload


def plain(value: Any) -> Any:
    """Floats that mocks make of integers become integers again; secrets are named, keys sorted."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def documents(path: Path) -> list[Any]:
    return list(YAML(typ="safe").load_all(path))


def write(path: Path, content: list[Any]) -> None:
    yaml = YAML()
    yaml.width = 1000
    yaml.explicit_start = True
    buffer = io.StringIO()
    yaml.dump_all([literal(document) for document in content], buffer)
    path.write_text(buffer.getvalue())


def literal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [literal(item) for item in value]
    return LiteralScalarString(value) if isinstance(value, str) and "\n" in value else value
