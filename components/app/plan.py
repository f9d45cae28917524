"""AppSpec -> the workload of an app. Pure: the same on every target."""

from collections.abc import Mapping

from components.app.settings import environment_of
from components.app.spec import AppSpec
from components.core.bindings import Binding, Reach
from components.core.catalogue import image_version
from components.core.mounts import edge_files, own_files
from components.core.site import Site
from components.core.types import seconds_of
from components.core.workload import Autoscale, Container, Listener, Probe, Scratch, Workload

LISTENER = "https"
_DRAIN_SECONDS = 8
"""A gateway looks names up every few seconds; until then it sends requests to an instance that is about to stop."""
_STARTUP_PERIOD = 3


def plan_app(name: str, spec: AppSpec, site: Site, bindings: Mapping[str, Binding]) -> Workload:
    """Plan an app. Raises ConfigError where two sources set the same environment variable."""
    scaling, consumers = spec.replicas, site.consumers_of(name)
    scaled = scaling.max > scaling.min
    secrets = (*own_files(), *edge_files(name, bindings))
    return Workload(
        name=name,
        kind="app",
        version=image_version(spec.image),
        containers=(_container(name, spec, site, bindings),),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=spec.uid,
        replicas=scaling.min,
        headless=bool(consumers),
        secrets=secrets,
        scratch=(Scratch("tmp", "/tmp", spec.scratch),),  # noqa: S108 (the container's own)
        callers=tuple(Reach(consumer, (spec.port,)) for consumer in consumers),
        reaches=tuple(reach for used in spec.edges for reach in bindings[used].reach),
        publish=spec.publish or 0,
        drain_seconds=_DRAIN_SECONDS,
        autoscale=Autoscale(scaling.min, scaling.max, scaling.cpu_percent) if scaled else None,
    )


def certificate_hosts(name: str, site: Site) -> tuple[str, ...]:
    """Every name it is dialled by; `localhost` is for probes by command."""
    return (site.names.host(name), name, site.names.instances(name, LISTENER, 1).host, "localhost")


def _container(name: str, spec: AppSpec, site: Site, bindings: Mapping[str, Binding]) -> Container:
    probes, live = spec.probes, _probe(spec.probes.live_command, spec.probes.live, spec.port, period=10, failures=6)
    return Container(
        name="app",
        image=site.image(spec.image),
        command=spec.command,
        args=spec.args,
        env=environment_of(name, spec, image_version(spec.image), site, bindings),
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        readiness=_probe(probes.ready_command, probes.ready, spec.port, period=5, failures=3),
        liveness=live,
        startup=_probe(
            probes.live_command, probes.live, spec.port, _STARTUP_PERIOD, seconds_of(probes.startup) // _STARTUP_PERIOD
        ),
        listeners=_listeners(spec),
    )


def _listeners(spec: AppSpec) -> tuple[Listener, ...]:
    main = Listener(LISTENER, spec.port, "https", "mutual" if spec.mutual else "server")
    if spec.metrics and spec.metrics.port:
        return (main, Listener("metrics", spec.metrics.port, "https", "server", service=False))
    return (main,)


def _probe(command: tuple[str, ...], path: str, port: int, period: int, failures: int) -> Probe:
    if command:
        return Probe(command=command, period=period, failures=failures)
    return Probe(path=path, port=port, period=period, failures=max(failures, 1))
