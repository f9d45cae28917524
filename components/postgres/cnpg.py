"""A replicated PostgreSQL as the objects that CloudNativePG 1.30 turns into instances and poolers. Pure.

Declares nothing that the operator makes by itself: its services, disruption budget of the instances, accounts, claims.
CloudNativePG documentation: "Certificates", "Replication", "Failover", "Connection pooling", "Backup".
"""

from dataclasses import dataclass

from components.core.site import Placement
from components.postgres.backup import backup_manifests, cluster_backup
from components.postgres.network import instances_policy, pooler_policy
from components.postgres.plan import PostgresPlan
from components.postgres.pods import inherited_labels, instances_selector, pooler_selector, resources, spread
from components.postgres.pooler import render_pooler
from components.postgres.render import pooled_hba
from components.targets.kubernetes.labels import Manifest, metadata, service_labels
from components.targets.kubernetes.placement import HOST, ZONE, region_affinity

API = "postgresql.cnpg.io/v1"
_LEASE = {"leaseDurationSeconds": 3, "renewDeadlineSeconds": 2, "retryPeriodSeconds": 1}
"""How long the successor of a lost primary waits before it takes over. CloudNativePG documentation, "Automated
failover", "Tuning the primary lease". A primary that can't renew it goes on while nobody else holds it, so a pause of
the API server costs nothing; and only an instance that the operator has chosen may take it."""
_UNUSED = "groundwork_unused"
"""The operator insists on one database of its own; nobody may connect to it. Not a possible consumer's name."""
_LOOKUP = (
    "CREATE FUNCTION public.user_search(uname text) RETURNS TABLE (usename name, passwd text) LANGUAGE sql "
    "SECURITY DEFINER SET search_path = pg_catalog, pg_temp "
    "AS 'SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1 AND NOT usesuper'"
)


@dataclass(frozen=True)
class Ground:
    """What the Kubernetes target knows and a plan does not."""

    environment: str
    namespace: str
    placement: Placement
    storage_class: str
    wait: bool
    """Whether an operator acts on the objects, so that readiness can be waited for."""
    single_node: bool = False
    """Whether there is one node, which the instances have to share."""


def render_cluster(plan: PostgresPlan, ground: Ground) -> dict[str, Manifest]:
    """Every object by its role. Secrets have the right keys and no content."""
    labels = _labels(plan, ground)
    pooler_meta = metadata(plan.pooler_name, ground.namespace, labels)
    ready = _waiting("condition=Ready") if ground.wait else {}
    manifests: dict[str, Manifest] = {
        "tls": _tls_secret(f"{plan.name}-tls", plan, ground),
        "pooler-tls": _tls_secret(f"{plan.pooler_name}-tls", plan, ground),
        "cluster": {
            "apiVersion": API,
            "kind": "Cluster",
            "metadata": metadata(plan.name, ground.namespace, labels, **ready),
            "spec": _cluster(plan, ground, labels),
        },
        "pooler": {
            "apiVersion": API,
            "kind": "Pooler",
            "metadata": pooler_meta,
            "spec": render_pooler(plan, ground.placement, labels),
        },
        "pooler-disruption": {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": pooler_meta,
            "spec": {"maxUnavailable": 1, "selector": pooler_selector(plan)},
        },
    }
    policies = {
        "network": (plan.name, instances_policy(plan)),
        "pooler-network": (plan.pooler_name, pooler_policy(plan)),
    }
    for role, (name, spec) in policies.items():
        head = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        manifests[role] = {**head, "metadata": metadata(name, ground.namespace, labels), "spec": spec}
    for role in plan.roles:
        manifests[f"role-{role}"] = _role_secret(role, plan, ground)
        manifests[f"database-{role}"] = _database(role, plan, ground)
    return manifests | backup_manifests(plan, ground.namespace, labels)


def _labels(plan: PostgresPlan, ground: Ground) -> dict[str, str]:
    spec = plan.spec
    return service_labels(ground.environment, plan.name, spec.kind, spec.owner, spec.data_class.value)


def _waiting(condition: str) -> dict[str, object]:
    """Makes an `up` wait for the operator, longer than the ten minutes that it waits unasked."""
    return {"annotations": {"pulumi.com/waitFor": condition, "pulumi.com/timeoutSeconds": "1800"}}


def _secret(name: str, plan: PostgresPlan, ground: Ground, kind: str, keys: tuple[str, ...]) -> Manifest:
    """With the operator's label a changed Secret is taken up by running servers within seconds, without a restart."""
    labels = {**_labels(plan, ground), "cnpg.io/reload": ""}
    head = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata(name, ground.namespace, labels)}
    return {**head, "type": kind, "data": dict.fromkeys(keys, "")}


def _tls_secret(name: str, plan: PostgresPlan, ground: Ground) -> Manifest:
    return _secret(name, plan, ground, "kubernetes.io/tls", ("ca.crt", "tls.crt", "tls.key"))


