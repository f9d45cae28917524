"""supported-versions: what runs is of a version that is supported, that still gets fixes, and that goes with the rest.

Judges the tags of images that are deployed, whoever starts them, by the matrix beside the pack. Where a tag tells no
version, that counts which the service declares. A version whose end of life nobody knows is not taken to have come to
it, and a tag without a version is left to pinned-images. Of the cluster and its operators no resource tells; the
program asks them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from policies.kit.engine import image_of, is_container
from policies.kit.node import Node
from policies.kit.resource import DOCKER, Resource
from policies.kit.rule import Check, Rule, StackCheck
from policies.kit.secrets import shown
from policies.readers.images import images_of
from policies.readers.matrix import is_after, is_before, is_within, load_matrix, shown_span, system_of, version_of


@dataclass(frozen=True)
class _Part:
    """A system in a version, and where in which resource it stands."""

    system: str
    version: str
    node: Node
    resource: Resource


def _check(check: Check) -> None:
    for image in images_of(check.resource, check.root):
        if system := system_of(image.text):
            row = load_matrix()["systems"][system]
            version = version_of(image.text) or _declared(check, system)
            if version:
                _check_bounds(check, image, row, version)
                _check_end(check, image, row, version)
            elif "@" in image.text:
                what = f"{shown(image.value)} does not tell which version of {row['title']} it is"
                check.fail(image.path, what, "a tag that begins with it", "write the tag before the digest")


def _declared(check: Check, system: str) -> str:
    """The version that the service itself declares, if it is a service of this system."""
    facts = check.component
    return version_of(f"{system}:{facts.at('version').text}") if facts and facts.at("kind").text == system else ""


def _check_bounds(check: Check, image: Node, row: Mapping[str, Any], version: str) -> None:
    least, most, title = row["minimum"], row["maximum"], row["title"]
    allowed, fix = shown_span({"since": least or "", "to": most or ""}), f"take {title} {row['recommended']}"
    if least and is_before(version, least):
        what = f"{shown(image.value)} is {title} {version}, and before {least} it is not supported"
        check.fail(image.path, what, allowed, fix)
    elif most and is_after(version, most):
        what = f"{shown(image.value)} is {title} {version}, and after {most} it is not supported"
        check.fail(image.path, what, allowed, fix)


def _check_end(check: Check, image: Node, row: Mapping[str, Any], version: str) -> None:
    ends = (end for series, end in row["end_of_life"].items() if f"{version}.".startswith(f"{series}."))
    end = next(ends, None)
    if end and date.fromisoformat(end) < check.today:
        known = load_matrix()["snapshot"]
        what = f"{shown(image.value)} has had no fixes since {end}, as known on {known}"
        check.fail(image.path, what, "a version that gets fixes", f"take {row['title']} {row['recommended']}")


def _check_stack(check: StackCheck) -> None:
    parts = list(_parts(check))
    for rule in load_matrix()["rules"]:
        for part in parts:
            if part.system == rule["system"] and not is_within(part.version, rule["needs"]):
                for other in islice(_met(part, rule, parts, check), 1):
                    what = f"is of version {part.version}: {rule['why']}"
                    fix = f"take one of these, or remove {other}{' from its uses' if 'uses' in rule else ''}"
                    check.on(part.resource).fail(part.node.path, what, shown_span(rule["needs"]), fix)


def _met(part: _Part, rule: Mapping[str, Any], parts: Sequence[_Part], check: StackCheck) -> Iterator[str]:
    """Services of the other system that a part uses or stands beside."""
    others = [one for one in parts if is_within(one.version, rule.get("of", {}))]
    used = _used_by(part.resource.service, check)
    yield from (one.resource.service for one in others if one.system == rule.get("beside"))
    named = (one.resource.service for one in others if one.system == rule.get("uses"))
    yield from (service for service in named if service in used)


def _parts(check: StackCheck) -> Iterator[_Part]:
    """Every system that is deployed. What is not known yet was reported where it stands."""
    for resource in check.resources:
        quiet = Node(resource.props, "", lambda _: None)
        images = [(node, node.text) for node in images_of(resource, quiet) if not resource.is_a(DOCKER, "RemoteImage")]
        if is_container(resource) and not images:
            images = [(quiet.at("image"), image_of(resource, check.resources))]
        for node, image in images:
            if system := system_of(image):
                yield _Part(system, version_of(image), node, resource)


def _used_by(service: str, check: StackCheck) -> list[str]:
    facts = next((one.props for one in check.resources if one.is_service and one.name == service), {})
    used = facts.get("uses")
    return used if isinstance(used, list) else []


RULE = Rule(
    name="supported-versions",
    description="Every server is of a version that is supported, gets fixes, and goes with those it meets.",
    severity="high",
    references=("NSA Upgrading and application security practices",),
    fix="Take a version that the compatibility matrix names.",
    check=_check,
    check_stack=_check_stack,
)
