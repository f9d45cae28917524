"""Renders a gateway's configuration for tests and reads it back with a parser that is not ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crossplane  # type: ignore[import-untyped]

from components.core.bindings import Binding, Endpoint, Instances, Reach
from components.core.site import Placement, Site
from components.core.workload import Listener, Workload
from components.nginx import NginxSpec
from components.nginx.plan import plan_nginx

Directive = dict[str, Any]
FILES = {"ca.crt": "", "tls.crt": "", "tls.key": ""}


class PlainNames:
    """Names of a target whose DNS lists addresses only."""

    def host(self, service: str) -> str:
        return service

    def port(self, listener: Listener) -> int:
        return listener.published or listener.port

    def peer_suffix(self, service: str) -> str:
        return ""

    def instances(self, service: str, listener: str, replicas: int) -> Instances:
        return Instances(service, names=tuple(f"{service}-{index}" for index in range(replicas)))


class ServiceRecordNames(PlainNames):
    """Names of a target whose DNS has service records."""

    def host(self, service: str) -> str:
        return f"{service}.groundwork-test.svc"

    def instances(self, service: str, listener: str, replicas: int) -> Instances:
        return Instances(f"{service}-peers.groundwork-test.svc", srv=listener)


def spec_of(*routes: dict[str, Any], **more: Any) -> NginxSpec:
    """A gateway's spec."""
    fields = {"kind": "nginx", "owner": "team-test", "hosts": ["api.example.com", "www.example.com"], "routes": routes}
    return NginxSpec.model_validate({**fields, **more})


def plan(spec: NginxSpec, names: PlainNames | None = None, **bindings: Binding) -> Workload:
    """The plan of a gateway whose services all speak HTTPS unless a binding says otherwise."""
    names = names or ServiceRecordNames()
    found = {used: bindings.get(used) or binding_of(used, names) for used in spec.edges}
    return plan_nginx("gateway", spec, Site("test", Placement(region="eu-central-1"), names, {}), found)


def binding_of(service: str, names: PlainNames, protocol: str = "https", port: int = 8443) -> Binding:
    """What the edge to a service yields."""
    endpoint = Endpoint(service, names.host(service), port, protocol, "server")
    return Binding(endpoint, {}, FILES, (Reach(service, (port,)),), names.instances(service, "https", 2))


def text_of(workload: Workload) -> str:
    """nginx.conf of a plan."""
    return next(file.content for file in workload.files if file.path.endswith("nginx.conf"))


def read(text: str, folder: Path) -> list[Directive]:
    """The directives of a configuration; fails where the parser finds an error."""
    path = folder / "nginx.conf"
    path.write_text(text)
    payload = crossplane.parse(str(path), single=True, check_ctx=False)
    assert payload["errors"] == []
    directives: list[Directive] = payload["config"][0]["parsed"]
    return directives


def walk(directives: list[Directive]) -> Iterator[tuple[Directive, list[Directive]]]:
    """Every directive with those beside it."""
    for directive in directives:
        yield directive, directives
        yield from walk(directive.get("block", []))


def named(directives: list[Directive], name: str) -> list[Directive]:
    """Directives of this name, at any depth."""
    return [directive for directive, _ in walk(directives) if directive["directive"] == name]


def arguments(directives: list[Directive], name: str) -> list[list[str]]:
    """Arguments of the directives of this name, at any depth."""
    return [directive["args"] for directive in named(directives, name)]
