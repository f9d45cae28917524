"""stateful-protection: data outlives the pods, the sets and the mistakes that may happen to it.

Deletion protection of resources (`protect`) is a parameter and off by default: an environment must be removable in one
command. Claims survive the deletion or replacement of their StatefulSet instead, and go with the namespace.
"""

import re

from policies.kit.resource import CNPG
from policies.kit.rule import STRINGS, SWITCH, Check, Rule
from policies.kit.secrets import shown
from policies.readers.redis import directives


def _check(check: Check) -> None:
    resource = check.resource
    if resource.is_a("apps", "StatefulSet"):
        _check_set(check)
    elif resource.is_a("apps", "Deployment"):
        if _keeps_data(check):
            what = "keeps data but is a Deployment"
            check.fail("", what, "a StatefulSet with volume claims", "make its workload stateful")
    elif resource.is_a(CNPG, "Cluster"):
        _check_cluster(check)
    elif resource.is_a("core", "ConfigMap"):
        _check_redis(check)
    if f"{resource.group}/{resource.kind}" in check.params["protected_kinds"] and not resource.protect:
        check.fail("option protect", "is not set", "true", "set protect=True on the resource")


def _keeps_data(check: Check) -> bool:
    """Whether the service declares that it keeps data."""
    stateful = check.component.at("stateful") if check.component else None
    return stateful is not None and stateful.known and stateful.value is True


def _check_set(check: Check) -> None:
    spec = check.root.at("spec")
    claims = spec.at("volumeClaimTemplates")
    if _keeps_data(check) and claims.missing:
        check.fail(claims.path, "is empty, so data dies with the pod", "a volume claim", "give the service a volume")
    for claim in claims.items:
        size = claim.at("spec", "resources", "requests", "storage")
        if size.missing:
            check.fail(size.path, "is not set", "a size", f"set {size.path}")
    if not claims.missing:
        retention = spec.at("persistentVolumeClaimRetentionPolicy")
        for name, allowed in (("whenScaled", ["Retain"]), ("whenDeleted", check.params["when_deleted"])):
            node = retention.at(name)
            if node.differs(*allowed):
                what = f"is {shown(node.value)}, so data may be lost"
                check.fail(node.path, what, " or ".join(allowed), f"set {node.path} to {allowed[0]}")
    strategy = spec.at("updateStrategy", "type")
    if strategy.differs(None, "RollingUpdate"):
        check.fail(
            strategy.path, f"is {shown(strategy.value)}", "RollingUpdate", "let instances be replaced one by one"
        )


def _check_cluster(check: Check) -> None:
    spec = check.root.at("spec")
    for part in ("storage", "walStorage") if check.params["wal_volume"] else ("storage",):
        size = spec.at(part, "size")
        if size.missing:
            check.fail(size.path, "is not set", "a size", f"give the cluster {part} with a size")
    instances = spec.at("instances").number or 1
    number = spec.at("postgresql", "synchronous", "number")
    if instances > 1 and number.known and not 0 < (number.number or 0) < instances:
        what = f"is {shown(number.value)} with {instances} instances, so a failover may lose commits"
        check.fail(number.path, what, f"1 to {instances - 1}", f"set {number.path} to 1")
    durability = spec.at("postgresql", "synchronous", "dataDurability")
    if instances > 1 and durability.differs(None, "required"):
        what = f"is {shown(durability.value)}, so commits go on without a replica"
        check.fail(durability.path, what, "required", f"set {durability.path} to required")


def _check_redis(check: Check) -> None:
    """A Redis that must not evict is a store, and a store must survive a restart."""
    for name, node in check.root.at("data").fields.items():
        if re.match(r"(redis|valkey).*\.conf$", name):
            found = {setting: value for _, setting, value in directives(node.text)}
            if found.get("maxmemory-policy", "noeviction") == "noeviction" and found.get("appendonly") != "yes":
                what = "keeps what must not be lost (noeviction) in memory only"
                check.fail(f"{name} appendonly", what, "yes", "set `appendonly yes`, or choose an eviction policy")


RULE = Rule(
    name="stateful-protection",
    description="Data outlives its pods, its sets and mistakes.",
    severity="high",
    references=("NSA Upgrading and application security practices",),
    fix="Set the field that the message names.",
    check=_check,
    parameters={"when_deleted": STRINGS, "wal_volume": SWITCH, "protected_kinds": STRINGS},
)
