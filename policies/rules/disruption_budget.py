"""disruption-budget: a replicated workload survives a node drain, and a node drain survives the workload.

CloudNativePG makes the budgets of its clusters itself; its poolers need one of ours.
"""

from policies.kit.node import TRUE, Node
from policies.kit.resource import CNPG, Resource, pod_labels
from policies.kit.rule import NUMBER, Check, Rule, StackCheck
from policies.kit.secrets import shown
from policies.kit.selectors import matches


def _check(check: Check) -> None:
    if check.resource.is_a("policy", "PodDisruptionBudget"):
        _check_budget(check)
    elif check.resource.is_a(CNPG, "Cluster"):
        own = check.root.at("spec", "enablePDB")
        if own.differs(None, TRUE) and (check.root.at("spec", "instances").number or 0) > 1:
            check.fail(own.path, "turns the operator's budget off", "true", "remove it")


def _check_budget(check: Check) -> None:
    spec = check.root.at("spec")
    least, most = spec.at("minAvailable"), spec.at("maxUnavailable")
    if least.missing == most.missing and least.known and most.known:
        check.fail("spec", "sets not exactly one bound", "minAvailable or maxUnavailable", "set maxUnavailable to 1")
    if most.known and most.value in (0, "0", "0%"):
        check.fail(
            most.path, f"is {shown(most.value)}, so no node can be drained", "1 or more", f"set {most.path} to 1"
        )
    if least.known and least.value == "100%":
        check.fail(least.path, "is 100%, so no node can be drained", "less than all", "set maxUnavailable to 1 instead")
    selector = spec.at("selector")
    if selector.missing or (selector.known and not any(not node.missing for node in selector.fields.values())):
        check.fail(
            selector.path, "selects every pod of the namespace", "the pods of one workload", "select one workload"
        )


def _check_stack(check: StackCheck) -> None:
    budgets = [one for one in check.resources if one.is_a("policy", "PodDisruptionBudget")]
    used: set[str] = set()
    for workload in check.resources:
        if not (workload.is_a("apps", "Deployment", "StatefulSet") or workload.is_a(CNPG, "Pooler")):
            continue
        near = [one for one in budgets if one.namespace == workload.namespace and _selects(one, workload)]
        used |= {one.urn for one in near}
        single = check.on(workload)
        replicas = _replicas(check, single, workload)
        if replicas is not None and replicas >= int(check.params["from_replicas"]):
            _check_workload(single, replicas, [check.on(one) for one in near])
    for budget in budgets:
        if budget.urn not in used:
            fix = "correct its selector or delete it"
            check.on(budget).fail("spec.selector", "selects no workload of this stack", "the pods of one workload", fix)


def _check_workload(check: Check, replicas: int, budgets: list[Check]) -> None:
    if len(budgets) != 1:
        what = f"has {replicas} replicas and {len(budgets)} disruption budgets"
        check.fail("", what, "exactly one", "give it one PodDisruptionBudget with maxUnavailable 1")
    for budget in budgets:
        spec = budget.root.at("spec")
        least, most = _count(spec.at("minAvailable"), replicas), _count(spec.at("maxUnavailable"), replicas)
        evictable = most if most is not None else replicas - least if least is not None else None
        if evictable is not None and not 0 < evictable < replicas:
            what = f"lets {max(evictable, 0)} of {replicas} replicas be evicted at once"
            budget.fail("spec", what, f"1 to {replicas - 1}", "set maxUnavailable to 1")


def _replicas(check: StackCheck, single: Check, workload: Resource) -> int | None:
    """Replicas a workload has at least; those of its autoscaler where it has one."""
    for scaler in check.resources:
        if scaler.is_a("autoscaling", "HorizontalPodAutoscaler") and scaler.namespace == workload.namespace:
            target = check.on(scaler).root.at("spec", "scaleTargetRef")
            if target.at("name").text == workload.object_name and target.at("kind").text == workload.kind:
                return check.on(scaler).root.at("spec", "minReplicas").number
    node = single.root.at("spec", "instances" if workload.group == CNPG else "replicas")
    return 1 if node.missing else node.number


def _count(node: Node, replicas: int) -> int | None:
    """A bound as a number of pods; percentages are rounded up, as the API server does."""
    if node.text.endswith("%") and node.text[:-1].isdigit():
        return -(-replicas * int(node.text[:-1]) // 100)
    return node.number


def _selects(budget: Resource, workload: Resource) -> bool:
    spec = budget.props.get("spec")
    return isinstance(spec, dict) and matches(spec.get("selector"), pod_labels(workload))


RULE = Rule(
    name="disruption-budget",
    description="Replicated workloads keep running while nodes are drained, and nodes can be drained.",
    severity="medium",
    references=("NSA Upgrading and application security practices",),
    fix="Give the workload one PodDisruptionBudget with maxUnavailable 1.",
    check=_check,
    check_stack=_check_stack,
    parameters={"from_replicas": NUMBER},
)
