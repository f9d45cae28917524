"""An app: what its spec refuses, what its container is told, and what its edges open."""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.app import AppSpec
from components.app.settings import environment_of, prefix_of
from components.core.bindings import Binding, Endpoint, Instances, Reach
from components.core.catalogue import image_version
from components.core.mounts import edge_files
from components.core.problems import ConfigError
from components.core.site import Placement, Site
from components.core.workload import Listener
from stacks.config import parse
from tests.support.recording import Recorded, record

ENVIRONMENT = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1"]},
    "owner": "team-platform",
}
APP: dict[str, Any] = {"kind": "app", "image": "registry.example/api:1.4.2"}
CACHE = {"kind": "redis", "role": "cache", "ttl": "30m"}
API = "groundwork:services.api"
NO_SECRETS = "secrets come as files: put the service that has it under `uses` and read the file it yields"


class Names:
    def host(self, service: str) -> str:
        return f"{service}.test"

    def port(self, listener: Listener) -> int:
        return listener.published or listener.port

    def peer_suffix(self, service: str) -> str:
        return ""

    def instances(self, service: str, listener: str, replicas: int) -> Instances:
        return Instances(f"{service}-peers.test", tuple(f"{service}-{n}" for n in range(replicas)), listener)


SITE = Site("test", Placement(region="eu-central-1"), Names(), {})


def refused(app: dict[str, Any], **services: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        declared(app, **services)
    return [str(problem) for problem in caught.value.problems]


def declared(app: dict[str, Any], **services: Any) -> dict[str, dict[str, Any]]:
    """Every object of an environment with this app, by kind and name."""
    _, recorded = record(parse("test", ENVIRONMENT, {**services, "api": {**APP, **app}}))
    return {f"{m['kind']} {m['metadata']['name']}": m for m in map(manifest, recorded) if m}


def manifest(resource: Recorded) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(resource.manifest or {}, default=dict))
    return found


def pod(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = objects["Deployment api"]["spec"]["template"]["spec"]
    return found


def variables(objects: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in pod(objects)["containers"][0]["env"]}


def binding(service: str, settings: Mapping[str, str], *files: str) -> Binding:
    endpoint = Endpoint(service, f"{service}.test", 4317, "https", "server")
    return Binding(endpoint, settings, dict.fromkeys(files, ""), (Reach(service, (4317,)),))


def spec_of(**fields: Any) -> AppSpec:
    return AppSpec.model_validate({**APP, "owner": "team-test", **fields})


def test_all_mistakes_are_named_together_and_no_secret_is_shown() -> None:
    env = {"DB_PASSWORD": "hunter2", "SOURCE": "postgres://u:hunter2@db/x", "LEVEL": "debug", "TOKEN_TTL": "15m"}
    probes = {"ready": "/health", "live": "/health"}
    app = {"env": env, "args": ["serve", "--api-token=hunter2"], "probes": probes, "otlp": {"to": "collector"}}
    assert refused(app) == [
        f"{API}.args.1: a secret given, by its look (not shown); {NO_SECRETS}",
        f"{API}.env.DB_PASSWORD: a secret given, by its name (not shown); {NO_SECRETS}, named DB_PASSWORD_FILE",
        f"{API}.env.SOURCE: a secret given, by its look (not shown); {NO_SECRETS}",
        f"{API}.otlp.to: collector given; it is not under uses; add it there",
        f"{API}.probes.live: /health given; the same as for readiness; restarts need a check of their own",
    ]


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        ({"replicas": 0}, "replicas: 0 given; allowed: a number from 1 to 200, or {min: 2, max: 6, cpu_percent: 70}"),
        (
            {"replicas": "2"},
            'replicas: "2" (text) given; allowed: a number from 1 to 200, or {min: 2, max: 6, cpu_percent: 70}',
        ),
        ({"replicas": {"min": 3, "max": 2}}, "replicas.max: 2 given; min is 3; set max to 3 or more"),
        ({"replicas": {"min": 3}}, "replicas.max: missing; add `max:` (Most instances)"),
        ({"env": {"log-level": "x"}}, "env.log-level: log-level given; allowed: an upper-case name such as LOG_LEVEL"),
        (
            {"env": {"PORT": "80"}},
            "env.PORT: given, but it is set already by the platform; remove it or choose another name",
        ),
        ({"metrics": {"port": 8443}}, "metrics.port: 8443 given; that is the app's own port; remove it"),
        ({"image": "api"}, "image: api given; allowed: registry/name:version or registry/name@sha256:digest"),
    ],
)
def test_each_mistake_has_its_message(app: dict[str, Any], expected: str) -> None:
    assert refused(app) == [f"{API}.{expected}"]


