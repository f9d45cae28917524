"""Routes -> the parts of nginx.conf that serve them: upstreams, maps, rate limits and locations. Pure.

nginx documentation: ngx_http_upstream_module, ngx_http_proxy_module, ngx_http_limit_req_module. A
location that has one add_header, proxy_set_header or proxy_hide_header inherits none, so it repeats them all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from components.core.bindings import Binding
from components.core.mounts import directory
from components.core.routes import Balance, Route
from components.core.types import bytes_of

_HIDDEN = (
    "X-Powered-By",
    "Strict-Transport-Security",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "Referrer-Policy",
)
"""Headers of a service that the gateway sets itself or keeps to itself; nginx drops Server by default."""
_REQUEST_HEADERS = {
    "Host": "$host",
    "Connection": "",
    "Forwarded": "",
    "Proxy": "",
    "X-Forwarded-For": "$remote_addr",
    "X-Forwarded-Host": "$host",
    "X-Forwarded-Prefix": "",
    "X-Forwarded-Proto": "https",
    "X-Real-IP": "$remote_addr",
    "X-Request-ID": "$request_id",
}
"""Headers a service gets. What a client claims of itself is replaced; an empty value is not sent."""


@dataclass(frozen=True)
class Upstream:
    """The instances of one service, balanced in one way."""

    service: str
    balance: Balance
    binding: Binding

    @property
    def name(self) -> str:
        """Name of its upstream block."""
        return f"{self.service}_{self.balance.value}"


def upstreams_of(routes: Sequence[Route], bindings: Mapping[str, Binding]) -> tuple[Upstream, ...]:
    """The upstreams that routes need, each once."""
    wanted = dict.fromkeys((route.to, route.balance) for route in routes)
    return tuple(Upstream(service, balance, bindings[service]) for service, balance in wanted)


def render_upstream(upstream: Upstream) -> Iterator[str]:
    """One upstream block. Addresses are asked for anew all the time, so instances may come and go.

    Balancing by client address hashes the instances' own names, so that every gateway sends a client to the same
    instance; the order of addresses, which `ip_hash` goes by, differs from gateway to gateway.
    """
    yield f"upstream {upstream.name} {{"
    yield f"    zone {upstream.name} 256k;"
    if upstream.balance is Balance.LEAST_CONN:
        yield "    least_conn;"
    elif upstream.balance is Balance.IP_HASH:
        yield "    hash $remote_addr consistent;"
    for server in _servers(upstream.binding):
        yield f"    server {server} resolve max_fails=2 fail_timeout=5s;"
    yield "    keepalive 32;"
    yield "}"


def _servers(binding: Binding) -> Iterator[str]:
    """Its instances: found by their SRV records, named one by one, or behind the service's own name."""
    instances, port = binding.instances, binding.endpoint.port
    if instances and instances.srv:
        yield f"{instances.host} service={instances.srv}"
    elif instances and instances.names:
        yield from (f"{name}:{port}" for name in instances.names)
    else:
        yield f"{binding.endpoint.host}:{port}"


def render_shared(routes: Sequence[Route]) -> Iterator[str]:
    """What locations refer to and what must stand outside them: rate limit zones and caching policies."""
    for index, route in enumerate(routes):
        if route.rate_limit:
            rate = f"{route.rate_limit.requests}r/{route.rate_limit.per[0]}"
            yield f"limit_req_zone $binary_remote_addr zone=limit_{index}:10m rate={rate};"
        if route.cache:
            yield f'map $status $cache_{index} {{ default "no-store"; ~^[23] "{route.cache.header}"; }}'


def render_proxying() -> Iterator[str]:
    """What holds for every route unless its location says otherwise."""
    yield "proxy_ssl_protocols TLSv1.3;"
    yield "proxy_ssl_verify on;"
    yield "proxy_ssl_verify_depth 2;"
    yield "proxy_ssl_server_name on;"
    yield from _request_headers(_REQUEST_HEADERS)
    yield from _hidden(_HIDDEN)


def render_locations(
    routes: Sequence[Route], bindings: Mapping[str, Binding], security: Sequence[str]
) -> Iterator[str]:
    """A location per route, the longest path first, since the first expression that matches wins.

    `security`: the headers of the server around, repeated where a location adds one of its own.
    """
    order = sorted(enumerate(routes), key=lambda item: (-len(item[1].path), item[1].path))
    for index, route in order:
        yield f"location {_pattern(route.path)} {{"
        yield from (f"    {line}" for line in _location(index, route, bindings[route.to], security))
        yield "}"
    if not any(route.path == "/" for route in routes):
        yield "location / { return 404; }"


def _pattern(path: str) -> str:
    return "/" if path == "/" else f'~ "^{_escaped(path)}(?:/|$)"'


def _escaped(path: str) -> str:
    return path.replace(".", r"\.")


def _location(index: int, route: Route, binding: Binding, security: Sequence[str]) -> Iterator[str]:
    if route.rate_limit:
        burst = f" burst={route.rate_limit.burst} nodelay" if route.rate_limit.burst else ""
        yield f"limit_req zone=limit_{index}{burst};"
    if route.cache:
        yield from security
        yield f"add_header Cache-Control $cache_{index} always;"
        yield from _hidden((*_HIDDEN, "Cache-Control", "Expires"))
    yield f"client_max_body_size {bytes_of(route.body_limit)};"
    if route.strip_prefix:
        yield f'rewrite "(?s)^{_escaped(route.path)}(?:/(.*))?$" /$1 break;'
    if route.websocket or route.strip_prefix:
        yield from _request_headers(_headers_of(route))
    yield f"proxy_pass https://{route.to}_{route.balance.value};"
    yield from _identity(route.to, binding)
    yield f"proxy_read_timeout {route.silence}s;"
    yield f"proxy_send_timeout {route.silence}s;"


def _identity(service: str, binding: Binding) -> Iterator[str]:
    """The service must prove its name; where the edge yields a client certificate, the gateway proves its own."""
    folder = directory(service)
    yield f"proxy_ssl_name {binding.endpoint.host};"
    yield f"proxy_ssl_trusted_certificate {folder}/ca.crt;"
    if "tls.crt" in binding.files:
        yield f"proxy_ssl_certificate {folder}/tls.crt;"
        yield f"proxy_ssl_certificate_key {folder}/tls.key;"


def _headers_of(route: Route) -> dict[str, str]:
    """Only `websocket` is ever passed on as an upgrade: with `h2c` a client could tunnel past the gateway."""
    headers = dict(_REQUEST_HEADERS)
    if route.websocket:
        headers |= {"Connection": "$connection_upgrade", "Upgrade": "$websocket_upgrade"}
    if route.strip_prefix:
        headers["X-Forwarded-Prefix"] = route.path
    return headers


def _request_headers(headers: Mapping[str, str]) -> Iterator[str]:
    return (f'proxy_set_header {name} "{value}";' for name, value in headers.items())


def _hidden(headers: Sequence[str]) -> Iterator[str]:
    return (f"proxy_hide_header {header};" for header in headers)
