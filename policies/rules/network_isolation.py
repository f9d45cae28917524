"""network-isolation: a namespace is closed by default and each workload opens its own edges, to named peers only.

Selectors are evaluated as the API server does, so that a policy which selects nobody counts for nothing. On a Docker
engine a network is an edge, and who is on none reaches nobody.
"""

from collections.abc import Iterable

from policies.kit.node import Node
from policies.kit.resource import DOCKER, Resource, makes_pods, pod_labels
from policies.kit.rule import PORTS_BY_SERVICE, STRINGS, Check, Rule, StackCheck
from policies.kit.secrets import shown
from policies.kit.selectors import matches
from policies.readers import docker_networks

ENFORCE = "pod-security.kubernetes.io/enforce"


def _check(check: Check) -> None:
    resource = check.resource
    public = resource.service in check.params["public_services"]
    if resource.is_a("core", "Service"):
        _check_service(check, public)
    elif resource.is_a("networking.k8s.io", "NetworkPolicy"):
        _check_policy(check, public)
    elif resource.is_a("core", "Namespace"):
        level = check.root.at("metadata", "labels", ENFORCE)
        if level.differs("restricted"):
            check.fail(
                level.path, f"is {shown(level.value)}", "restricted", f"label the namespace {ENFORCE}=restricted"
            )
    elif resource.is_a(DOCKER, "Container"):
        docker_networks.check_container(check, public)
    elif resource.is_a(DOCKER, "Network"):
        docker_networks.check_network(check, public)
    elif makes_pods(resource) and check.root.at("metadata", "namespace").missing:
        check.fail("metadata.namespace", "is not given", "the environment's namespace", "name the namespace")


def _check_service(check: Check, public: bool) -> None:
    kind, outside = check.root.at("spec", "type"), check.root.at("spec", "externalIPs")
    allowed = ("ClusterIP", "LoadBalancer") if public else ("ClusterIP",)
    if kind.differs(None, *allowed):
        fix = "use ClusterIP; clients from outside come through the gateway"
        check.fail(kind.path, f"is {shown(kind.value)}, so it is reachable from outside", " or ".join(allowed), fix)
    if outside.known and outside.items:
        check.fail(outside.path, "makes it reachable from outside", "no external address", "remove it")


def _check_policy(check: Check, public: bool) -> None:
    spec = check.root.at("spec")
    kinds = [one.text for one in spec.at("policyTypes").items]
    if spec.known and spec.at("policyTypes").known and sorted(kinds) != ["Egress", "Ingress"]:
        what = f"is {shown(', '.join(kinds))}, which leaves a direction open"
        check.fail("spec.policyTypes", what, "Ingress and Egress", "name both")
    for rule in spec.at("ingress").items:
        ports = [port for port in rule.at("ports").items if not port.at("port").missing]
        if not (public and ports):
            _check_peers(check, rule, "from")
    for rule in spec.at("egress").items:
        if not _goes_outside(check, rule):
            _check_peers(check, rule, "to")


def _goes_outside(check: Check, rule: Node) -> bool:
    """Whether a rule opens only the ports on which the pack lets this service reach any address."""
    allowed: list[int] = check.params["outside_ports"].get(check.resource.service, [])
    ports = [port.at("port") for port in rule.at("ports").items]
    return bool(allowed) and bool(ports) and all(not port.differs(*allowed) for port in ports)


def _check_peers(check: Check, rule: Node, side: str) -> None:
    peers = rule.at(side)
    fix = "name the pods of the edge"
    if peers.missing:
        check.fail(rule.path, f"has no `{side}`, so it is open to all", "named peers", fix)
    for peer in peers.items:
        block = peer.at("ipBlock", "cidr")
        if block.known and block.text.endswith("/0"):
            check.fail(peer.path, f"({shown(block.value)}) is everybody", "named peers", fix)
        elif peer.known and block.missing and not _narrow(peer):
            check.fail(peer.path, "selects every pod", "selectors that name something", fix)


def _narrow(peer: Node) -> bool:
    """Whether a peer names something: pods of this namespace, or pods of a named namespace."""
    names = [peer.at("podSelector"), peer.at("namespaceSelector")]
    return any(not one.at("matchLabels").missing or not one.at("matchExpressions").missing for one in names)


def _check_stack(check: StackCheck) -> None:
    docker_networks.check_together(check)
    namespaces = {one.object_name for one in check.resources if one.is_a("core", "Namespace")}
    policies = [one for one in check.resources if one.is_a("networking.k8s.io", "NetworkPolicy")]
    reported: set[str] = set()
    for workload in filter(makes_pods, check.resources):
        single, space = check.on(workload), workload.namespace
        if not space:  # found on the workload alone
            continue
        if space not in namespaces:
            what = f"namespace {shown(space)} is not made by this stack, so it may not enforce pod security"
            allowed = ", ".join(sorted(namespaces)) or "a namespace of this stack"
            single.fail("", what, allowed, "use the environment's namespace")
        near = [one for one in policies if one.namespace == space]
        if space not in reported and not any(_denies_all(one) for one in near):
            reported.add(space)
            what = f"namespace {shown(space)} has no policy that denies everything by default"
            single.fail(
                "", what, "podSelector {} with Ingress and Egress and no rules", "add a default-deny NetworkPolicy"
            )
        if not any(_selects(one, workload) for one in near if not _denies_all(one)):
            what = "has pods that no NetworkPolicy of their own selects"
            fix = "add a NetworkPolicy with the edges of the service"
            single.fail("", what, "a NetworkPolicy that selects its pods", fix)


def _selects(policy: Resource, workload: Resource) -> bool:
    spec = policy.props.get("spec")
    return isinstance(spec, dict) and matches(spec.get("podSelector"), pod_labels(workload))


def _denies_all(policy: Resource) -> bool:
    spec = policy.props.get("spec")
    if not isinstance(spec, dict) or spec.get("podSelector") != {}:
        return False
    kinds: Iterable[object] = spec.get("policyTypes") or ()
    return {"Ingress", "Egress"} <= set(kinds) and not spec.get("ingress") and not spec.get("egress")


RULE = Rule(
    name="network-isolation",
    description="Namespaces are closed by default and every workload opens its own edges only.",
    severity="high",
    references=(
        "PSS restricted",
        "NSA Network separation and hardening: Network policies",
        "CIS 5.3.2",
        "CIS 5.2.1",
        "CIS 5.7.4",
    ),
    fix="Close what the message names, or make it an edge of the graph.",
    check=_check,
    check_stack=_check_stack,
    parameters={"public_services": STRINGS, "outside_ports": PORTS_BY_SERVICE},
)