def _role_secret(role: str, plan: PostgresPlan, ground: Ground) -> Manifest:
    return _secret(f"{plan.name}-role-{role}", plan, ground, "kubernetes.io/basic-auth", ("username", "password"))


def _database(role: str, plan: PostgresPlan, ground: Ground) -> Manifest:
    """The consumer's database. Removing the consumer leaves its data."""
    applied = _waiting("jsonpath={.status.applied}=true") if ground.wait else {}
    return {
        "apiVersion": API,
        "kind": "Database",
        "metadata": metadata(f"{plan.name}-{role}", ground.namespace, _labels(plan, ground), **applied),
        "spec": {"cluster": {"name": plan.name}, "name": role, "owner": role, "databaseReclaimPolicy": "retain"},
    }


def _cluster(plan: PostgresPlan, ground: Ground, labels: dict[str, str]) -> Manifest:
    spec = plan.spec
    tls = f"{plan.name}-tls"
    return {
        "instances": spec.replicas,
        "imageName": plan.image,
        "enableSuperuserAccess": False,
        "enablePDB": True,
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover",
        "primaryLease": _LEASE,
        # CloudNativePG documentation, "Instance manager": a server that is up again serves once this is noticed, and
        # the default looks every 10 s. How often it may fail follows from `startDelay`.
        "probes": {"startup": {"periodSeconds": 1}},
        # The instances' own certificate also proves them to one another: its name is mapped to the replication role.
        "certificates": dict.fromkeys(
            ("serverCASecret", "serverTLSSecret", "clientCASecret", "replicationTLSSecret"), tls
        ),
        "bootstrap": {"initdb": _initdb(plan)},
        "postgresql": _postgresql(plan),
        "managed": {"roles": [_managed_role(role, plan) for role in plan.roles]},
        "storage": {"size": spec.storage, "storageClass": ground.storage_class},
        "walStorage": {"size": plan.wal_storage, "storageClass": ground.storage_class},
        "resources": resources(spec.resources.cpu, spec.resources.memory),
        "monitoring": {"tls": {"enabled": True}},
        "affinity": _affinity(plan, ground),
        "topologySpreadConstraints": spread(plan.name, ground.placement, spec.replicas, instances_selector(plan)),
        "inheritedMetadata": {"labels": inherited_labels(labels)},
        **cluster_backup(plan),
    }


def _postgresql(plan: PostgresPlan) -> Manifest:
    slot_limit = int(plan.settings["max_wal_size"].removesuffix("MB"))
    return {
        "parameters": {
            **plan.settings,
            # A standby that is gone for long is made anew; without a limit its log would fill the primary's volume.
            "max_slot_wal_keep_size": f"{slot_limit}MB",
            # A new primary acknowledges nothing before a standby follows it.
            "wal_retrieve_retry_interval": "500ms",
        },
        "pg_hba": pooled_hba(plan),
        "pg_ident": [f"cnpg_streaming_replica {plan.hosts[0]} streaming_replica"],
        "synchronous": {
            "method": "any",
            "number": plan.synchronous,
            "dataDurability": "required",
            "failoverQuorum": True,
        },
    }


def _initdb(plan: PostgresPlan) -> Manifest:
    """The pooler reads a consumer's verifier by a function of its own, since it has its own certificate.

    As the operator would make it, but never for a superuser.
    """
    pooler = f'"{plan.pooler_name}"'
    return {
        "database": _UNUSED,
        "owner": _UNUSED,
        "dataChecksums": True,
        "encoding": "UTF8",
        "localeProvider": "builtin",
        "builtinLocale": "C.UTF-8",
        "locale": "C.UTF-8",
        "postInitSQL": [
            f"CREATE ROLE {pooler} LOGIN",
            _LOOKUP,
            "REVOKE ALL ON FUNCTION public.user_search(text) FROM PUBLIC",
            f"GRANT EXECUTE ON FUNCTION public.user_search(text) TO {pooler}",
        ],
    }


def _managed_role(role: str, plan: PostgresPlan) -> Manifest:
    """Written out in full: row-level security rests on it."""
    refused = dict.fromkeys(("superuser", "createdb", "createrole", "replication", "bypassrls"), False)
    secret = {"name": f"{plan.name}-role-{role}"}
    return {"name": role, "ensure": "present", "login": True, **refused, "passwordSecret": secret}


def _affinity(plan: PostgresPlan, ground: Ground) -> Manifest:
    """One instance per zone where there are zones enough, else one per node, unless there is only one."""
    zonal = ground.placement.zones >= plan.spec.replicas
    return {
        "enablePodAntiAffinity": True,
        "podAntiAffinityType": "preferred" if ground.single_node else "required",
        "topologyKey": ZONE if zonal else HOST,
        "nodeAffinity": region_affinity(ground.placement),
    }