@pytest.mark.parametrize(
    "value",
    [
        "amqps://user:pass@queue:5671/",
        "-----BEGIN PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    ],
)
def test_a_value_that_looks_like_a_secret_is_refused_whatever_its_name(value: str) -> None:
    assert refused({"env": {"X": value}}) == [f"{API}.env.X: a secret given, by its look (not shown); {NO_SECRETS}"]


def test_what_only_speaks_of_secrets_is_accepted() -> None:
    env = {
        "TOKEN_URL": "https://id.example.com/token",
        "KEY": "id",
        "DB_PASSWORD_FILE": "/run/x",
        "RETRIES": 3,
        "ON": True,
    }
    assert spec_of(env=env).env == {**env, "RETRIES": "3", "ON": "true"}


def test_mutual_tls_needs_checks_that_have_a_certificate() -> None:
    text = "missing; with mutual: true a request has no client certificate; add a command"
    assert refused({"mutual": True}) == [f"{API}.probes.live_command: {text}", f"{API}.probes.ready_command: {text}"]
    probes = {"ready_command": ["/check", "ready"], "live_command": ["/check", "live"]}
    objects = declared({"mutual": True, "probes": probes})
    container = pod(objects)["containers"][0]
    assert container["readinessProbe"]["exec"]["command"] == ["/check", "ready"]
    assert container["livenessProbe"]["exec"]["command"] == container["startupProbe"]["exec"]["command"]
    platform, _ = record(parse("test", ENVIRONMENT, {"api": {**APP, "mutual": True, "probes": probes}}))
    assert platform.components["api"].endpoints()[0].tls == "mutual"


def test_it_is_told_where_its_certificate_and_its_edges_are() -> None:
    objects = declared({"uses": ["query-cache"], "env": {"LEVEL": "info"}}, **{"query-cache": CACHE})
    found = variables(objects)
    files = {name: value for name, value in found.items() if name.endswith("_FILE")}
    assert files == {
        "TLS_CA_FILE": "/run/groundwork/tls/ca.crt",
        "TLS_CERT_FILE": "/run/groundwork/tls/tls.crt",
        "TLS_KEY_FILE": "/run/groundwork/tls/tls.key",
        "QUERY_CACHE_CA_FILE": "/run/groundwork/query-cache/ca.crt",
        "QUERY_CACHE_CERT_FILE": "/run/groundwork/query-cache/tls.crt",
        "QUERY_CACHE_KEY_FILE": "/run/groundwork/query-cache/tls.key",
        "QUERY_CACHE_PASSWORD_FILE": "/run/groundwork/query-cache/password",
        "QUERY_CACHE_URL_FILE": "/run/groundwork/query-cache/url",
    }
    assert (found["PORT"], found["LEVEL"], found["QUERY_CACHE_HOST"]) == (
        "8443",
        "info",
        "query-cache.groundwork-test.svc",
    )
    volumes = {volume["name"]: volume for volume in pod(objects)["volumes"]}
    mounted = {
        f"{mount['mountPath']}/{item['path']}"
        for mount in pod(objects)["containers"][0]["volumeMounts"]
        for source in volumes[mount["name"]].get("projected", {}).get("sources", [])
        for item in source["secret"]["items"]
    }
    assert mounted == set(files.values())


def test_no_secret_leaves_its_files() -> None:
    objects = declared({"uses": ["cache"]}, cache=CACHE)
    assert "(password" in json.dumps(content(objects["Secret api"]))
    shown = json.dumps([m for name, m in objects.items() if name.endswith(" api") and not name.startswith("Secret ")])
    assert not re.search(r"\(password|Pem", shown)


def content(secret: dict[str, Any]) -> dict[str, str]:
    """What is in a Secret, out of the envelope that marks it as secret."""
    data = secret["data"]
    return {name: b64decode(value).decode() for name, value in data.get("value", data).items()}


def test_two_sources_of_one_variable_are_an_error() -> None:
    bindings = {
        "cache": binding("cache", {"REPLICA_HOST": "a"}),
        "cache-replica": binding("cache-replica", {"HOST": "b"}),
    }
    with pytest.raises(ConfigError) as caught:
        environment_of("api", spec_of(env={"CACHE_REPLICA_HOST": "c"}), "1", SITE, bindings)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{API}.env.CACHE_REPLICA_HOST: given, but it is set already by uses: cache; remove it or choose another name",
        f"{API}.uses: uses: cache and uses: cache-replica both yield CACHE_REPLICA_HOST; "
        "give one of the services another name",
    ]


def test_a_service_named_like_its_own_certificate_is_an_error() -> None:
    (problem,) = refused({"uses": ["tls"]}, tls=CACHE)
    assert problem.startswith("groundwork:services.tls: tls given; it is reserved: ")
    with pytest.raises(ConfigError, match=r"api\.uses: tls given; .* another name"):
        edge_files("api", {"tls": binding("tls", {}, "tls.crt")})


