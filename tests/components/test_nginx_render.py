"""Facts of the rendered nginx.conf, as an independent parser reads it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.core.problems import ConfigError
from tests.components.nginx_conf import (
    PlainNames,
    ServiceRecordNames,
    arguments,
    binding_of,
    named,
    plan,
    read,
    spec_of,
    text_of,
    walk,
)

SECURITY = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Content-Security-Policy": "$own_csp",
}
ROUTES: tuple[dict[str, Any], ...] = (
    {"path": "/", "to": "web"},
    {
        "path": "/api",
        "to": "api",
        "balance": "least-conn",
        "rate_limit": {"requests": 300, "per": "minute", "burst": 0},
    },
    {"path": "/api/v2", "to": "api", "balance": "least-conn", "rate_limit": {"requests": 5}},
    {"path": "/static", "to": "web", "cache": {"max_age": "1h", "public": True, "immutable": True}},
    {"path": "/sticky", "to": "api", "balance": "ip-hash", "strip_prefix": True, "body_limit": "2Gi"},
    {"path": "/live", "to": "api", "websocket": True},
)


@pytest.fixture
def conf(tmp_path: Path) -> list[dict[str, Any]]:
    return read(text_of(plan(spec_of(*ROUTES))), tmp_path)


def server(conf: list[dict[str, Any]], mark: str) -> list[dict[str, Any]]:
    """The one server block that holds these characters."""
    blocks: list[list[dict[str, Any]]] = [d["block"] for d in named(conf, "server") if "block" in d]
    (found,) = [block for block in blocks if mark in str(block)]
    return found


def locations(conf: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The blocks of the public locations by their path or expression."""
    return {d["args"][-1]: d["block"] for d in named(server(conf, "www.example.com"), "location")}


def values(block: list[dict[str, Any]], name: str) -> list[list[str]]:
    return [directive["args"] for directive in block if directive["directive"] == name]


def test_nothing_listens_in_plaintext_but_a_socket_inside_the_pod(conf: list[dict[str, Any]]) -> None:
    listens = arguments(conf, "listen")
    assert sorted(args[0] for args in listens) == ["8443", "8443", "8444", "unix:/run/gateway/status.sock"]
    assert all("ssl" in args for args in listens if not args[0].startswith("unix:"))


def test_tls_is_1_3_only_on_both_sides(conf: list[dict[str, Any]]) -> None:
    assert arguments(conf, "ssl_protocols") == [["TLSv1.3"]]
    assert {tuple(args) for args in arguments(conf, "proxy_ssl_protocols")} == {("TLSv1.3",)}
    assert arguments(conf, "http2") == [["on"]]
    assert arguments(conf, "ssl_session_tickets") == [["off"]]


def test_every_service_must_prove_its_name_and_sees_the_gateways_certificate(conf: list[dict[str, Any]]) -> None:
    public = server(conf, "www.example.com")
    assert values(public, "proxy_ssl_verify") == [["on"]]
    for block in locations(conf).values():
        for target in values(block, "proxy_pass"):
            service = target[0].removeprefix("https://").split("_")[0]
            assert target[0].startswith("https://")
            assert values(block, "proxy_ssl_name") == [[f"{service}.groundwork-test.svc"]]
            assert values(block, "proxy_ssl_trusted_certificate") == [[f"/run/groundwork/{service}/ca.crt"]]
            assert values(block, "proxy_ssl_certificate") == [[f"/run/groundwork/{service}/tls.crt"]]
    assert len([b for b in locations(conf).values() if values(b, "proxy_pass")]) == len(ROUTES)


def test_a_list_of_headers_is_never_lost_by_inheritance(conf: list[dict[str, Any]]) -> None:
    """One add_header in a location drops all of the server's; proxy_set_header and proxy_hide_header do alike."""
    for directive, _ in walk(conf):
        block = directive.get("block", [])
        added = {args[0]: args[1] for args in values(block, "add_header")}
        assert not added or added.items() >= SECURITY.items()
        hidden = {args[0] for args in values(block, "proxy_hide_header")}
        assert not hidden or hidden >= {"X-Powered-By", "X-Frame-Options", "Strict-Transport-Security"}
        sent = {args[0] for args in values(block, "proxy_set_header")}
        assert not sent or "127.0.0.1" in str(block) or sent >= {"Host", "X-Forwarded-For", "Forwarded", "Connection"}


def test_errors_have_the_security_headers_too(conf: list[dict[str, Any]]) -> None:
    assert all(args[-1] == "always" for args in arguments(conf, "add_header"))


