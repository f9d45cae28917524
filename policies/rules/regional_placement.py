"""regional-placement: pods, volumes and data stay in the regions their data class may be in.

The pack says which regions those are; what an environment declares about itself is checked against it, not believed.
"""

import re
from collections.abc import Iterator

from policies.kit.node import Node
from policies.kit.resource import CNPG, pods_of
from policies.kit.rule import REGIONS_BY_CLASS, STRINGS, Check, Rule, StackCheck
from policies.kit.secrets import shown

REGION = "topology.kubernetes.io/region"
CLASS = "groundwork.dev/data-class"
_REGION_NAME = re.compile(r"[a-z]{2,}(-[a-z0-9]{1,12}){1,3}")
_REQUIRED = ("nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")


def _check(check: Check) -> None:
    resource, spec = check.resource, check.root.at("spec")
    if resource.is_service:
        _check_component(check)
    elif resource.is_a(CNPG, "Cluster"):
        _check_affinity(check, spec.at("affinity", *_REQUIRED))
    elif resource.is_a(CNPG, "Pooler"):
        _check_affinity(check, spec.at("template", "spec", "affinity", *_REQUIRED))
    elif resource.is_a("storage.k8s.io", "StorageClass"):
        _check_topology(check)
    elif resource.is_a("core", "PersistentVolume"):
        _check_affinity(check, spec.at("nodeAffinity", "required", "nodeSelectorTerms"))
    elif resource.is_a("barmancloud.cnpg.io", "ObjectStore"):
        _check_bucket(check)
    _check_pods(check)


def _check_pods(check: Check) -> None:
    for pod in pods_of(check.resource, check.root):
        _check_affinity(check, pod.spec.at("affinity", *_REQUIRED))
        node = pod.spec.at("nodeName")
        if node.known and not node.missing:
            check.fail(node.path, "bypasses the scheduler", "no nodeName", "remove it")
    for name in [*_class_names(check), *_ephemeral_class_names(check)]:
        if name.missing:
            fix = f"set {name.path}"
            check.fail(name.path, "is not set, so the volume may be anywhere", "a regional storage class", fix)


def _regions(check: Check, data_class: str) -> list[str]:
    """Regions in which something of a data class may run: the pack's regions that its class allows."""
    wanted: list[str] = check.params["regions"]
    residency: list[str] = check.params["residency"].get(data_class, [])
    return wanted if "*" in residency else [region for region in wanted if region in residency]


def _check_bucket(check: Check) -> None:
    """Backups leave the cluster, so their bucket's region is given and within the residency of the data."""
    data_class = check.resource.labels.get(CLASS, "")
    residency: list[str] = check.params["residency"].get(data_class, [])
    variables = check.root.at("spec", "instanceSidecarConfiguration", "env")
    named = [
        one.at("value") for one in variables.items if not one.at("name").differs("AWS_DEFAULT_REGION", "AWS_REGION")
    ]
    if variables.known and not named:
        fix = "set AWS_DEFAULT_REGION for the backup's sidecar"
        check.fail(variables.path, "does not say in which region the bucket is", _listed(residency), fix)
    for region in named:
        if region.known and "*" not in residency and region.text not in residency:
            place = shown(region.value) if _REGION_NAME.fullmatch(region.text) else "a region of another name"
            what = f"lets backups of {data_class or 'unclassified'} data into {place}"
            check.fail(region.path, what, _listed(residency), "use a bucket in an allowed region")


def _listed(regions: list[str]) -> str:
    return ", ".join(regions) or "no region"


def _class_of(check: Check) -> str:
    return check.root.at("data_class").text or "unclassified"


def _allowed(check: Check) -> list[str]:
    return _regions(check, check.resource.labels.get(CLASS, ""))


def _check_component(check: Check) -> None:
    data_class = check.root.at("data_class")
    residency = check.params["residency"].get(data_class.text, [])
    # What is used outside runs nothing here: its data may be wherever data may be.
    runs = check.root.at("existing").missing
    allowed = _regions(check, data_class.text) if runs else residency
    region = check.root.at("region")
    if region.known and data_class.known and region.text not in allowed and (runs or "*" not in residency):
        what = f"is {shown(region.value)} for {_class_of(check)} data"
        fix = "move the service, or change the data class with its owner"
        check.fail("region", what, _listed(allowed), fix)
    if check.root.at("residency").missing:
        check.fail("residency", "is not declared", _listed(residency), "register the regions its data may be in")
    for node in [*check.root.at("residency").items, *_named_regions(check.root)]:
        if node.known and "*" not in residency and node.text not in residency:
            what = f"lets {_class_of(check)} data into {shown(node.value)}"
            check.fail(node.path, what, _listed(residency), "remove the region from the list")


