"""Objects of a Docker engine -> a compose file that makes the same ones. Pure.

The Compose Specification is the reference; `configs` with their content in place need Docker Compose 2.23.1 or later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stacks.export.compose_fields import translated
from stacks.export.compose_files import dotenv, holder, uploads_of, volumes_of
from stacks.export.deployed import Resource, forbid_secrets
from stacks.export.files import File, yaml_text

_INSTANCE = "groundwork.dev/instance"
_OF_ANOTHER = "container:"
"""Begins the network mode of a container that is in the network of another."""
_COMMENT = """\
The environment `{environment}` as it was deployed. Its secrets are in .env, which nobody else may read.
  docker compose up --detach --wait                     not beside the deployed one: names and ports are the same
  docker compose up --detach --wait --force-recreate    after an edit
  docker compose down --volumes                         takes its data away too"""


def render_compose(environment: str, resources: Sequence[Resource]) -> dict[str, File]:
    """The compose file and what belongs beside it, by path.

    Raises ConfigError for a property without counterpart, and where anything but a file is secret.
    """
    for resource in resources:
        forbid_secrets(resource, "uploads")
    project = _Project(f"groundwork-{environment}", resources)
    document = _uninterpolated(project.document())
    return {
        "compose.yaml": File(yaml_text(document, _COMMENT.format(environment=environment))),
        ".env": File(dotenv(project.uploads), secret=True),
        ".gitignore": File("# Not even encrypted.\n/.env\n"),
    }


class _Project:
    """The objects of one environment, under the names they have in its compose file: their own without the prefix."""

    def __init__(self, name: str, resources: Sequence[Resource]) -> None:
        self._name = name
        # By name: state has them as they happened to be made, and a file in Git should change only where they do.
        by_name = sorted(resources, key=lambda resource: str(resource.inputs["name"]))
        self._networks = [resource for resource in by_name if resource.kind == "Network"]
        self._volumes = [resource for resource in by_name if resource.kind == "Volume"]
        self._containers = [resource for resource in by_name if resource.kind == "Container"]
        self._known = {key: r for r in self._containers for key in (r.urn, r.id, r.inputs["name"])}
        self.uploads = [upload for r in self._containers for upload in uploads_of(self._short(r), r)]

    def document(self) -> dict[str, Any]:
        """The compose file, in which every `$` means itself."""
        named = {self._short(volume): translated(volume) for volume in self._volumes}
        sections = {
            "services": {self._short(container): self._service(container) for container in self._containers},
            "networks": {self._short(network): translated(network) for network in self._networks},
            "volumes": named | dict(self._file_volumes()),
            "configs": {upload.name: upload.source for upload in self.uploads if not upload.secret},
            "secrets": {upload.name: upload.source for upload in self.uploads if upload.secret},
        }
        return {"name": self._name, **{section: entries for section, entries in sections.items() if entries}}

    def _service(self, container: Resource) -> dict[str, Any]:
        if container.inputs.get("uploads"):
            return holder(self._short(container), container)
        parts = {
            **self._network(container.inputs),
            "volumes": [mount for volume in container.inputs.get("volumes", ()) for mount in self._mounts(volume)],
            "depends_on": self._conditions(container),
        }
        return {**translated(container), **{field: value for field, value in parts.items() if value}}

    def _network(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        mode = inputs.get("networkMode", "")
        if mode.startswith(_OF_ANOTHER):
            return {"network_mode": f"service:{self._short(self._known[mode.removeprefix(_OF_ANOTHER)])}"}
        joined = inputs.get("networksAdvanced", ())
        return {"networks": {self._strip(entry["name"]): {"aliases": entry["aliases"]} for entry in joined}}

    def _mounts(self, volume: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if "fromContainer" not in volume:
            yield {"type": "volume", "source": self._strip(volume["volumeName"]), "target": volume["containerPath"]}
            return
        holder_name, _, mode = volume["fromContainer"].partition(":")
        source = self._known[holder_name]
        for path, name in volumes_of(self._short(source), source).items():
            # What the image has there stays out: the files come later than the volume.
            settings = {"read_only": mode == "ro", "volume": {"nocopy": True}}
            yield {"type": "volume", "source": name, "target": path, **settings}

    def _conditions(self, container: Resource) -> dict[str, Any]:
        """What it starts after: Pulumi waited for the health of those that were told to be waited for."""
        earlier = {self._short(other): {"condition": _condition(other)} for other in self._earlier(container)}
        return dict(sorted(earlier.items()))

    def _earlier(self, container: Resource) -> list[Resource]:
        """Containers that had to be there first. Who holds an instance's network starts when its processes may: its
        health check is theirs, and `docker compose up --wait` gives up on one that fails for long."""
        if _joins(container):
            return [self._known[urn] for urn in container.dependencies if urn in self._known]
        instance = _instance(container)
        processes = [other for other in self._containers if _joins(other) and _instance(other) == instance]
        found = [other for process in processes for other in self._earlier(process)]
        return [other for other in found if _instance(other) != instance]

    def _file_volumes(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for container in self._containers:
            if container.inputs.get("uploads"):
                labels = translated(container)["labels"]
                for name in volumes_of(self._short(container), container).values():
                    yield name, {"name": f"{self._name}-{name}", "driver": "local", "labels": labels}

    def _short(self, resource: Resource) -> str:
        return self._strip(resource.inputs["name"])

    def _strip(self, name: str) -> str:
        return name.removeprefix(f"{self._name}-")


def _joins(container: Resource) -> bool:
    """Whether it is in the network of another."""
    return str(container.inputs.get("networkMode")).startswith(_OF_ANOTHER)


def _instance(container: Resource) -> str:
    return next(str(label["value"]) for label in container.inputs["labels"] if label["label"] == _INSTANCE)


def _condition(container: Resource) -> str:
    if container.inputs.get("uploads"):
        return "service_completed_successfully"
    return "service_healthy" if container.inputs.get("wait") else "service_started"


def _uninterpolated(value: Any) -> Any:
    """The same with every `$` doubled, which Compose takes for one."""
    if isinstance(value, Mapping):
        return {key: _uninterpolated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_uninterpolated(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value
