"""Routes of a gateway as data: which path goes to which service, and how. The same for every gateway.

Knows no gateway's configuration language, and no hosts: a gateway serves all its routes under all its names.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import Field

from components.core.spec import Spec
from components.core.types import DnsLabel, Duration, Memory, UrlPath, seconds_of

_WEBSOCKET_SILENCE = 3600


class Balance(StrEnum):
    """How requests are spread over the instances of a service."""

    ROUND_ROBIN = "round-robin"
    LEAST_CONN = "least-conn"
    IP_HASH = "ip-hash"


class RateLimit(Spec):
    """How often one client address may call. A request above it is answered with 429."""

    requests: int = Field(ge=1, le=100_000)
    """Requests allowed per unit of time."""
    per: Literal["second", "minute"] = "second"
    """The unit of time. Default second."""
    burst: int = Field(default=20, ge=0, le=100_000)
    """Requests above the rate that are let through at once before any is refused. Default 20."""


class Caching(Spec):
    """What clients and proxies may keep of successful responses; errors are never kept."""

    max_age: Duration
    """How long a response may be used without asking again."""
    public: bool = False
    """Whether proxies may keep it too, for everybody. Default no: only the client that asked."""
    immutable: bool = False
    """Whether the content behind a URL never changes, as with names that hold a digest. Default no."""

    @property
    def header(self) -> str:
        """Value of Cache-Control (RFC 9111, RFC 8246)."""
        scope = "public" if self.public else "private"
        return f"{scope}, max-age={seconds_of(self.max_age)}{', immutable' if self.immutable else ''}"


class Route(Spec):
    """Requests to a path and everything below it go to one service."""

    path: UrlPath
    """Path, matched by whole segments: `/api` takes `/api` and `/api/x`, not `/apix`. The longest match wins."""
    to: DnsLabel
    """Service that answers. It is an edge: it need not be named under `uses` too."""
    balance: Balance = Balance.ROUND_ROBIN
    """How requests are spread over the service's instances. Default round-robin."""
    websocket: bool = False
    """Whether connections may be upgraded to WebSocket. Default no."""
    rate_limit: RateLimit | None = None
    """Limit per client address. Default none."""
    cache: Caching | None = None
    """Caching headers, in place of the service's own. Default: the service decides."""
    timeout: Duration | None = None
    """Longest silence of the service. Default 60s, and 1h where WebSocket is on."""
    body_limit: Memory = "1Mi"
    """Largest request body; a larger one is answered with 413. Default 1Mi."""
    strip_prefix: bool = False
    """Whether the service sees the path without the route's own. Default no."""

    @property
    def silence(self) -> int:
        """Longest silence of the service, in seconds."""
        if self.timeout:
            return seconds_of(self.timeout)
        return _WEBSOCKET_SILENCE if self.websocket else 60


def targets(routes: Sequence[Route]) -> tuple[str, ...]:
    """Every service that a route leads to, named once, in the order written."""
    return tuple(dict.fromkeys(route.to for route in routes))


def route_problems(routes: Sequence[Route]) -> Iterator[tuple[str, str]]:
    """What is wrong with routes together: (field, text) pairs."""
    first: dict[str, int] = {}
    for index, route in enumerate(routes):
        if route.path in first:
            text = f"{route.path} given; routes.{first[route.path]} has this path already; remove one of the two"
            yield f"routes.{index}.path", text
        first.setdefault(route.path, index)
        if route.strip_prefix and route.path == "/":
            yield f"routes.{index}.strip_prefix", "true given; there is nothing to strip from /; remove it"
