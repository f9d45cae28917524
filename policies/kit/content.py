"""What an object holds, whatever it is an object of: its files, its processes and its labels.

Rules read these and so judge a ConfigMap and the files of a container, a pod and a container by the same words.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from posixpath import basename

from policies.kit.node import TRUE, UNKNOWN, Node
from policies.kit.resource import CNPG, DOCKER, INSTANCE, SERVICE, Resource, listed_labels, pods_of

_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
_DEFAULT_MODE, _EXECUTABLE_MODE = 0o644, 0o744
"""Modes of an uploaded file that names none (terraform-provider-docker, resource docker_container, `upload`)."""


@dataclass(frozen=True)
class File:
    """A file that a process will see."""

    name: str
    """Its name without folders."""
    content: Node
    """Its text; empty where that is none."""
    secret: bool
    """Whether it is kept from others, so that it may hold a secret."""
    encoded: bool = False
    """Whether the object holds it in another form."""
    mode: Node | None = None
    """Where its permissions are set, for a file that is uploaded."""

    @property
    def awaited(self) -> bool:
        """Whether its content can't be judged yet: that of a secret is not known at preview, and is judged by `up`."""
        return self.secret and self.content.value is UNKNOWN


@dataclass(frozen=True)
class Variable:
    """An environment variable."""

    node: Node
    name: str
    value: Node


@dataclass(frozen=True)
class Process:
    """Something that is run: a container, or a health check in one."""

    node: Node
    words: list[Node]
    """Its command and arguments, in order."""
    variables: list[Variable] = field(default_factory=list)
    image: Node | None = None
    """Its image where that names the program; an engine may be given an image by its id."""

    @property
    def command_line(self) -> str:
        """How messages name its command line."""
        return f"{self.node.path}, command line" if self.node.path else "command line"


def files_of(resource: Resource, root: Node) -> Iterator[File]:
    """Files of a ConfigMap, a Secret or a container."""
    if resource.is_a("core", "ConfigMap"):
        yield from (File(name, node, secret=False) for name, node in root.at("data").fields.items())
        for name, node in root.at("binaryData").fields.items():
            yield File(name, _decoded(node), secret=False, encoded=True)
    elif resource.is_a("core", "Secret"):
        for part, encoded in ((root.at("stringData"), False), (root.at("data"), True)):
            for name in part.value if isinstance(part.value, dict) else ():
                yield File(name, _decoded(part.at(name)) if encoded else part.at(name), secret=True, encoded=encoded)
    elif resource.is_a(DOCKER, "Container"):
        yield from (_upload(upload) for upload in root.at("uploads").items)


def mode_of(upload: Node) -> int:
    """Permissions of an uploaded file; those of the provider where it names none that can be read."""
    mode = upload.at("permissions").text
    if re.fullmatch(r"0?[0-7]{3}", mode):
        return int(mode, 8)
    return _EXECUTABLE_MODE if upload.at("executable").value is TRUE else _DEFAULT_MODE


def _upload(upload: Node) -> File:
    path, secret = upload.at("file").text, mode_of(upload) & 0o007 == 0
    # What is no file name stays whole, so that the guard of messages can tell what it is.
    name = basename(path) if re.fullmatch(r"[\w.+-]+", basename(path)) else path
    encoded = upload.at("contentBase64").value is not None
    content = _decoded(upload.at("contentBase64")) if encoded else upload.at("content")
    return File(name, content, secret, encoded, upload.at("permissions"))


def _decoded(node: Node) -> Node:
    try:
        return node.holding(base64.b64decode("".join(str(node.value).split()), validate=True).decode())
    except (binascii.Error, UnicodeDecodeError):
        return node.holding("")


def processes_of(resource: Resource, root: Node) -> Iterator[Process]:
    """Everything that a workload or a container runs."""
    for pod in pods_of(resource, root):
        for container in pod.all_containers:
            entries = container.at("env").items
            variables = [Variable(entry, entry.at("name").text, entry.at("value")) for entry in entries]
            words = [*container.at("command").items, *container.at("args").items]
            yield Process(container, words, variables, container.at("image"))
    if resource.is_a(DOCKER, "Container"):
        variables = [_assignment(entry) for entry in root.at("envs").items]
        yield Process(root, [*root.at("entrypoints").items, *root.at("command").items], variables)


def probes_of(resource: Resource, root: Node) -> Iterator[Process]:
    """Health checks that are commands."""
    for pod in pods_of(resource, root):
        for probe in (container.at(name, "exec") for container in pod.all_containers for name in _PROBES):
            yield Process(probe, probe.at("command").items)
    if resource.is_a(DOCKER, "Container"):
        yield Process(root.at("healthcheck"), root.at("healthcheck", "tests").items)


def _assignment(entry: Node) -> Variable:
    name, _, value = entry.text.partition("=")
    return Variable(entry, name, entry.holding(value))


def plaintext_probes(resource: Resource, root: Node) -> Iterator[tuple[Node, str]]:
    """Health checks that ask a port without TLS, and the edit that ends it."""
    for pod in pods_of(resource, root):
        for container in pod.all_containers:
            for name in _PROBES:
                probe = container.at(name, "httpGet")
                if not probe.missing and probe.known and probe.at("scheme").differs("HTTPS"):
                    yield probe, f"set {probe.path}.scheme to HTTPS"
    if resource.is_a(DOCKER, "Container"):
        words = root.at("healthcheck", "tests").items
        yield from ((word, "ask by https://") for word in words if re.search(r"\bhttp://", word.text))


def ports_of(resource: Resource, root: Node) -> Iterator[Node]:
    """Numbers of the ports that containers open, or that an engine leads to them."""
    for pod in pods_of(resource, root):
        for container in pod.all_containers:
            yield from (port.at("containerPort") for port in container.at("ports").items)
    if resource.is_a(DOCKER, "Container"):
        yield from (port.at("internal") for port in root.at("ports").items)


def labels_of(resource: Resource, root: Node) -> Iterator[Node]:
    """Every set of labels of an object, those of the pods it makes included."""
    if resource.group == DOCKER:
        labels = root.at("labels")
        yield labels.holding(listed_labels(labels.value))
        return
    yield root.at("metadata", "labels")
    yield from (pod.metadata.at("labels") for pod in pods_of(resource, root))
    if resource.is_a(CNPG, "Cluster"):
        yield root.at("spec", "inheritedMetadata", "labels")
    elif resource.is_a(CNPG, "Pooler"):
        yield root.at("spec", "template", "metadata", "labels")


def service_label(resource: Resource) -> str:
    """The label that names an object's service."""
    return SERVICE if resource.group == DOCKER else INSTANCE
