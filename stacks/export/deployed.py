"""The resources of a deployed stack as plain data: their inputs in clear, and where among them the secrets are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.core.problems import ConfigError, Problem, dotted

if TYPE_CHECKING:
    from stacks.pulumi_cli import Pulumi

_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105
"""Key that marks a secret in every state that Pulumi writes; its content is JSON under `plaintext`."""
_FITS = {"docker": ("Docker", "compose"), "kubernetes": ("Kubernetes", "manifests")}
"""Name of each target, and the export that fits it."""


@dataclass(frozen=True)
class Resource:
    """One object of a target, as Pulumi sent it."""

    urn: str
    type: str
    id: str
    inputs: Mapping[str, Any]
    """What was sent, secrets in clear; the providers' own notes are left out."""
    secrets: tuple[str, ...]
    """Paths in `inputs` of what is secret."""
    dependencies: tuple[str, ...]
    """URNs of what had to be there first."""

    @property
    def target(self) -> str:
        """Provider it is an object of, such as `docker`."""
        return self.type.partition(":")[0]

    @property
    def kind(self) -> str:
        """Last part of its type, such as `Container`."""
        return self.type.rpartition(":")[2]


def read(pulumi: Pulumi, target: str) -> list[Resource]:
    """What the stack has deployed on `target`, in the order of its creation.

    Raises ConfigError where nothing is deployed, where the last run was interrupted, or where it is deployed on another
    target.
    """
    stack = pulumi.stack
    deployment = pulumi.read("stack", "export", "--show-secrets")["deployment"] if pulumi.exists() else {}
    if deployment.get("pending_operations"):
        raise _not_so(f"{stack} given; its last run was interrupted; finish it first: make up ENV={stack}")
    found = resources_of(deployment)
    if not found:
        raise _not_so(f"{stack} given; nothing of it is deployed; bring it up first: make up ENV={stack}")
    for other in {resource.target for resource in found} - {target}:
        name, command = _FITS[other]
        raise _not_so(
            f"{stack} given; it is deployed on {name}; what fits is: make export ENV={stack} FORMAT={command}"
        )
    return found


def resources_of(deployment: Mapping[str, Any]) -> list[Resource]:
    """The objects of targets in an exported state, those that an unfinished replacement has yet to delete left out."""
    return [
        Resource(
            urn=entry["urn"],
            type=entry["type"],
            id=entry.get("id", ""),
            inputs=_clear(entry["inputs"]),
            secrets=tuple(_secret_paths(entry["inputs"])),
            dependencies=tuple(entry.get("dependencies") or ()),
        )
        for entry in deployment.get("resources") or ()
        if entry["type"].partition(":")[0] in _FITS and not entry.get("delete")
    ]


def forbid_secrets(resource: Resource, *allowed: str) -> None:
    """Raise ConfigError if anything but the fields `allowed` is secret: it would be written where others read it."""
    stray = [path for path in resource.secrets if path.partition(".")[0] not in allowed]
    if stray:
        text = "is secret, and an export would show it; hand it to the workload in a secret file"
        raise ConfigError([Problem(dotted(resource.urn.rpartition("::")[2], path), text) for path in stray])


def _not_so(text: str) -> ConfigError:
    return ConfigError([Problem("environment", text)])


def _clear(value: Any) -> Any:
    if isinstance(value, dict):
        if _SECRET in value:
            return _clear(json.loads(value["plaintext"]))
        return {key: _clear(item) for key, item in value.items() if not key.startswith("__")}
    return [_clear(item) for item in value] if isinstance(value, list) else value


def _secret_paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        if _SECRET in value:
            yield path
            return
        for key, item in value.items():
            yield from _secret_paths(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_paths(item, path)
