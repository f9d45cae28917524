"""stateful-protection: data outlives the pods, the sets and the mistakes that may happen to it.

Deletion protection of resources (`protect`) is a parameter and off by default: an environment must be removable in one
command. Claims survive the deletion or replacement of their StatefulSet instead, unless its service says that its data
may be lost, and go with the namespace. On a Docker engine a volume is a resource of its own and survives its
containers; one without a name does not. What a volume can't survive a backup does; the pack says which kinds need one.
"""

import re

from policies.kit.content import files_of
from policies.kit.engine import by_name, in_memory, is_container, mounts_of, never_runs
from policies.kit.node import FALSE
from policies.kit.resource import CNPG, Resource
from policies.kit.rule import STRINGS, SWITCH, Check, Rule, StackCheck
from policies.kit.secrets import shown
from policies.readers.redis import directives

_ENCRYPTED = ("client", "server")
"""Who encrypts a backup: who makes it, or the store that it is told to."""


def _check(check: Check) -> None:
    resource = check.resource
    if resource.is_service:
        _check_backup(check)
    elif resource.is_a("apps", "StatefulSet"):
        _check_set(check)
    elif resource.is_a("apps", "Deployment"):
        if _keeps_data(check):
            what = "keeps data but is a Deployment"
            check.fail("", what, "a StatefulSet with volume claims", "make its workload stateful")
    elif resource.is_a(CNPG, "Cluster"):
        _check_cluster(check)
    elif is_container(resource) and _keeps_data(check) and not never_runs(check.root):
        _check_volumes(check)
    _check_redis(check)
    demanded = f"{resource.group}/{resource.kind}" in check.params["protected_kinds"]
    if demanded and not resource.protect and not in_memory(resource):
        check.fail("option protect", "is not set", "true", "set protect=True on the resource")


def _keeps_data(check: Check) -> bool:
    """Whether the service declares that it keeps data."""
    stateful = check.component.at("stateful") if check.component else None
    return stateful is not None and stateful.known and stateful.value is True


def _is_given_up(check: Check) -> bool:
    """Whether a person has said in the configuration that the service's data may be lost."""
    protection = check.component.at("deletion_protection") if check.component else None
    return protection is not None and protection.known and protection.value is FALSE


def _check_backup(check: Check) -> None:
    """A service whose data somebody wants says where it is kept besides: encrypted, and where it outlives a region."""
    if check.root.at("kind").text not in check.params["backed_up_kinds"]:
        return
    if not _keeps_data(check) or _is_given_up(check):
        return
    backup, own = check.root.at("backup"), check.root.at("region")
    if backup.missing:
        what = "is not declared, so data goes with its volumes"
        check.fail("backup", what, "a backup", "declare backup on the service")
        return
    encryption, region = backup.at("encryption"), backup.at("region")
    if encryption.differs(*_ENCRYPTED):
        what = f"is {shown(encryption.value)}, so whoever has the store has the data"
        check.fail(encryption.path, what, " or ".join(_ENCRYPTED), "use a store that encryption is asked of")
    if check.params["backup_elsewhere"] and region.known and own.known and region.text in ("", own.text):
        what = f"is {shown(region.value)}, so a region that is lost takes its backups along"
        check.fail(region.path, what, f"a region other than {own.text}", "use a store in another allowed region")


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
        when_deleted = [*check.params["when_deleted"], *(["Delete"] if _is_given_up(check) else [])]
        for name, allowed in (("whenScaled", ["Retain"]), ("whenDeleted", when_deleted)):
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
    for file in files_of(check.resource, check.root):
        name = file.name
        if not file.secret and re.match(r"(redis|valkey).*\.conf$", name):
            found = {setting: value for _, setting, value in directives(file.content.text)}
            if found.get("maxmemory-policy", "noeviction") == "noeviction" and found.get("appendonly") != "yes":
                what = "keeps what must not be lost (noeviction) in memory only"
                check.fail(f"{name} appendonly", what, "yes", "set `appendonly yes`, or choose an eviction policy")


def _check_volumes(check: Check) -> None:
    for mount in mounts_of(check.root):
        if mount.kind == "anonymous":
            what = "has no name, so its data goes with the container"
            check.fail(mount.node.path, what, "a named volume, or tmpfs", "declare a volume and name it")


def _check_stack(check: StackCheck) -> None:
    """On an engine every service that keeps data has a volume that outlives its containers."""
    volumes = {name for name, one in by_name(check.resources, "Volume").items() if not in_memory(one)}
    for service in (one for one in check.resources if one.is_service and one.props.get("stateful") is True):
        containers = [one for one in check.resources if is_container(one) and one.service == service.name]
        if containers and not any(_mounts(check, one, volumes) for one in containers):
            fix = "give the service a volume"
            check.on(service).fail("stateful", "is true, but no container has a named volume", "a volume", fix)


def _mounts(check: StackCheck, container: Resource, volumes: set[str]) -> bool:
    return any(mount.kind == "volume" and mount.source.text in volumes for mount in mounts_of(check.on(container).root))


RULE = Rule(
    name="stateful-protection",
    description="Data outlives its pods, its sets and mistakes.",
    severity="high",
    references=("NSA Upgrading and application security practices",),
    fix="Set the field that the message names.",
    check=_check,
    check_stack=_check_stack,
    parameters={
        "when_deleted": STRINGS,
        "backed_up_kinds": STRINGS,
        "backup_elsewhere": SWITCH,
        "wal_volume": SWITCH,
        "protected_kinds": STRINGS,
    },
)
