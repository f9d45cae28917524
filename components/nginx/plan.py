"""NginxSpec -> the workload of a gateway. Pure: the same on every target."""

from collections.abc import Iterator, Mapping

from components.core.bindings import Binding
from components.core.catalogue import CATALOGUE, image_version
from components.core.mounts import OWN, edge_files, own_files
from components.core.problems import ConfigError, Problem
from components.core.routes import targets
from components.core.scripting import scripts
from components.core.site import Site
from components.core.workload import Container, File, Listener, Probe, Scratch, Workload
from components.nginx import render
from components.nginx.spec import NginxSpec

_UID = 101
"""Of the user `nginx` in the vendor's images; every file nginx writes is in scratch space, so any other would do."""


def plan_nginx(name: str, spec: NginxSpec, site: Site, bindings: Mapping[str, Binding]) -> Workload:
    """Plan a gateway. Raises ConfigError for a route to a service that speaks no HTTP."""
    problems = list(_misdirected(name, spec, bindings))
    if problems:
        raise ConfigError(problems)
    files = {
        "nginx.conf": render.render_nginx_conf(spec, internal_hosts(name, site), bindings),
        **scripts("nginx", "start.sh"),
        "web.yml": render.render_web_config(),
    }
    return Workload(
        name=name,
        kind="nginx",
        version=version_of(spec),
        containers=(_server(spec, site), _exporter(site)),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        replicas=spec.replicas,
        files=tuple(File(f"{render.ETC}/{file}", content) for file, content in files.items()),
        secrets=(*own_files(), *edge_files(name, bindings)),
        scratch=(Scratch("run", render.RUN, "16Mi"),),
        reaches=tuple(reach for used in spec.edges for reach in bindings[used].reach),
        public=True,
        publish=spec.publish or 0,
        grace_seconds=40,
    )


def internal_hosts(name: str, site: Site) -> tuple[str, ...]:
    """Names it is reached by from inside the environment."""
    return (site.names.host(name),)


def version_of(spec: NginxSpec) -> str:
    """Version of nginx, or of an image of one's own."""
    return image_version(spec.image) if spec.image else CATALOGUE[_release(spec)].version


def _release(spec: NginxSpec) -> str:
    return "nginx-brotli" if spec.brotli else "nginx"


def _misdirected(name: str, spec: NginxSpec, bindings: Mapping[str, Binding]) -> Iterator[Problem]:
    wrong = {to for to in targets(spec.routes) if bindings[to].endpoint.protocol != "https"}
    for index, route in enumerate(spec.routes):
        if route.to in wrong:
            protocol = bindings[route.to].endpoint.protocol
            text = f"{route.to} given; it speaks {protocol}; a route needs https; name a service that speaks it"
            yield Problem(f"groundwork:services.{name}.routes.{index}.to", text)


def _server(spec: NginxSpec, site: Site) -> Container:
    return Container(
        name="nginx",
        image=site.image(spec.image or CATALOGUE[_release(spec)].reference),
        command=("/bin/sh", f"{render.ETC}/start.sh"),
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        readiness=Probe(path="/ready", port=render.HEALTH_PORT, period=5),
        liveness=Probe(path="/live", port=render.HEALTH_PORT, period=10, failures=6),
        listeners=(
            Listener("https", render.PORT, "https", "server", published=render.PUBLISHED),
            Listener("health", render.HEALTH_PORT, "https", "server", service=False),
        ),
    )


def _exporter(site: Site) -> Container:
    """nginx-prometheus-exporter's README, "Command-line Arguments". nginx's own figures come over a socket."""
    return Container(
        name="exporter",
        image=site.image(CATALOGUE["nginx-exporter"].reference),
        args=(
            f"--nginx.scrape-uri=unix:{render.STATUS_SOCKET}:/stub_status",
            f"--web.listen-address=:{render.METRICS_PORT}",
            f"--web.config.file={render.ETC}/web.yml",
        ),
        cpu="10m",
        memory="64Mi",
        readiness=Probe(path="/metrics", port=render.METRICS_PORT),
        liveness=Probe(path="/", port=render.METRICS_PORT, period=30, failures=5),
        listeners=(Listener("metrics", render.METRICS_PORT, "https", "server", service=False),),
        mounts=(render.ETC, render.RUN, OWN),
    )
