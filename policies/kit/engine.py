"""What stands on a Docker engine as rules see it: how containers share networks, volumes and files.

Properties are those of the provider (terraform-provider-docker, resources docker_container, docker_network and
docker_volume). A container that shares the network of another one joins it; that one is its sandbox.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from policies.kit.node import FALSE, UNKNOWN, Node, all_known
from policies.kit.resource import DOCKER, Resource

JOINS = "container:"
READ_ONLY = ":ro"
"""After the container whose volumes another one has. The provider passes `readOnly` on for no such volume."""
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_ID = re.compile(r"[0-9a-f]{64}")
_IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
_MEMORY = "tmpfs"


@dataclass(frozen=True)
class Mount:
    """A directory of a container that is not its own."""

    node: Node
    kind: str
    """machine, driver, container, volume, anonymous or memory."""
    source: Node
    """Path of the machine, or name of the volume or container; a container also by its id, and then `:ro`."""


def is_container(resource: Resource) -> bool:
    """Whether it is a container of an engine."""
    return resource.is_a(DOCKER, "Container")


def never_runs(root: Node) -> bool:
    """Whether a container only holds files: nobody starts it, the engine neither when it starts itself."""
    settings = [root.at("start"), root.at("mustRun"), root.at("restart")]
    allowed = ((FALSE,), (FALSE,), (None, "", "no"))
    known = all_known(*settings)
    return known and not any(node.differs(*values) for node, values in zip(settings, allowed, strict=True))


def joins(root: Node) -> bool:
    """Whether a container shares another one's network. One whose mode is not known yet is taken to."""
    mode = root.at("networkMode").value
    return mode is UNKNOWN or (isinstance(mode, str) and mode.startswith(JOINS))


def mounts_of(root: Node) -> Iterator[Mount]:
    """Everything mounted into a container, in whichever of the two ways."""
    for node in root.at("volumes").items:
        host, other, volume = node.at("hostPath"), node.at("fromContainer"), node.at("volumeName")
        if other.value not in (None, ""):
            yield Mount(node, "container", other)
        elif not host.missing:
            yield Mount(node, "machine", host)
        elif volume.text and not _NAME.fullmatch(volume.text):
            # A path in place of a volume's name is one of the machine.
            yield Mount(node, "machine", volume)
        else:
            yield Mount(node, "anonymous" if volume.missing else "volume", volume)
    for node in root.at("mounts").items:
        yield Mount(node, _kind(node), node.at("source"))


def _kind(mount: Node) -> str:
    kind, options = mount.at("type"), mount.at("volumeOptions")
    if kind.text == _MEMORY:
        return "memory"
    if kind.differs("volume"):
        return "machine"
    if not options.at("driverName").missing or not options.at("driverOptions").missing:
        return "driver"
    return "anonymous" if mount.at("source").missing else "volume"


def in_memory(volume: Resource) -> bool:
    """Whether something is a volume in the machine's memory, which keeps nothing."""
    options = volume.props.get("driverOpts") if volume.is_a(DOCKER, "Volume") else None
    return isinstance(options, dict) and options.get("type") == _MEMORY


def by_name(resources: Iterable[Resource], kind: str) -> dict[str, Resource]:
    """Objects of one kind by the name they have on the engine."""
    return {one.object_name: one for one in resources if one.is_a(DOCKER, kind)}


def image_of(container: Resource, resources: Iterable[Resource]) -> str:
    """Name of a container's image: as given, or that of the RemoteImage its id comes from. Else empty."""
    image = container.props.get("image")
    if isinstance(image, str) and not _IMAGE_ID.fullmatch(image):
        return image
    sources = container.sources.get("image", ())
    found = [one for one in resources if one.is_a(DOCKER, "RemoteImage") and sources == (one.urn,)]
    return str(found[0].props.get("name")) if found else ""


def has_image_id(root: Node) -> bool:
    """Whether a container names its image by an id, or by something that is not known yet."""
    image = root.at("image").value
    return image is UNKNOWN or bool(_IMAGE_ID.fullmatch(str(image)))


def sandbox_of(container: Resource, resources: Iterable[Resource]) -> Resource | None:
    """The container of the same stack whose network one joins."""
    mode = container.props.get("networkMode")
    found = containers_of(
        container, "networkMode", mode.removeprefix(JOINS) if isinstance(mode, str) else mode, resources
    )
    return found[0] if len(found) == 1 else None


def containers_of(user: Resource, field: str, named: Any, resources: Iterable[Resource]) -> list[Resource]:
    """The containers that a field of another one may mean, by name or id.

    An id, known or not, says nothing of whose it is. What counts then is where the field comes from."""
    others = [one for one in resources if is_container(one) and one.urn != user.urn]
    if named is UNKNOWN or _ID.fullmatch(str(named).removesuffix(READ_ONLY)):
        return [one for one in others if one.urn in user.sources.get(field, ())]
    return [one for one in others if one.object_name == str(named).removesuffix(READ_ONLY)]
