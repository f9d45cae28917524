"""The gateway as declared: its objects, what they may reach, and where the secrets are."""

import dataclasses
import json
from typing import Any

import pytest

from stacks.config import parse
from tests.support.certificates import asked, names_of
from tests.support.recording import CLUSTER, Recorded, record

ENVIRONMENT = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1"]},
    "owner": "team-platform",
}
SERVICES: dict[str, Any] = {
    "api": {"kind": "app", "image": "registry.example/api:1.4.2"},
    "web": {"kind": "app", "image": "registry.example/web:2.0.0", "port": 9443},
    "gateway": {
        "kind": "nginx",
        "replicas": 2,
        "hosts": ["api.example.com"],
        "routes": [{"path": "/", "to": "web"}, {"path": "/api", "to": "api", "balance": "ip-hash"}],
    },
}


@pytest.fixture(scope="module")
def objects() -> dict[str, dict[str, Any]]:
    _, recorded = record(parse("test", ENVIRONMENT, SERVICES), dataclasses.replace(CLUSTER, load_balancer=True))
    return manifests(recorded)


def manifests(recorded: list[Recorded]) -> dict[str, dict[str, Any]]:
    found = [json.loads(json.dumps(r.manifest, default=dict)) for r in recorded if r.manifest]
    return {f"{m['kind']} {m['metadata']['name']}": m for m in found}


def container(objects: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    containers = objects["Deployment gateway"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = next(c for c in containers if c["name"] == name)
    return found


def test_its_objects(objects: dict[str, dict[str, Any]]) -> None:
    assert sorted(name.split()[0] for name, m in objects.items() if m["metadata"]["name"] == "gateway") == [
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Secret",
        "Service",
        "ServiceAccount",
    ]
    assert sorted(objects["ConfigMap gateway"]["data"]) == ["nginx.conf", "start.sh", "web.yml"]


def test_clients_reach_one_port_and_keep_their_address(objects: dict[str, dict[str, Any]]) -> None:
    """Behind a node's address every client would look the same, to limits and to balancing."""
    spec = objects["Service gateway"]["spec"]
    assert (spec["type"], spec["externalTrafficPolicy"]) == ("LoadBalancer", "Local")
    assert [(port["name"], port["port"]) for port in spec["ports"]] == [("https", 443)]
    ingress = objects["NetworkPolicy gateway"]["spec"]["ingress"]
    assert ingress == [{"ports": [{"protocol": "TCP", "port": 8443}]}]


def test_routes_open_the_network_on_both_sides(objects: dict[str, dict[str, Any]]) -> None:
    egress = objects["NetworkPolicy gateway"]["spec"]["egress"]
    reached = {
        (rule["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"], rule["ports"][0]["port"])
        for rule in egress
        if "namespaceSelector" not in rule["to"][0]
    }
    assert reached == {("web", 9443), ("api", 8443)}
    for service, port in reached:
        (rule,) = objects[f"NetworkPolicy {service}"]["spec"]["ingress"]
        assert rule["from"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "gateway"}}}]
        assert rule["ports"] == [{"protocol": "TCP", "port": port}]


def test_each_instance_of_a_routed_service_is_found_once_it_is_ready(objects: dict[str, dict[str, Any]]) -> None:
    spec = objects["Service api-peers"]["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", False)
    assert [(port["name"], port["port"]) for port in spec["ports"]] == [("https", 8443)]
    conf = objects["ConfigMap gateway"]["data"]["nginx.conf"]
    assert "server api-peers.groundwork-test.svc service=https resolve" in conf
    assert "Service gateway-peers" not in objects


def test_ready_asks_more_than_alive(objects: dict[str, dict[str, Any]]) -> None:
    nginx, exporter = container(objects, "nginx"), container(objects, "exporter")
    assert [nginx[f"{kind}Probe"]["httpGet"]["path"] for kind in ("readiness", "liveness")] == ["/ready", "/live"]
    assert [exporter[f"{kind}Probe"]["httpGet"]["path"] for kind in ("readiness", "liveness")] == ["/metrics", "/"]
    assert all(c["readinessProbe"]["httpGet"]["scheme"] == "HTTPS" for c in (nginx, exporter))