def _named_regions(node: Node) -> Iterator[Node]:
    """Regions of buckets, backups and replicas: every `region` and `*_region` below the service's own."""
    for name, below in node.fields.items():
        if node.path and (name == "region" or name.endswith("_region")):
            yield below
        else:
            yield from _named_regions(below)
    for entry in node.items:
        yield from _named_regions(entry)


def _check_affinity(check: Check, terms: Node) -> None:
    """Every alternative names the region: the scheduler may pick any one of them."""
    allowed = _allowed(check)
    fix = f"require {REGION} In [{_listed(allowed)}] as node affinity"
    if terms.missing:
        check.fail(terms.path, "is not set, so pods may run in any region", _listed(allowed), fix)
    for term in terms.items:
        expressions = [one for one in term.at("matchExpressions").items if not one.at("key").differs(REGION)]
        if term.known and not any(_keeps(one, allowed) for one in expressions):
            check.fail(term.path, f"does not keep pods in the region{_given(expressions)}", _listed(allowed), fix)


def _keeps(expression: Node, allowed: list[str]) -> bool:
    values = [value.text for value in expression.at("values").items]
    return not expression.at("operator").differs("In") and bool(values) and set(values) <= set(allowed)


def _given(expressions: list[Node]) -> str:
    values = [value.text for one in expressions for value in one.at("values").items]
    return f" (it names {shown(', '.join(values))})" if values else ""


def _check_topology(check: Check) -> None:
    allowed = _allowed(check)
    topologies = check.root.at("allowedTopologies")
    fix = f"allow {REGION} with {_listed(allowed)} only"
    if topologies.missing:
        check.fail("allowedTopologies", "is not set, so volumes may be in any region", _listed(allowed), fix)
    for term in topologies.items:
        expressions = [one for one in term.at("matchLabelExpressions").items if not one.at("key").differs(REGION)]
        values = [value.text for one in expressions for value in one.at("values").items]
        if term.known and (not values or not set(values) <= set(allowed)):
            check.fail(term.path, f"does not keep volumes in the region{_given(expressions)}", _listed(allowed), fix)
    binding = check.root.at("volumeBindingMode")
    if binding.differs("WaitForFirstConsumer"):
        what = f"is {shown(binding.value)}, so a volume may be placed before its pod"
        check.fail(binding.path, what, "WaitForFirstConsumer", "set it to WaitForFirstConsumer")


def _class_names(check: Check) -> list[Node]:
    """Where a resource names the storage class of a volume."""
    resource, spec = check.resource, check.root.at("spec")
    if resource.is_a("core", "PersistentVolumeClaim"):
        return [spec.at("storageClassName")]
    if resource.is_a("apps", "StatefulSet"):
        return [claim.at("spec", "storageClassName") for claim in spec.at("volumeClaimTemplates").items]
    if resource.is_a(CNPG, "Cluster"):
        wal = [] if spec.at("walStorage").missing else [spec.at("walStorage", "storageClass")]
        spaces = [space.at("storage", "storageClass") for space in spec.at("tablespaces").items]
        return [spec.at("storage", "storageClass"), *wal, *spaces]
    return []


def _ephemeral_class_names(check: Check) -> list[Node]:
    """Where pods name the storage class of volumes that live as long as they do."""
    volumes = [volume for pod in pods_of(check.resource, check.root) for volume in pod.spec.at("volumes").items]
    claims = [volume.at("ephemeral", "volumeClaimTemplate") for volume in volumes]
    return [claim.at("spec", "storageClassName") for claim in claims if claim.value is not None]


def _check_stack(check: StackCheck) -> None:
    """Storage classes that are named exist here, where their topology is judged, or were reviewed."""
    own = {one.object_name for one in check.resources if one.is_a("storage.k8s.io", "StorageClass")}
    known = own | set(check.params["storage_classes"])
    for resource in check.resources:
        single = check.on(resource)
        for name in [*_class_names(single), *_ephemeral_class_names(single)]:
            if name.text and name.text not in known:
                what = f"is {shown(name.value)}, whose topology is not known here"
                fix = "use the environment's own storage class, or review it and add it to storage_classes in packs/"
                single.fail(name.path, what, ", ".join(sorted(known)) or "a storage class of this stack", fix)


RULE = Rule(
    name="regional-placement",
    description="Pods, volumes and data stay in the regions that their data class may be in.",
    severity="critical",
    references=("CIS 5.7.1", "NSA Network separation and hardening: Namespaces"),
    fix="Place the service in an allowed region, or change the pack together with the data's owner.",
    check=_check,
    check_stack=_check_stack,
    parameters={"regions": STRINGS, "residency": REGIONS_BY_CLASS, "storage_classes": STRINGS},
)