@pytest.mark.parametrize(
    ("names", "balance", "method", "instances"),
    [
        (ServiceRecordNames(), "round-robin", None, "api-peers.groundwork-test.svc service=https resolve"),
        (ServiceRecordNames(), "least-conn", "least_conn", "api-peers.groundwork-test.svc service=https resolve"),
        (
            ServiceRecordNames(),
            "ip-hash",
            "hash $remote_addr consistent",
            "api-peers.groundwork-test.svc service=https",
        ),
        (PlainNames(), "round-robin", None, "api-1:8443 resolve"),
        (PlainNames(), "least-conn", "least_conn", "api-1:8443 resolve"),
        (PlainNames(), "ip-hash", "hash $remote_addr consistent", "api-1:8443 resolve"),
    ],
)
def test_each_balancing_method_over_every_instance(
    tmp_path: Path, names: PlainNames, balance: str, method: str | None, instances: str
) -> None:
    conf = read(text_of(plan(spec_of({"path": "/", "to": "api", "balance": balance}), names)), tmp_path)
    (upstream,) = named(conf, "upstream")
    lines = [" ".join((d["directive"], *d["args"])) for d in upstream["block"]]
    methods = [line for line in lines if line.split()[0] in ("least_conn", "ip_hash", "hash")]
    assert methods == ([method] if method else [])
    assert f"server {instances}" in " ".join(lines)
    assert "resolve" in " ".join(lines)
    assert any(line.startswith("zone ") for line in lines), "without shared memory nothing is resolved anew"


def test_a_service_without_instances_is_dialled_by_its_name(tmp_path: Path) -> None:
    from dataclasses import replace

    binding = replace(binding_of("api", ServiceRecordNames()), instances=None)
    conf = read(text_of(plan(spec_of({"path": "/", "to": "api"}), api=binding)), tmp_path)
    assert arguments(named(conf, "upstream"), "server")[0][:2] == ["api.groundwork-test.svc:8443", "resolve"]


def test_limits_are_per_route_and_per_client(conf: list[dict[str, Any]]) -> None:
    assert arguments(conf, "limit_req_zone") == [
        ["$binary_remote_addr", "zone=limit_1:10m", "rate=300r/m"],
        ["$binary_remote_addr", "zone=limit_2:10m", "rate=5r/s"],
    ]
    found = {path: values(block, "limit_req") for path, block in locations(conf).items()}
    assert found["^/api(?:/|$)"] == [["zone=limit_1"]]
    assert found["^/api/v2(?:/|$)"] == [["zone=limit_2", "burst=20", "nodelay"]]
    assert arguments(conf, "limit_req_status") == [["429"]]


def test_caching_replaces_the_services_own_headers_and_spares_errors(conf: list[dict[str, Any]]) -> None:
    block = locations(conf)["^/static(?:/|$)"]
    assert ["Cache-Control", "$cache_3", "always"] in values(block, "add_header")
    assert {"Cache-Control", "Expires"} <= {args[0] for args in values(block, "proxy_hide_header")}
    (cache,) = [m["block"] for m in named(conf, "map") if m["args"] == ["$status", "$cache_3"]]
    assert {d["directive"]: d["args"][0] for d in cache} == {
        "default": "no-store",
        "~^[23]": "public, max-age=3600, immutable",
    }


def test_only_websocket_is_ever_passed_on_as_an_upgrade(conf: list[dict[str, Any]]) -> None:
    upgrades = [path for path, block in locations(conf).items() if "Upgrade" in str(values(block, "proxy_set_header"))]
    assert upgrades == ["^/live(?:/|$)"]
    (upgrade,) = [m["block"] for m in named(conf, "map") if m["args"] == ["$http_upgrade", "$websocket_upgrade"]]
    assert {d["directive"]: d["args"][0] for d in upgrade} == {"default": "", "~*^websocket$": "websocket"}


def test_sizes_and_silences_are_those_of_the_route(conf: list[dict[str, Any]]) -> None:
    found = locations(conf)
    assert values(found["^/sticky(?:/|$)"], "client_max_body_size") == [[str(2 * 1024**3)]]
    assert values(found["/"], "client_max_body_size") == [[str(1024**2)]]
    assert values(found["^/live(?:/|$)"], "proxy_read_timeout") == [["3600s"]]
    assert values(found["/"], "proxy_read_timeout") == [["60s"]]


def test_brotli_is_there_unless_it_is_switched_off(tmp_path: Path) -> None:
    with_it, without = (plan(spec_of(ROUTES[0], brotli=brotli)) for brotli in (True, False))
    assert arguments(read(text_of(with_it), tmp_path), "brotli") == [["on"]]
    assert "brotli" not in text_of(without)
    assert arguments(read(text_of(without), tmp_path), "gzip") == [["on"]]
    assert (with_it.containers[0].image, with_it.version) != (without.containers[0].image, without.version)


def test_an_image_of_ones_own_takes_the_place_of_both() -> None:
    workload = plan(spec_of(ROUTES[0], image="registry.example/nginx:1.30.4-br"))
    assert (workload.containers[0].image, workload.version) == ("registry.example/nginx:1.30.4-br", "1.30.4-br")


def test_the_log_is_json_without_the_query_or_a_referrer(conf: list[dict[str, Any]]) -> None:
    (layout,) = arguments(conf, "log_format")
    fields = json.loads(layout[-1])
    assert layout[1] == "escape=json"
    assert not {"$request", "$request_uri", "$args", "$query_string", "$http_referer", "$uri"} & set(fields.values())
    path = next(m["block"] for m in named(conf, "map") if m["args"][-1] == "$logged_path")
    pattern = (
        next(d["directive"] for d in path if d["directive"].startswith("~")).removeprefix("~").replace("?<", "?P<")
    )
    match = re.match(pattern, "/reset?token=sesame")
    assert match
    assert match["path_alone"] == "/reset"


