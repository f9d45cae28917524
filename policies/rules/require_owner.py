"""require-owner: everything has an owner, a purpose and a data class, and its objects say the same as the service.

Claims of a StatefulSet are left out: their labels can't change later, an owner can.
"""

import re

from policies.kit.content import labels_of, service_label
from policies.kit.node import Node
from policies.kit.resource import DOCKER
from policies.kit.rule import STRINGS, TEXT, Check, Rule
from policies.kit.secrets import shown

DOMAIN = "groundwork.dev"


def _check(check: Check) -> None:
    resource = check.resource
    if resource.is_service:
        _check_facts(check)
    elif resource.group and not resource.is_a(DOCKER, "RemoteImage"):
        # An image belongs to the machine: environments share it, and it bears labels of its maker only.
        for labels in labels_of(resource, check.root):
            _check_labels(check, labels)


def _check_facts(check: Check) -> None:
    _check_owner(check, check.root.at("owner"))
    _check_class(check, check.root.at("data_class"))
    for name in ("purpose", "lifecycle"):
        if check.root.at(name).missing:
            check.fail(name, "is not given", "a text", f"give the service a {name}")
    environment = check.root.at("environment")
    if environment.differs(check.resource.stack):
        check.fail(
            "environment", f"is {shown(environment.value)}", check.resource.stack, f"set it to {check.resource.stack}"
        )


def _check_labels(check: Check, labels: Node) -> None:
    if not labels.known:
        return
    _check_owner(check, labels.at(f"{DOMAIN}/owner"))
    _check_class(check, labels.at(f"{DOMAIN}/data-class"))
    if check.resource.group == DOCKER:
        _check_listed(check, labels)
    else:
        part = labels.at("app.kubernetes.io/part-of")
        if part.differs("groundwork"):
            check.fail(part.path, f"is {shown(part.value)}", "groundwork", "label it as part of groundwork")
    environment = labels.at(f"{DOMAIN}/environment")
    if environment.differs(check.resource.stack):
        what = f"is {shown(environment.value)}"
        check.fail(environment.path, what, check.resource.stack, f"set it to {check.resource.stack}")
    _check_agreement(check, labels)


def _check_listed(check: Check, labels: Node) -> None:
    """On an engine labels are a list, and everything belongs to one service."""
    service, entries = labels.at(service_label(check.resource)), check.root.at("labels").items
    if service.missing:
        check.fail(service.path, "is not given", "the name of a component", "label it with its service")
    for index, entry in enumerate(entries):
        if any(entry.at("label").value == before.at("label").value for before in entries[:index]):
            name = shown(entry.at("label").value)
            check.fail(entry.path, f"gives {name} a second time", "each label once", "remove one of them")


def _check_agreement(check: Check, labels: Node) -> None:
    """Labels say the same as the service's facts, as far as those are right."""
    instance, component = labels.at(service_label(check.resource)), check.component
    if component is None:
        if not instance.missing and instance.known:
            what = f"is {shown(instance.value)}, which is no service of this environment"
            check.fail(instance.path, what, "the name of a component", "correct the label")
        return
    facts = {
        "owner": _is_owner(check, component.at("owner")),
        "data-class": _is_class(check, component.at("data_class")),
    }
    for label, valid in facts.items():
        given, expected = labels.at(f"{DOMAIN}/{label}"), component.at(label.replace("-", "_"))
        if valid and given.value and given.differs(expected.value):
            what = f"is {shown(given.value)}, but the service declares {shown(expected.value)}"
            check.fail(given.path, what, str(expected.value), "give both the same value")


def _is_owner(check: Check, owner: Node) -> bool:
    return bool(re.fullmatch(check.params["owner_pattern"], owner.text))


def _is_class(check: Check, data_class: Node) -> bool:
    return data_class.text in check.params["data_classes"]


def _check_owner(check: Check, owner: Node) -> None:
    allowed, fix = check.params["owner_form"], "name the team or person who answers for it"
    if owner.missing:
        check.fail(owner.path, "is not given", allowed, fix)
    elif owner.known and not _is_owner(check, owner):
        check.fail(owner.path, f"is {shown(owner.value)}", allowed, fix)


def _check_class(check: Check, data_class: Node) -> None:
    classes: list[str] = check.params["data_classes"]
    if data_class.missing:
        check.fail(data_class.path, "is not given", ", ".join(classes), "classify the data it keeps or handles")
    elif data_class.known and not _is_class(check, data_class):
        check.fail(data_class.path, f"is {shown(data_class.value)}", ", ".join(classes), "use one of the four classes")


RULE = Rule(
    name="require-owner",
    description="Everything has an owner and a data class, and its objects say the same as its service.",
    severity="high",
    references=("CIS 5.7.1", "NSA Audit logging and threat detection"),
    fix="Set owner and data_class on the service.",
    check=_check,
    parameters={"owner_pattern": TEXT, "owner_form": TEXT, "data_classes": STRINGS},
)