@given(st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True), st.sampled_from(["x.crt", "a-b", "URL"]))
def test_every_variable_has_a_name_that_a_shell_accepts(service: str, file: str) -> None:
    if service == "tls":
        return
    found = environment_of("api", spec_of(), "1", SITE, {service: binding(service, {"HOST": "h"}, file, "ca.crt")})
    assert all(re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) for name in found)
    assert found[f"{prefix_of(service)}_CA_FILE"] == f"/run/groundwork/{service}/ca.crt"
    assert len({value for value in found.values() if value.startswith(f"/run/groundwork/{service}/")}) == 2


def test_telemetry_goes_where_the_graph_says_with_the_edges_certificate() -> None:
    spec = spec_of(uses=["collector"], otlp={"to": "collector", "protocol": "http/protobuf"})
    files = ("ca.crt", "tls.crt", "tls.key")
    found = environment_of("api", spec, "1.4.2", SITE, {"collector": binding("collector", {}, *files)})
    assert {name: value for name, value in found.items() if name.startswith("OTEL_")} == {
        "OTEL_SERVICE_NAME": "api",
        "OTEL_RESOURCE_ATTRIBUTES": (
            "deployment.environment.name=test,cloud.region=eu-central-1,service.namespace=groundwork,service.version=1.4.2"
        ),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.test:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/run/groundwork/collector/ca.crt",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "/run/groundwork/collector/tls.crt",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": "/run/groundwork/collector/tls.key",
    }
    assert environment_of("api", spec_of(), "1", SITE, {})["OTEL_SDK_DISABLED"] == "true"


def test_a_number_of_replicas_is_fixed_and_bounds_leave_it_to_the_autoscaler() -> None:
    fixed = declared({"replicas": 3})
    assert fixed["Deployment api"]["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler api" not in fixed
    scaled = declared({"replicas": {"min": 2, "max": 6, "cpu_percent": 55}})
    assert scaled["Deployment api"]["spec"]["replicas"] == 2
    spec = scaled["HorizontalPodAutoscaler api"]["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 6)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 55


def test_only_its_edges_are_open() -> None:
    worker = {**APP, "uses": ["api"]}
    objects = declared({"uses": ["cache"], "port": 9443}, cache=CACHE, worker=worker)
    policy = objects["NetworkPolicy api"]["spec"]
    assert policy["ingress"] == [
        {
            "from": [{"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "worker"}}}],
            "ports": [{"protocol": "TCP", "port": 9443}],
        }
    ]
    assert policy["egress"][0]["to"] == [{"podSelector": {"matchLabels": {"app.kubernetes.io/instance": "cache"}}}]
    assert objects["NetworkPolicy worker"]["spec"]["ingress"] == []
    assert "Service api-peers" in objects
    assert "Service worker-peers" not in objects, "nobody chooses among its instances"


def test_a_caller_gets_a_certificate_of_its_own() -> None:
    objects = declared({}, worker={**APP, "uses": ["api"]})
    assert content(objects["Secret worker"])["client_tls.key"] == "(privateKeyPemPkcs8 pki-worker-client-key)"
    container = objects["Deployment worker"]["spec"]["template"]["spec"]["containers"][0]
    found = {variable["name"]: variable["value"] for variable in container["env"]}
    assert found["API_URL"] == "https://api.groundwork-test.svc:8443"


def test_its_pod_writes_nowhere_but_in_tmp_and_runs_as_it_is_told() -> None:
    found = pod(declared({"uid": 4321, "scratch": "1Gi"}))
    assert (found["securityContext"]["runAsUser"], found["securityContext"]["runAsNonRoot"]) == (4321, True)
    assert [v["emptyDir"] for v in found["volumes"] if "emptyDir" in v] == [{"sizeLimit": "1Gi"}]
    assert found["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_port_of_its_own_for_metrics_is_not_reached_by_the_services_name() -> None:
    objects = declared({"metrics": {"port": 9090}})
    assert [port["name"] for port in objects["Service api"]["spec"]["ports"]] == ["https"]
    ports = pod(objects)["containers"][0]["ports"]
    assert [(port["name"], port["containerPort"]) for port in ports] == [("https", 8443), ("metrics", 9090)]


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.example/api:1.4.2", "1.4.2"),
        ("registry.example:5000/team/api", "untagged"),
        (f"registry.example/api@sha256:{'ab' * 32}", "sha256-abababababab"),
        (f"registry.example/api:v2@sha256:{'ab' * 32}", "v2"),
        (f"registry.example/api:{'x' * 100}", "x" * 63),
    ],
)
def test_a_version_that_fits_a_label(image: str, version: str) -> None:
    assert image_version(image) == version