def test_metrics_come_over_a_socket_and_leave_with_tls(objects: dict[str, dict[str, Any]]) -> None:
    exporter = container(objects, "exporter")
    socket = "/run/gateway/status.sock"
    assert exporter["args"] == [
        f"--nginx.scrape-uri=unix:{socket}:/stub_status",
        "--web.listen-address=:9113",
        "--web.config.file=/etc/gateway/web.yml",
    ]
    assert f"listen unix:{socket};" in objects["ConfigMap gateway"]["data"]["nginx.conf"]
    web = objects["ConfigMap gateway"]["data"]["web.yml"]
    assert "min_version: TLS13" in web
    for name in ("nginx", "exporter"):
        mounts = {mount["mountPath"] for mount in container(objects, name)["volumeMounts"]}
        assert {"/run/gateway", "/etc/gateway", "/run/groundwork/tls"} <= mounts


def test_the_exporter_can_not_read_the_keys_by_which_the_gateway_reaches_services(
    objects: dict[str, dict[str, Any]],
) -> None:
    mounts = {
        name: {m["mountPath"] for m in container(objects, name)["volumeMounts"]} for name in ("nginx", "exporter")
    }
    assert mounts["exporter"] == {"/run/gateway", "/etc/gateway", "/run/groundwork/tls"}
    assert mounts["nginx"] - mounts["exporter"] == {"/run/groundwork/api", "/run/groundwork/web"}


def test_every_file_that_the_configuration_names_is_mounted(objects: dict[str, dict[str, Any]]) -> None:
    import re

    pod = objects["Deployment gateway"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {
        f"{mount['mountPath']}/{item['path']}"
        for mount in pod["containers"][0]["volumeMounts"]
        for source in volumes[mount["name"]].get("projected", {}).get("sources", [])
        for item in next(iter(source.values()))["items"]
    }
    data = objects["ConfigMap gateway"]["data"]
    named = set(
        re.findall(r"(/(?:run/groundwork|etc/gateway)/[\w./-]+\.\w+)", f"{data['nginx.conf']} {data['web.yml']}")
    )
    assert named
    assert named <= mounted
    assert {"/etc/gateway/start.sh", "/etc/gateway/nginx.conf"} <= mounted


def test_secrets_are_in_the_secret_only(objects: dict[str, dict[str, Any]]) -> None:
    data = objects["Secret gateway"]["data"]
    own = ("ca.crt", "tls.crt", "tls.key")
    assert sorted(data.get("value", data)) == sorted([*own, *(f"client_{file}" for file in own)])
    shown = json.dumps({name: m for name, m in objects.items() if not name.startswith("Secret ")})
    assert "Pem" not in shown
    assert "env" not in container(objects, "nginx")


def test_its_certificate_bears_every_name_it_is_asked_for() -> None:
    platform, recorded = record(parse("test", ENVIRONMENT, SERVICES))
    assert names_of(asked(recorded, "gateway-server")) == ["api.example.com", "gateway.groundwork-test.svc"]
    assert [(e.url, e.external) for e in platform.components["gateway"].endpoints()] == [
        ("https://api.example.com:443", True),
        ("https://gateway.groundwork-test.svc:443", False),
    ]


def test_its_facts_are_what_policies_and_the_inventory_read() -> None:
    platform, _ = record(parse("test", ENVIRONMENT, SERVICES))
    facts = platform.components["gateway"].facts
    assert facts["uses"] == ["web", "api"]
    assert (facts["replicas"], facts["stateful"]) == (2, False)
    assert facts["listeners"] == [
        {"name": "https", "port": 8443, "protocol": "https", "tls": "server"},
        {"name": "health", "port": 8444, "protocol": "https", "tls": "server"},
        {"name": "metrics", "port": 9113, "protocol": "https", "tls": "server"},
    ]


def test_a_changed_route_changes_the_configuration_and_so_the_pods() -> None:
    def configuration_hash(routes: list[dict[str, Any]]) -> str:
        services = {**SERVICES, "gateway": {**SERVICES["gateway"], "routes": routes}}
        _, recorded = record(parse("test", ENVIRONMENT, services))
        pods = manifests(recorded)["Deployment gateway"]["spec"]["template"]["metadata"]
        found: str = pods["annotations"]["groundwork.dev/config-hash"]
        return found

    routes = SERVICES["gateway"]["routes"]
    assert configuration_hash(routes) == configuration_hash(routes)
    assert configuration_hash(routes) != configuration_hash([*routes[:1], {**routes[1], "balance": "least-conn"}])
