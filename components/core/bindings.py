"""The only values that cross an edge between two services.

Plain facts are plain, so plans and policies can read them; only what a running component produced is an Output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import pulumi


@dataclass(frozen=True)
class Endpoint:
    """Where a service listens and how it is protected."""

    service: str
    host: str
    port: int
    protocol: str
    """Application protocol: https, postgresql, redis, ..."""
    tls: str
    """`server`: the server proves itself. `mutual`: the client does too."""
    external: bool = False
    """Whether it is meant to be reached from outside the environment."""

    @property
    def url(self) -> str:
        """The endpoint as a URL without credentials."""
        return f"{self.protocol}://{self.host}:{self.port}"


@dataclass(frozen=True)
class Certificate:
    """A key pair issued by the environment's authority. All PEM."""

    ca: pulumi.Input[str]
    """The root to trust."""
    chain: pulumi.Input[str]
    """Leaf first, then the intermediate."""
    key: pulumi.Input[str]
    """Private key, PKCS #8."""

    def files(self, prefix: str = "") -> dict[str, pulumi.Input[str]]:
        """Its three files under the names servers expect: ca.crt, tls.crt, tls.key."""
        return {f"{prefix}ca.crt": self.ca, f"{prefix}tls.crt": self.chain, f"{prefix}tls.key": self.key}


class Issuer(Protocol):
    """Whoever issues certificates for an environment."""

    def server(self, service: str, hosts: tuple[str, ...], parent: pulumi.Resource) -> Certificate:
        """A certificate a service presents. `hosts`: every name it is dialled by; the first that fits is the common
        name."""
        ...

    def client(self, consumer: str) -> Certificate:
        """The certificate by which `consumer` proves itself, to whichever service; its common name is the consumer."""
        ...


@dataclass(frozen=True)
class Reach:
    """Pods that an edge connects to: instances of `service`, on these ports."""

    service: str
    ports: tuple[int, ...]
    outside: bool = False
    """Whether the service runs outside of the environment: at addresses that nobody here can name."""


@dataclass(frozen=True)
class Instances:
    """How DNS names every instance of a service that is ready, for clients that balance over them themselves."""

    host: str
    """Resolves to the address of each instance."""
    names: tuple[str, ...] = ()
    """A name of its own for each instance, where the target gives one."""
    srv: str = ""
    """Name of the port in SRV records, `_{srv}._tcp.{host}`, where the target publishes them. They give each instance a
    name of its own, by which independent clients agree on who is who."""


@dataclass(frozen=True)
class Binding:
    """What a consumer receives for one `uses` edge."""

    endpoint: Endpoint
    settings: Mapping[str, str]
    """Connection settings that are no secret, upper-case without the service's name: HOST, PORT, DATABASE."""
    files: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    """Secret files by name: password, url, ca.crt, tls.crt, tls.key."""
    reach: tuple[Reach, ...] = ()
    """Network edges the consumer needs."""
    instances: Instances | None = None
    """How to dial each instance, where clients may choose one; else they dial the endpoint."""
