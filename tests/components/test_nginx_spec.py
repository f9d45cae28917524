"""What a gateway's spec refuses, and the words in which it does."""

from typing import Any

import pytest

from components.core.problems import ConfigError
from components.core.routes import Balance, Route, targets
from components.nginx import NginxSpec
from stacks.config import parse

ENVIRONMENT = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1"]},
    "owner": "team-platform",
}
ROUTE = {"path": "/", "to": "api"}
GATEWAY = "groundwork:services.gateway"


def problems(gateway: dict[str, Any], **services: Any) -> list[str]:
    app = {"kind": "app", "image": "registry.example/api:1.0"}
    base = {"kind": "nginx", "hosts": ["api.example.com"], "routes": [ROUTE]}
    with pytest.raises(ConfigError) as caught:
        parse("test", ENVIRONMENT, {"api": app, **services, "gateway": {**base, **gateway}})
    return [str(problem) for problem in caught.value.problems]


def test_mistakes_in_several_routes_are_named_together() -> None:
    routes = [
        {"path": "/a", "to": "api"},
        {"path": "/a", "to": "api"},
        {"path": "/-/ready", "to": "api"},
        {"path": "/", "to": "api", "strip_prefix": True},
    ]
    assert problems({"routes": routes, "hosts": ["a.example.com", "b.example.com", "a.example.com"]}) == [
        f"{GATEWAY}.hosts.2: a.example.com given; it is in the list already; remove it",
        f"{GATEWAY}.routes.1.path: /a given; routes.0 has this path already; remove one of the two",
        f"{GATEWAY}.routes.2.path: /-/ready given; /- belongs to the gateway itself; choose another path",
        f"{GATEWAY}.routes.3.strip_prefix: true given; there is nothing to strip from /; remove it",
    ]


def test_a_route_to_an_unknown_service_is_answered_like_an_unknown_use() -> None:
    (problem,) = problems({"routes": [{"path": "/", "to": "apii"}]})
    assert problem.startswith(f"{GATEWAY}.routes.0.to: apii given; no service has that name; did you mean api?")


def test_a_misspelt_key_of_a_route_is_recognised() -> None:
    (problem,) = problems({"routes": [{**ROUTE, "balence": "ip-hash"}]})
    assert problem == (
        f"{GATEWAY}.routes.0.balence: unknown key; did you mean `balance`? Allowed: balance, body_limit, cache, path, "
        "rate_limit, strip_prefix, timeout, to, websocket"
    )


@pytest.mark.parametrize(
    ("gateway", "expected"),
    [
        (
            {"routes": []},
            "routes: an empty list given; a gateway leads somewhere; add one such as {path: /, to: SERVICE}",
        ),
        ({"hosts": []}, "hosts: an empty list given; a gateway has a name; add one such as api.example.com"),
        (
            {"hosts": ["API.example.com"]},
            "hosts.0: API.example.com given; allowed: a lower-case DNS name such as api.example.com",
        ),
        (
            {"routes": [{**ROUTE, "balance": "leastconn"}]},
            ("routes.0.balance: leastconn given; allowed: round-robin, least-conn, ip-hash; did you mean least-conn?"),
        ),
        (
            {"trusted_proxies": ["10.0.0.1/8"]},
            "trusted_proxies.0: 10.0.0.1/8 given; allowed: a network such as 10.0.0.0/8 or 2001:db8::/32",
        ),
        (
            {"content_security_policy": "default-src 'self'\n; x"},
            "content_security_policy: default-src 'self'\\n; x given; allowed: printable ASCII without \", \\ and $",
        ),
        (
            {"routes": [{**ROUTE, "rate_limit": {"requests": 0}}]},
            "routes.0.rate_limit.requests: 0 given; at least 1 is needed (Requests allowed per unit of time)",
        ),
        (
            {"routes": [{**ROUTE, "timeout": "1 minute"}]},
            "routes.0.timeout: 1 minute given; allowed: a time such as 30s, 15m, 12h or 90d",
        ),
    ],
)
def test_each_mistake_has_its_message(gateway: dict[str, Any], expected: str) -> None:
    assert problems(gateway) == [f"{GATEWAY}.{expected}"]


@pytest.mark.parametrize(
    "path", ["api", "/api/", "//api", "/a b", "/..", "/a/../b", "/.", '/a"b', "/a{b", "/a;b", "/$x"]
)
def test_a_path_that_is_none_is_refused(path: str) -> None:
    assert problems({"routes": [{"path": path, "to": "api"}]}) == [
        f"{GATEWAY}.routes.0.path: {path} given; allowed: a path such as / or /api/v1, no slash at its end"
    ]


def test_a_gateway_uses_what_its_routes_lead_to() -> None:
    routes = [Route(path=path, to=to) for path, to in (("/", "web"), ("/api", "api"), ("/v2", "api"))]
    spec = NginxSpec(kind="nginx", owner="team", hosts=("a.example.com",), routes=tuple(routes), uses=("api", "docs"))
    assert spec.edges == ("api", "docs", "web")
    assert targets(routes) == ("web", "api")


def test_a_websocket_may_be_silent_for_longer_unless_told_otherwise() -> None:
    assert [
        Route(path="/", to="api").silence,
        Route(path="/", to="api", websocket=True).silence,
        Route(path="/", to="api", websocket=True, timeout="5m").silence,
    ] == [60, 3600, 300]


def test_the_balancing_methods_are_those_of_the_language() -> None:
    assert {balance.value for balance in Balance} == {"round-robin", "least-conn", "ip-hash"}
