"""An app: any container that serves HTTPS itself, with its certificate and all that its edges yield.

Settings come as environment variables, secrets as files whose paths are in variables. It deliberately builds no image,
runs no proxy in front of the app and has no place for a secret of the app's own.
"""

from typing import Any

import pulumi

from components.app.plan import LISTENER, certificate_hosts, plan_app
from components.app.spec import AppSpec
from components.core.bindings import Binding, Endpoint, Reach
from components.core.component import Component, Context
from components.core.mounts import contents
from components.core.site import Placement

__all__ = ["App", "AppSpec"]


class App(Component):
    """A service of one's own.

    Example:
        spec = AppSpec(kind="app", owner="team-product", image="registry.example/api:1.4.2", uses=["cache"])
        api = App("api", spec, context)
        binding = api.bind("gateway")
    """

    spec_type = AppSpec
    token = "groundwork:app:App"  # noqa: S105 (a type token)

    def __init__(self, name: str, spec: AppSpec, context: Context, opts: pulumi.ResourceOptions | None = None) -> None:
        workload = plan_app(name, spec, context.site, context.bindings)
        listeners = workload.listeners
        super().__init__(
            name,
            spec,
            context,
            listeners=listeners,
            version=workload.version,
            replicas=workload.replicas,
            opts=opts,
        )
        self._listener = listeners[0]
        hosts = certificate_hosts(name, context.site)
        certificate = context.issuer.server(name, hosts, self)
        context.target.realise(self, workload, contents(certificate, context.bindings))
        self.finish(host=hosts[0], metrics=_metrics(spec))

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """One machine has nothing to scale over, and one port for one instance."""
        wrong = super().check(spec, target, placement)
        scaling = spec.replicas
        if target == "docker" and scaling.max > scaling.min:
            wrong.append(("replicas.max", f"{scaling.max} given; docker does not scale; set replicas: {scaling.min}"))
        return [*wrong, *cls.shared_port(spec, target, scaling.min)]

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Its one endpoint, inside the environment."""
        names, listener = self.context.site.names, self._listener
        return (Endpoint(self.name, names.host(self.name), listener.port, listener.protocol, listener.tls),)

    def connect(self, consumer: str) -> Binding:
        """Its address, a client certificate for `consumer`, and how to find each instance."""
        endpoint = self.endpoints()[0]
        return Binding(
            endpoint=endpoint,
            settings={"HOST": endpoint.host, "PORT": str(endpoint.port), "URL": endpoint.url},
            files=self.context.issuer.client(consumer).files(),
            reach=(Reach(self.name, (endpoint.port,)),),
            instances=self.context.site.names.instances(self.name, LISTENER, self.facts["replicas"]),
        )


def _metrics(spec: AppSpec) -> dict[str, Any] | None:
    return {"path": spec.metrics.path, "port": spec.metrics.port or spec.port} if spec.metrics else None
