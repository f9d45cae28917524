"""What a person decides about a gateway: names, routes, size and what browsers are told."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.core.problems import WrongFields
from components.core.routes import Route, route_problems, targets
from components.core.spec import ServiceSpec
from components.core.types import Cidr, Fqdn, ImageRef

RESERVED = "/-"
"""Below this path the gateway answers itself."""


def _header_value(value: str) -> str:
    if not value.isascii() or not value.isprintable() or set(value) & set('"\\$'):
        raise ValueError('allowed: printable ASCII without ", \\ and $')
    return value


HeaderValue = Annotated[str, AfterValidator(_header_value)]


class NginxSpec(ServiceSpec):
    """A gateway: the one way in, under its own names, by TLS 1.3 only."""

    hosts: tuple[Fqdn, ...]
    """Names it is reached by from outside; a client that asks for another one is refused."""
    routes: tuple[Route, ...]
    """Which path goes to which service."""
    replicas: int = Field(default=1, ge=1, le=50)
    """Instances. Default 1."""
    brotli: bool = True
    """Whether responses are compressed with brotli besides gzip. Default yes; the official image lacks its module, so
    another one runs then."""
    image: ImageRef | None = None
    """An image of your own with nginx 1.27.3 or later, and its brotli module where `brotli` is on."""
    content_security_policy: HeaderValue = (
        "default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )
    """Content-Security-Policy of responses whose service sends none. Default: everything from the same origin."""
    trusted_proxies: tuple[Cidr, ...] = ()
    """Networks of load balancers in front, whose X-Forwarded-For is believed. Default none: the peer is the client."""
    error_log: Literal["crit", "error"] = "crit"
    """`error` adds the cause of each failed request, but with its whole URL and so what clients put there."""

    @property
    def edges(self) -> tuple[str, ...]:
        """Services it uses and services its routes lead to."""
        return tuple(dict.fromkeys((*self.uses, *targets(self.routes))))

    @model_validator(mode="after")
    def _consistent(self) -> "NginxSpec":
        wrong = (*self._missing(), *self._repeated_hosts(), *route_problems(self.routes), *self._reserved_paths())
        if wrong:
            raise WrongFields(*wrong)
        return self

    def _missing(self) -> Iterator[tuple[str, str]]:
        if not self.hosts:
            yield "hosts", "an empty list given; a gateway has a name; add one such as api.example.com"
        if not self.routes:
            yield "routes", "an empty list given; a gateway leads somewhere; add one such as {path: /, to: SERVICE}"

    def _repeated_hosts(self) -> Iterator[tuple[str, str]]:
        for index, host in enumerate(self.hosts):
            if host in self.hosts[:index]:
                yield f"hosts.{index}", f"{host} given; it is in the list already; remove it"

    def _reserved_paths(self) -> Iterator[tuple[str, str]]:
        for index, route in enumerate(self.routes):
            if f"{route.path}/".startswith(f"{RESERVED}/"):
                text = f"{route.path} given; {RESERVED} belongs to the gateway itself; choose another path"
                yield f"routes.{index}.path", text
