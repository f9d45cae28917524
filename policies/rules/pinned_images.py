"""pinned-images: every image is a full version or a digest, from a registry that was approved.

A tag is judged by its form; that a tag never moves is only certain with a digest, which a pack can require. On a Docker
engine a container may name its image by an id instead, if that comes from an image of the same stack, which is judged.
"""

import re

from policies.kit.engine import has_image_id, image_of, is_container
from policies.kit.node import FALSE, Node
from policies.kit.resource import DOCKER
from policies.kit.rule import NUMBER, STRINGS, SWITCH, Check, Rule, StackCheck
from policies.kit.secrets import shown
from policies.readers.images import images_of

_IMAGE = re.compile(r"(?P<name>[^\s:@]+(?::\d+/[^\s:@]+)?)(?::(?P<tag>[\w.-]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")


def _check(check: Check) -> None:
    for image in images_of(check.resource, check.root):
        _check_image(check, image)
    if check.resource.is_a(DOCKER, "RemoteImage"):
        _check_origin(check)


def _check_origin(check: Check) -> None:
    """An image is what its name says: not built here, not fetched again under the same name, not taken from others."""
    for name, why in (
        ("build", "makes an image that no registry has"),
        ("pullTriggers", "fetches again what is pinned"),
        ("triggers", "makes again what is pinned"),
    ):
        node = check.root.at(name)
        if not node.missing and node.known:
            check.fail(node.path, why, "none", "remove it, and name an image of a registry by its version")
    forced = check.root.at("forceRemove")
    if forced.differs(None, FALSE):
        check.fail(forced.path, "takes the image from under other containers", "false", "remove it")


def _check_stack(check: StackCheck) -> None:
    for container in filter(is_container, check.resources):
        single = check.on(container)
        if has_image_id(single.root) and not image_of(container, check.resources):
            what = "is an id that comes from no RemoteImage of this stack, so nobody judged it"
            fix = "name the image, or use the imageId of one RemoteImage"
            single.fail("image", what, "an image with its version, or such an id", fix)


def _check_image(check: Check, node: Node) -> None:
    if node.missing:
        check.fail(node.path, "is not given", "an image with its version", "name the image and its version")
    if node.missing or not node.known:
        return
    match = _IMAGE.fullmatch(node.text)
    if not match:
        check.fail(node.path, "is no image reference", "registry/name:version", "correct the reference")
        return
    _check_registry(check, node, match["name"])
    if match["digest"]:
        return
    if check.params["require_digest"]:
        check.fail(node.path, f"{shown(node.value)} has no digest", "name@sha256:...", "add the image's digest")
    parts = int(check.params["version_parts"])
    tag = match["tag"] or ""
    moving = set(tag.split("-")) & set(check.params["moving_tags"])
    if moving or not re.match(rf"v?\d+(\.\d+){{{parts - 1},}}(?![\d.])", tag):
        what = f"{shown(node.value)} has {'the tag ' + tag if tag else 'no tag'}, which does not say one version"
        example = ".".join(["1", "4", "2"][:parts])
        allowed = f"a version of at least {parts} numbers such as {example}, or a digest"
        check.fail(node.path, what, allowed, "pin the version")


def _check_registry(check: Check, node: Node, name: str) -> None:
    hosted = "/" in name and re.search(r"[.:]|^localhost$", name.split("/", 1)[0])
    full = name if hosted else f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"
    allowed: list[str] = check.params["registries"]
    if not any(f"{full}/".startswith(prefix if prefix.endswith("/") else f"{prefix}/") for prefix in allowed):
        fix = "take the image from an approved registry, or approve this one in packs/"
        check.fail(node.path, f"{shown(node.value)} is from a registry that is not approved", ", ".join(allowed), fix)


RULE = Rule(
    name="pinned-images",
    description="Every image is pinned to one version and comes from an approved registry.",
    severity="high",
    references=("CIS 5.5.1", "NSA Kubernetes Pod security: Building secure container images"),
    fix="Pin the image to a full version or a digest from an approved registry.",
    check=_check,
    check_stack=_check_stack,
    parameters={"registries": STRINGS, "moving_tags": STRINGS, "version_parts": NUMBER, "require_digest": SWITCH},
)