def test_the_cause_of_errors_is_logged_only_on_demand(tmp_path: Path) -> None:
    """Lines of level `error` hold the whole URL."""
    quiet = read(text_of(plan(spec_of(ROUTES[0]))), tmp_path)
    http = next(d["block"] for d in quiet if d["directive"] == "http")
    assert values(http, "error_log") == [["stderr", "crit"]]
    assert "error_log stderr error;" in text_of(plan(spec_of(ROUTES[0], error_log="error")))


def test_a_clients_address_is_believed_from_trusted_proxies_only(tmp_path: Path) -> None:
    assert "real_ip" not in text_of(plan(spec_of(ROUTES[0])))
    conf = read(text_of(plan(spec_of(ROUTES[0], trusted_proxies=["10.0.0.0/8", "2001:db8::/32"]))), tmp_path)
    assert arguments(conf, "set_real_ip_from") == [["10.0.0.0/8"], ["2001:db8::/32"]]


def test_strangers_get_no_handshake_and_a_foreign_host_header_no_answer(conf: list[dict[str, Any]]) -> None:
    default = server(conf, "default_server")
    assert values(default, "ssl_reject_handshake") == [["on"]]
    assert values(default, "return") == [["421"]]


def test_a_worker_per_core_reserved() -> None:
    def workers(cpu: str) -> str:
        return text_of(plan(spec_of(ROUTES[0], resources={"cpu": cpu}))).split(";")[0]

    assert [workers(cpu) for cpu in ("100m", "1", "1500m", "4", "0.5")] == [
        f"worker_processes {count}" for count in (1, 1, 2, 4, 1)
    ]


def test_a_route_to_something_else_than_https_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        plan(spec_of(*ROUTES), api=binding_of("api", ServiceRecordNames(), "postgresql", 5432))
    assert [str(p) for p in caught.value.problems] == [
        f"groundwork:services.gateway.routes.{index}.to: api given; it speaks postgresql; a route needs https; "
        "name a service that speaks it"
        for index in (1, 2, 4, 5)
    ]


SEGMENT = st.from_regex(r"[ab.]{1,2}", fullmatch=True).filter(lambda s: s.strip("."))
PATH = st.lists(SEGMENT, max_size=3).map(lambda parts: "/" + "/".join(parts))
OPTIONS = st.fixed_dictionaries(
    {"to": st.sampled_from(["api", "web"]), "balance": st.sampled_from(["round-robin", "least-conn", "ip-hash"])},
    optional={
        "websocket": st.booleans(),
        "rate_limit": st.builds(dict, requests=st.integers(1, 99)),
        "cache": st.builds(dict, max_age=st.sampled_from(["1s", "7d"])),
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(routes=st.dictionaries(PATH, OPTIONS, min_size=1, max_size=6), asked=PATH)
def test_any_set_of_routes_renders_and_the_longest_path_wins(
    tmp_path: Path, routes: dict[str, dict[str, Any]], asked: str
) -> None:
    conf = read(text_of(plan(spec_of(*({"path": path, **route} for path, route in routes.items())))), tmp_path)
    upstreams = [args[0] for args in arguments(conf, "upstream")]
    assert len(upstreams) == len(set(upstreams))
    assert {args[0].removeprefix("https://") for args in arguments(conf, "proxy_pass")} - {
        "127.0.0.1:8443/-/ready"
    } == set(upstreams)
    zones = {args[1].split(":")[0] for args in arguments(conf, "limit_req_zone")}
    assert {args[0] for args in arguments(conf, "limit_req")} == zones
    below = [f"{path.rstrip('/')}/{end}" for path in routes for end in ("x", "a")]
    beside = [f"{path}{end}" for path in routes for end in ("x", "a")]
    for path in (asked, *routes, *below, *beside):
        assert chosen(conf, path) == wanted(routes, path), path


def chosen(conf: list[dict[str, Any]], path: str) -> str | None:
    """The upstream nginx would take: the first expression that matches, else the prefix `/`."""
    found = [d for d in server(conf, "www.example.com") if d["directive"] == "location" and d["args"][0] != "="]
    expressions = [d for d in found if d["args"][0] == "~" and re.search(d["args"][1], path)]
    block = (expressions or [d for d in found if d["args"] == ["/"]])[0]["block"]
    targets = values(block, "proxy_pass")
    return targets[0][0].removeprefix("https://") if targets else None


def wanted(routes: dict[str, dict[str, Any]], path: str) -> str | None:
    fitting = [p for p in routes if p == "/" or path == p or path.startswith(f"{p}/")]
    if not fitting:
        return None
    route = routes[max(fitting, key=len)]
    return f"{route['to']}_{route['balance']}"
