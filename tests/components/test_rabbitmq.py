"""The component: what it declares, what it hands to consumers, and where secrets are."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from components.core.problems import ConfigError
from components.rabbitmq import Rabbitmq
from components.rabbitmq.definitions import password_hash
from stacks.compose import Platform
from stacks.config import parse
from tests.support.rabbitmq import TOPOLOGY, spec_of
from tests.support.recording import Recorded, record

APP = {"kind": "app", "image": "registry.example/api:1.4.2", "uses": ["broker"]}
PLACEMENT = {"region": "eu-central-1", "zones": 3}


def environment(target: str, **fields: Any) -> tuple[Platform, list[Recorded]]:
    """An environment with a RabbitMQ named `broker` and two services that use it."""
    kubernetes = target == "kubernetes"
    place = {"profile": "dev", "cluster": "embedded"} if kubernetes else {"profile": "local", "target": "docker"}
    broker = {"kind": "rabbitmq", "storage": "2Gi", **TOPOLOGY, **fields}
    services = {"broker": broker, "api": APP, "worker": APP}
    return record(parse("test", {**place, "placement": PLACEMENT, "owner": "team-platform"}, services))


def secret_of(recorded: list[Recorded], name: str) -> dict[str, str]:
    """Content of a Kubernetes Secret."""
    (secret,) = (r.inputs for r in recorded if r.type.endswith(":Secret") and r.inputs["metadata"]["name"] == name)
    data: dict[str, str] = secret["data"].get("value", secret["data"])
    return {slot: base64.b64decode(content).decode() for slot, content in data.items()}


def test_a_consumer_gets_what_a_client_needs() -> None:
    platform, recorded = environment("kubernetes")
    binding = platform.components["broker"].bind("api")
    assert dict(binding.settings) == {
        "HOST": "broker.groundwork-test.svc",
        "PORT": "5671",
        "VHOST": "groundwork",
        "USERNAME": "api",
        "TLS": "mutual",
    }
    assert binding.reach[0].ports == (5671,)
    secret = secret_of(recorded, "api")
    password = "(password broker-password-api)"
    assert secret["broker.password"] == password
    assert secret["broker.url"] == f"amqps://api:{password}@broker.groundwork-test.svc:5671/groundwork"
    assert {"client_ca.crt", "client_tls.crt", "client_tls.key"} <= secret.keys()


def test_clients_of_several_nodes_know_them_all() -> None:
    platform, _ = environment("docker", replicas=3)
    settings = platform.components["broker"].bind("api").settings
    assert settings["NODES"] == "broker-0:5671,broker-1:5671,broker-2:5671"
    assert [endpoint.url for endpoint in platform.components["broker"].endpoints()] == ["amqps://broker:5671"]


def test_a_virtual_host_with_a_slash_is_encoded_in_the_address() -> None:
    _, recorded = environment("kubernetes", vhosts=["/"])
    assert secret_of(recorded, "api")["broker.url"].endswith(":5671/%2F")


def test_a_consumer_is_sent_where_it_has_something_to_do() -> None:
    places: dict[str, Any] = {field: [{**TOPOLOGY[field][0], "vhost": "two"}] for field in TOPOLOGY}
    platform, _ = environment("docker", vhosts=["one", "two"], **places)
    assert platform.components["broker"].bind("api").settings["VHOST"] == "two"


def test_the_server_knows_passwords_by_their_hashes_only() -> None:
    _, recorded = environment("kubernetes")
    secret = secret_of(recorded, "broker")
    assert set(secret) == {"ca.crt", "tls.crt", "tls.key", "cookie", "definitions.json"}
    users = {user["name"]: user["password_hash"] for user in json.loads(secret["definitions.json"])["users"]}
    assert users == {
        user: password_hash(user, f"(password broker-password-{user})") for user in ("api", "gw_monitor", "worker")
    }
    assert "(password broker-password-" not in "".join(secret.values())


@pytest.mark.parametrize("target", ["kubernetes", "docker"])
def test_nothing_secret_is_where_anybody_can_read_it(target: str) -> None:
    _, recorded = environment(target)
    shown = [r for r in recorded if not r.type.endswith((":Secret", ":RandomPassword"))]
    uploads = [upload for r in shown for upload in r.inputs.get("uploads", {}).get("value", [])]
    assert not [u["file"] for u in uploads if "(password" in u["content"] and u["permissions"] != "0440"]
    rest = json.dumps([{**r.inputs, "uploads": None} for r in shown])
    assert "(password" not in rest


def test_changed_secrets_leave_the_pods_alone() -> None:
    _, recorded = environment("kubernetes")
    (pods,) = (r.inputs["spec"]["template"] for r in recorded if r.name == "broker-set")
    assert set(pods["metadata"]["annotations"]) == {"groundwork.dev/config-hash"}


def test_nodes_may_join_and_none_may_leave() -> None:
    deployed = {"kind": "rabbitmq", "replicas": 3}
    (refusal,) = Rabbitmq.check_change(deployed, spec_of(replicas=1))
    assert (refusal.field, refusal.text) == (
        "replicas",
        "1 given; 3 are deployed, and those that are gone would still count; put it back",
    )
    assert not Rabbitmq.check_change(deployed, spec_of(replicas=5))
    assert not Rabbitmq.check_change({**deployed, "replicas": 1}, spec_of(replicas=3))


def test_one_port_leads_to_one_instance() -> None:
    with pytest.raises(ConfigError) as caught:
        environment("docker", replicas=3, publish=15671)
    text = "15671 given; 3 instances can't share a port; remove it"
    assert [str(problem) for problem in caught.value.problems] == [f"groundwork:services.broker.publish: {text}"]
