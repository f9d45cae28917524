"""A replicated PostgreSQL: the objects that its operator receives, checked against the operator's own definitions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.core.site import Placement
from components.postgres.cnpg import Ground, render_cluster
from tests.support.postgres import PLACEMENT, plan_of
from toolchain import operators
from toolchain.errors import ToolchainError

IDENTITY = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/acme-backups"}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "five": {"replicas": 5, "wal_storage": "20Gi", "pooler": {"instances": 3, "mode": "session"}},
    "bucket": {"backup": {"bucket": "acme-backups", "region": "eu-west-1", "credentials": "backup-keys"}},
    "identity": {"backup": {"bucket": "acme-backups", "region": "eu-west-1", "identity": IDENTITY}},
    "endpoint": {
        "backup": {
            "bucket": "acme",
            "region": "eu-west-1",
            "endpoint": "https://s3.example:9000",
            "credentials": "backup-keys",
        }
    },
    "snapshots": {"backup": {"snapshot_class": "fast", "schedule": "30 */6 * * *"}},
}

PLURALS = ("clusters", "databases", "objectstores", "poolers", "scheduledbackups")


def objects(
    *consumers: str, wait: bool = False, single_node: bool = False, placement: Placement = PLACEMENT, **fields: Any
) -> dict[str, Any]:
    plan = plan_of(*consumers, placement=placement, **{"replicas": 3, "storage": "50Gi", **fields})
    ground = Ground("test", "groundwork-test", placement, "groundwork-test", wait, single_node)
    return dict(render_cluster(plan, ground))


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    """Schema by kind, from the pinned modules of the operators."""
    try:
        folder = operators.fetch(print)
    except ToolchainError as error:
        print(f"the operators' definitions can't be had here: {error}")
        pytest.skip(f"the operators' definitions can't be had here: {error}")
    files = [Path(folder) / definition.file for definition in operators.DEFINITIONS if definition.plural in PLURALS]
    found = [yaml.load(file.read_bytes(), yaml.CSafeLoader) for file in files]
    return {
        f"{d['spec']['group']}/{version['name']} {d['spec']['names']['kind']}": version["schema"]["openAPIV3Schema"]
        for d in found
        for version in d["spec"]["versions"]
    }


@pytest.mark.parametrize("case", CASES)
def test_the_operators_definitions_know_every_field(case: str, definitions: dict[str, Any]) -> None:
    custom = [m for m in objects("api", "web", **CASES[case]).values() if "cnpg.io/" in m["apiVersion"]]
    assert len(custom) >= 4
    for manifest in custom:
        schema = definitions[f"{manifest['apiVersion']} {manifest['kind']}"]
        assert list(wrong(manifest["spec"], schema["properties"]["spec"], manifest["kind"])) == []


def test_the_check_against_definitions_sees_mistakes(definitions: dict[str, Any]) -> None:
    spec = objects("api")["cluster"]["spec"]
    schema = definitions["postgresql.cnpg.io/v1 Cluster"]["properties"]["spec"]
    bad = {**spec, "instances": "three", "sync": True, "primaryUpdateMethod": "never"}
    assert {text.split(":")[0] for text in wrong(bad, schema, "Cluster")} == {
        "Cluster.instances",
        "Cluster.sync",
        "Cluster.primaryUpdateMethod",
    }


def wrong(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """What a strict API server would refuse: unknown fields, types, values."""
    if schema.get("x-kubernetes-int-or-string"):
        return
    kinds: dict[str, Any] = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    kind = schema.get("type", "object")
    if type(value) is not kinds[kind]:
        yield f"{path}: {type(value).__name__} given, {kind} expected"
        return
    if value not in schema.get("enum", [value]):
        yield f"{path}: {value} given, one of {schema['enum']} expected"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value} does not match {schema['pattern']}"
    if kind == "array":
        for index, item in enumerate(value):
            yield from wrong(item, schema["items"], f"{path}[{index}]")
    if kind == "object":
        yield from wrong_fields(value, schema, path)


def wrong_fields(value: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    yield from (f"{path}.{field}: missing" for field in schema.get("required", []) if field not in value)
    open_ended = schema.get("additionalProperties") or (
        {} if schema.get("x-kubernetes-preserve-unknown-fields") else None
    )
    for field, item in value.items():
        below = schema.get("properties", {}).get(field, open_ended)
        if below is None:
            yield f"{path}.{field}: unknown field"
        elif below:
            yield from wrong(item, below, f"{path}.{field}")


@pytest.mark.parametrize(("replicas", "confirmations"), [(3, 1), (5, 2)])
def test_a_commit_survives_the_loss_of_any_minority(replicas: int, confirmations: int) -> None:
    assert objects(replicas=replicas)["cluster"]["spec"]["postgresql"]["synchronous"] == {
        "method": "any",
        "number": confirmations,
        "dataDurability": "required",
        "failoverQuorum": True,
    }


def test_servers_refuse_plaintext_first_and_the_operators_own_rule_last() -> None:
    rules = objects("api")["cluster"]["spec"]["postgresql"]["pg_hba"]
    assert rules[0] == "hostnossl all all all reject"
    assert rules[-1] == "host all all all reject"
    assert 'hostssl "api" "api" all scram-sha-256 clientcert=verify-ca' in rules


def test_the_superuser_has_no_password_and_roles_no_privilege() -> None:
    spec = objects("api")["cluster"]["spec"]
    assert spec["enableSuperuserAccess"] is False
    (role,) = spec["managed"]["roles"]
    assert [field for field in ("superuser", "bypassrls", "createdb", "createrole", "replication") if role[field]] == []


def test_metrics_and_pooler_speak_tls() -> None:
    manifests = objects("api")
    assert manifests["cluster"]["spec"]["monitoring"]["tls"]["enabled"] is True
    pooler = manifests["pooler"]["spec"]
    assert pooler["monitoring"]["tls"]["enabled"] is True
    parameters = pooler["pgbouncer"]["parameters"]
    assert (parameters["client_tls_sslmode"], parameters["server_tls_sslmode"]) == ("verify-full", "verify-full")
    assert parameters["default_pool_size"] == "20"


def test_the_pooler_holds_no_secret_of_the_instances() -> None:
    manifests = objects("api")
    bouncer = manifests["pooler"]["spec"]["pgbouncer"]
    of_pooler = {bouncer[field]["name"] for field in bouncer if field.endswith("Secret")}
    of_instances = set(manifests["cluster"]["spec"]["certificates"].values())
    assert of_pooler.isdisjoint(of_instances)


def test_instances_stay_in_the_region_one_per_zone() -> None:
    affinity = objects()["cluster"]["spec"]["affinity"]
    terms = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    expected = {"key": "topology.kubernetes.io/region", "operator": "In", "values": ["eu-central-1"]}
    assert terms == [{"matchExpressions": [expected]}]
    assert (affinity["podAntiAffinityType"], affinity["topologyKey"]) == ("required", "topology.kubernetes.io/zone")
    crowded = objects(replicas=5)["cluster"]["spec"]["affinity"]
    assert crowded["topologyKey"] == "kubernetes.io/hostname", "five instances can't have three zones to themselves"


def test_instances_share_the_only_node() -> None:
    affinity = objects(single_node=True)["cluster"]["spec"]["affinity"]
    assert affinity["podAntiAffinityType"] == "preferred"


def test_instances_have_what_they_ask_for() -> None:
    spec = objects(resources={"cpu": "2", "memory": "4Gi"})["cluster"]["spec"]
    assert spec["resources"] == {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "4Gi"}}
    assert spec["storage"] == {"size": "50Gi", "storageClass": "groundwork-test"}
    assert spec["walStorage"] == {"size": "12Gi", "storageClass": "groundwork-test"}


def test_no_process_is_throttled_and_all_have_a_memory_limit() -> None:
    manifests = objects(**CASES["bucket"])
    found = [
        manifests["cluster"]["spec"]["resources"],
        manifests["backup-store"]["spec"]["instanceSidecarConfiguration"]["resources"],
        *(one["resources"] for one in manifests["pooler"]["spec"]["template"]["spec"]["containers"]),
    ]
    assert len(found) == 3
    for resources in found:
        assert resources["limits"] == {"memory": resources["requests"]["memory"]}
        assert resources["requests"]["cpu"]


def test_the_log_leaves_room_on_its_volume() -> None:
    parameters = objects(wal_storage="8Gi")["cluster"]["spec"]["postgresql"]["parameters"]
    assert parameters["max_wal_size"] == parameters["max_slot_wal_keep_size"] == "4096MB"


def test_only_the_pooler_admits_consumers() -> None:
    manifests = objects("api")
    pooler, instances = manifests["pooler-network"]["spec"], manifests["network"]["spec"]
    assert [rule["from"] for rule in pooler["ingress"]] == [
        [{"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "api"}}}]
    ]
    callers = [peer for rule in instances["ingress"] for peer in rule["from"]]
    assert "api" not in str(callers)
    assert {"podSelector": pooler["podSelector"]} in callers


def test_an_up_waits_for_the_operator_only_where_one_acts() -> None:
    wait = "pulumi.com/waitFor"
    real, simulated = objects("api", wait=True), objects("api")
    assert real["cluster"]["metadata"]["annotations"][wait] == "condition=Ready"
    assert real["database-api"]["metadata"]["annotations"][wait] == "jsonpath={.status.applied}=true"
    assert all("annotations" not in manifest["metadata"] for manifest in simulated.values())


def test_backups_go_to_the_bucket_at_once_and_on_schedule() -> None:
    manifests = objects(**CASES["bucket"])
    assert manifests["backup"]["spec"]["schedule"] == "0 0 2 * * *", "the operator counts seconds first"
    assert manifests["backup"]["spec"]["immediate"] is True
    (plugin,) = manifests["cluster"]["spec"]["plugins"]
    assert plugin["isWALArchiver"] is True
    store = manifests["backup-store"]
    assert plugin["parameters"]["barmanObjectName"] == store["metadata"]["name"]
    assert store["spec"]["retentionPolicy"] == "30d"
    assert store["spec"]["configuration"]["data"]["encryption"] == "AES256"
    assert {"backup", "backup-store"}.isdisjoint(objects())


def test_the_cloud_knows_the_instances_by_their_service_account() -> None:
    manifests = objects(**CASES["identity"])
    assert manifests["cluster"]["spec"]["serviceAccountTemplate"]["metadata"]["annotations"] == IDENTITY
    assert manifests["backup-store"]["spec"]["configuration"]["s3Credentials"] == {"inheritFromIAMRole": True}
    by_keys = objects(**CASES["bucket"])
    assert "serviceAccountTemplate" not in by_keys["cluster"]["spec"]
    assert "inheritFromIAMRole" not in by_keys["backup-store"]["spec"]["configuration"]["s3Credentials"]


@pytest.mark.parametrize(
    ("endpoint", "ports"),
    [
        (None, [443, 6443]),
        ("https://s3.example", [443, 6443]),
        ("https://s3.example:443", [443, 6443]),
        ("https://s3.example:9000", [443, 6443, 9000]),
    ],
)
def test_instances_and_nobody_else_reach_the_buckets_port(endpoint: str | None, ports: list[int]) -> None:
    backup = {**CASES["bucket"]["backup"], **({"endpoint": endpoint} if endpoint else {})}
    manifests = objects("api", backup=backup)
    assert ports_out(manifests["network"]) == ports
    assert ports_out(manifests["pooler-network"]) == [443, 6443]


def ports_out(policy: dict[str, Any]) -> list[int]:
    """Ports that are open to any address."""
    (rule,) = (rule for rule in policy["spec"]["egress"] if "ipBlock" in rule["to"][0])
    return [port["port"] for port in rule["ports"]]


def test_no_object_is_declared_that_the_operator_makes() -> None:
    made = {"postgres-rw", "postgres-ro", "postgres-r", "postgres-ca", "postgres-server", "postgres-replication"}
    made |= {"postgres-app", "postgres-superuser", "postgres-primary"}
    found = objects("api", "web", **CASES["bucket"]).values()
    assert made.isdisjoint({manifest["metadata"]["name"] for manifest in found})
    assert {"Service", "ServiceAccount", "PersistentVolumeClaim"}.isdisjoint({manifest["kind"] for manifest in found})
