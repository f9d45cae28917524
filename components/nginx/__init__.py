"""nginx as the environment's gateway: TLS 1.3 only, routes from the graph, limits, compression, security headers.

Every route is an edge: it yields a network edge, a client certificate and deploy order. It deliberately has no
plaintext port, not even one that redirects, and serves no files of its own.
"""

from typing import Any

import pulumi

from components.core.bindings import Endpoint
from components.core.component import Component, Context
from components.core.mounts import contents
from components.core.site import Placement
from components.nginx.plan import internal_hosts, plan_nginx, version_of
from components.nginx.render import PUBLISHED
from components.nginx.spec import NginxSpec

__all__ = ["Nginx", "NginxSpec"]


class Nginx(Component):
    """A gateway in front of services that speak HTTPS.

    Example:
        routes = [{"path": "/api", "to": "api", "balance": "least-conn", "rate_limit": {"requests": 50}}]
        spec = NginxSpec(kind="nginx", owner="team-platform", hosts=["api.example.com"], routes=routes)
        gateway = Nginx("gateway", spec, context)
    """

    spec_type = NginxSpec
    token = "groundwork:gateway:Nginx"  # noqa: S105 (a type token)

    def __init__(
        self, name: str, spec: NginxSpec, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        workload = plan_nginx(name, spec, context.site, context.bindings)
        super().__init__(
            name,
            spec,
            context,
            listeners=workload.listeners,
            version=workload.version,
            replicas=spec.replicas,
            opts=opts,
        )
        self._external, self._internal = spec.hosts, internal_hosts(name, context.site)
        self._outside = spec.publish or PUBLISHED
        self._inside = context.site.names.port(workload.listeners[0])
        certificate = context.issuer.server(name, (*self._external, *self._internal), self)
        context.target.realise(self, workload, contents(certificate, context.bindings))
        self.finish(hosts=list(self._external))

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """A port of one machine leads to one instance."""
        wrong = super().check(spec, target, placement)
        if target == "docker" and spec.replicas > 1:
            wrong.append(("replicas", f"{spec.replicas} given; on docker they can't share a port; set replicas: 1"))
        return wrong

    @classmethod
    def systems(cls, spec: Any) -> dict[str, str]:
        """nginx, with brotli or without."""
        return {"nginx": version_of(spec)}

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its names outside, then inside."""
        outside = tuple(
            Endpoint(self.name, host, self._outside, "https", "server", external=True) for host in self._external
        )
        return (*outside, *(Endpoint(self.name, host, self._inside, "https", "server") for host in self._internal))
