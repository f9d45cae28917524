"""The component: what it declares, what it hands to consumers, and where secrets are."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from components.clickhouse import Clickhouse
from components.core.problems import ConfigError
from stacks.compose import Platform
from stacks.config import parse
from tests.support.clickhouse import METRICS, spec_of
from tests.support.recording import Recorded, record

APP = {"kind": "app", "image": "registry.example/api:1.4.2", "uses": ["store"]}
PLACEMENT = {"region": "eu-central-1", "zones": 3}


def environment(target: str, **fields: Any) -> tuple[Platform, list[Recorded]]:
    """An environment with a ClickHouse named `store` and two services that use it."""
    kubernetes = target == "kubernetes"
    place = {"profile": "dev", "cluster": "embedded"} if kubernetes else {"profile": "local", "target": "docker"}
    store = {"kind": "clickhouse", "storage": "10Gi", "tables": [METRICS], **fields}
    services = {"store": store, "api": APP, "order-api": APP}
    return record(parse("test", {**place, "placement": PLACEMENT, "owner": "team-platform"}, services))


def secret_of(recorded: list[Recorded], name: str) -> dict[str, str]:
    """Content of a Kubernetes Secret."""
    (secret,) = (r.inputs for r in recorded if r.type.endswith(":Secret") and r.inputs["metadata"]["name"] == name)
    data: dict[str, str] = secret["data"].get("value", secret["data"])
    return {slot: base64.b64decode(content).decode() for slot, content in data.items()}


def objects(recorded: list[Recorded], kind: str) -> list[str]:
    return sorted(r.inputs["metadata"]["name"] for r in recorded if r.type.endswith(f":{kind}"))


def test_a_consumer_gets_what_a_client_needs() -> None:
    platform, recorded = environment("kubernetes")
    binding = platform.components["store"].bind("api")
    assert dict(binding.settings) == {
        "HOST": "store.groundwork-test.svc",
        "PORT": "9440",
        "HTTPS_PORT": "8443",
        "DATABASE": "api",
        "USER": "api",
        "TLS": "mutual",
    }
    assert [(reach.service, reach.ports) for reach in binding.reach] == [("store", (8443, 9440))]
    secret = secret_of(recorded, "api")
    password = "(password store-password-api)"
    assert secret["store.password"] == password
    assert secret["store.url"] == f"https://api:{password}@store.groundwork-test.svc:8443/?database=api"
    assert {"client_ca.crt", "client_tls.crt", "client_tls.key"} <= secret.keys()


def test_clients_of_several_servers_know_them_all() -> None:
    platform, _ = environment("docker", replicas=2, shards=2)
    store = platform.components["store"]
    settings = store.bind("api").settings
    assert settings["NODES"] == "store-1-0,store-1-1,store-2-0,store-2-1"
    assert (settings["HOST"], settings["CLUSTER"]) == ("store-1", "groundwork")
    urls = [endpoint.url for endpoint in store.endpoints()]
    assert urls == ["https://store-1:8443", "clickhouse://store-1:9440"]


def test_the_server_knows_passwords_by_their_hashes_only() -> None:
    _, recorded = environment("kubernetes")
    secret = secret_of(recorded, "store")
    assert set(secret) == {"ca.crt", "tls.crt", "tls.key", "secrets.xml"}
    hashed = {
        user: hashlib.sha256(f"(password store-password-{user})".encode()).hexdigest() for user in ("api", "order-api")
    }
    words = "".join(f"<password-{user}>{value}</password-{user}>" for user, value in hashed.items())
    assert secret["secrets.xml"] == f"<clickhouse>{words}</clickhouse>"


def test_a_server_that_nobody_uses_yet_has_no_secret_but_its_key() -> None:
    place = {"profile": "dev", "cluster": "embedded", "placement": PLACEMENT, "owner": "team-platform"}
    _, recorded = record(parse("test", place, {"store": {"kind": "clickhouse", "storage": "10Gi"}}))
    assert secret_of(recorded, "store")["secrets.xml"] == "<clickhouse />"


def test_keeper_has_a_certificate_of_its_own_and_no_password() -> None:
    _, recorded = environment("kubernetes", replicas=2)
    assert set(secret_of(recorded, "store-keeper")) == {"ca.crt", "tls.crt", "tls.key"}
    assert secret_of(recorded, "store-keeper")["tls.crt"] != secret_of(recorded, "store-1")["tls.crt"]
    assert "<peers>(password store-peers)</peers>" in secret_of(recorded, "store-1")["secrets.xml"]


@pytest.mark.parametrize("target", ["kubernetes", "docker"])
def test_nothing_secret_is_where_anybody_can_read_it(target: str) -> None:
    _, recorded = environment(target, replicas=2)
    shown = [r for r in recorded if not r.type.endswith((":Secret", ":RandomPassword"))]
    uploads = [upload for r in shown for upload in r.inputs.get("uploads", {}).get("value", [])]
    assert not [u["file"] for u in uploads if "(password" in u["content"] and u["permissions"] != "0440"]
    rest = json.dumps([{**r.inputs, "uploads": None} for r in shown])
    assert "(password" not in rest


def test_each_shard_and_keeper_has_a_budget_and_spreads_by_itself() -> None:
    _, recorded = environment("kubernetes", replicas=2, shards=2)
    parts = ["store-1", "store-2", "store-keeper"]
    assert [name for name in objects(recorded, "PodDisruptionBudget") if name.startswith("store")] == parts
    for name, part in zip(parts, ("1", "2", "keeper"), strict=True):
        (pods,) = (r.inputs["spec"]["template"] for r in recorded if r.name == f"{name}-set")
        wanted = {"app.kubernetes.io/instance": "store", "app.kubernetes.io/component": part}
        assert pods["metadata"]["labels"].items() >= wanted.items()
        zones = pods["spec"]["topologySpreadConstraints"][0]
        assert zones["labelSelector"] == {"matchLabels": wanted}
        assert zones["whenUnsatisfiable"] == "DoNotSchedule"


def test_parts_of_a_service_share_its_networks_on_docker() -> None:
    _, recorded = environment("docker", replicas=2, shards=2)
    networks = sorted(r.inputs["name"] for r in recorded if r.type.endswith(":Network"))
    assert [n for n in networks if "store" in n] == [
        "groundwork-test-api--store",
        "groundwork-test-order-api--store",
        "groundwork-test-store",
    ]
    joined = {
        r.inputs["name"]: [network["name"] for network in r.inputs["networksAdvanced"]]
        for r in recorded
        if r.name.startswith("store-") and r.name.endswith("-sandbox")
    }
    assert len(joined["groundwork-test-store-2-1"]) == 3
    assert len(joined["groundwork-test-store-keeper-0"]) == 1


def test_shards_replicas_and_volumes_only_grow() -> None:
    assert Clickhouse.kept(spec_of()).growing == {"storage": "10Gi"}
    kept = Clickhouse.kept(spec_of(replicas=3, shards=2, keeper={"storage": "20Gi"}))
    assert kept.growing == {"storage": "10Gi", "shards": 2, "replicas": 3, "keeper.storage": "20Gi"}
    assert kept.durable


def test_a_single_server_becomes_no_keeper_of_three_and_the_other_way_round() -> None:
    (refusal,) = Clickhouse.check_change({"kind": "clickhouse", "replicas": 1}, spec_of(replicas=2))
    assert (refusal.field, refusal.text) == (
        "replicas",
        "2 given, 1 deployed; a Keeper of three begins empty; put it back, or copy the tables into a new service",
    )
    (refusal,) = Clickhouse.check_change({"kind": "clickhouse", "replicas": 2}, spec_of())
    assert refusal.text == (
        "1 given, 2 deployed; without Keeper the tables could not be written; put it back, or copy the tables into a "
        "new service"
    )
    assert not Clickhouse.check_change({"kind": "clickhouse", "replicas": 2}, spec_of(replicas=3))


def test_every_object_it_makes_is_declared() -> None:
    _, recorded = environment("kubernetes", replicas=2, shards=2)
    taken = set(Clickhouse.occupies("store", spec_of(replicas=2, shards=2), ["api", "order-api"]))
    for r in recorded:
        if r.type.startswith("kubernetes:") and r.name.startswith("store-"):
            assert f"object/{r.inputs['metadata']['name']}" in taken
    assert {"certificate/store-server", "certificate/store-keeper-server", "password/store-peers"} <= taken


def test_no_other_service_may_have_the_name_of_a_part() -> None:
    services = {"store": {"kind": "clickhouse", "replicas": 2}, "store-keeper": {"kind": "redis", "role": "cache"}}
    place = {"profile": "dev", "cluster": "embedded", "placement": PLACEMENT, "owner": "team-platform"}
    with pytest.raises(ConfigError) as caught:
        parse("test", place, services)
    assert str(caught.value).startswith("groundwork:services.store-keeper: store-keeper given; it and store would both")


def test_one_port_leads_to_one_instance() -> None:
    with pytest.raises(ConfigError) as caught:
        environment("docker", replicas=2, publish=18443)
    text = "18443 given; 2 instances can't share a port; remove it"
    assert [str(problem) for problem in caught.value.problems] == [f"groundwork:services.store.publish: {text}"]
