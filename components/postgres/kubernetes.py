"""The native half: a replicated PostgreSQL on Kubernetes, run by CloudNativePG.

Creates what `cnpg` and `drilling` render and adds nothing but secret content.
"""

from base64 import b64encode
from collections.abc import Mapping

import pulumi

from components.core.bindings import Issuer
from components.core.component import Component
from components.core.target import Target
from components.postgres.cnpg import Ground, render_cluster
from components.postgres.drilling import drill_workload
from components.postgres.plan import PostgresPlan
from components.targets.kubernetes import Kubernetes


def realise_replicated(
    parent: Component,
    plan: PostgresPlan,
    target: Target,
    issuer: Issuer,
    verifiers: Mapping[str, pulumi.Output[str]],
) -> list[pulumi.Resource]:
    """Create every object below `parent`. Raises TypeError on a target that is not Kubernetes."""
    if not isinstance(target, Kubernetes):
        raise TypeError(f"{plan.name}: {target.kind} has no operator for PostgreSQL")
    ground = Ground(
        environment=target.environment,
        namespace=target.namespace,
        placement=target.placement,
        storage_class=target.storage_class,
        wait=not target.cluster.simulated,
        single_node=target.cluster.single_node,
    )
    manifests = render_cluster(plan, ground)
    content: dict[str, Mapping[str, pulumi.Input[str]]] = {
        "tls": issuer.server(plan.name, plan.hosts, parent).files(),
        "pooler-tls": issuer.server(plan.pooler_name, plan.pooler_hosts, parent).files(),
        **{f"role-{role}": {"username": role, "password": verifiers[role]} for role in plan.roles},
    }
    for role, values in content.items():
        manifests[role]["data"] = {key: pulumi.Output.from_input(one).apply(_encoded) for key, one in values.items()}
    databases = {role: manifest for role, manifest in manifests.items() if manifest["kind"] == "Database"}
    made = {
        role: target.create(parent, f"{plan.name}-{role}", manifest)
        for role, manifest in manifests.items()
        if role not in databases
    }
    _realise_drill(parent, plan, target)
    # A standby is copied after a checkpoint that takes its time over what was written: minutes, after a new database.
    after = [made["cluster"]]
    return [
        *made.values(),
        *(target.create(parent, f"{plan.name}-{role}", d, after=after) for role, d in databases.items()),
    ]


def _realise_drill(parent: Component, plan: PostgresPlan, target: Kubernetes) -> None:
    if backup := plan.spec.backup_in_bucket:
        target.realise(parent, drill_workload(plan, backup, parent.context.site, target.namespace), {})


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()
