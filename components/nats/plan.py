"""NatsSpec -> the workload of a NATS and the facts its consumers get. Pure: the same on every target."""

from collections.abc import Iterator
from dataclasses import dataclass

from components.core.backups.contract import makes_backups, part_of
from components.core.bindings import Reach
from components.core.catalogue import CATALOGUE
from components.core.exporter import METRICS, file_exporter, web_config
from components.core.mounts import OWN, own_files
from components.core.peers import PeersPlan
from components.core.problems import ConfigError, Problem, strangers
from components.core.scripting import scripts
from components.core.site import Site, peer_hosts
from components.core.workload import Container, File, Listener, Probe, Scratch, Volume, Workload
from components.nats import render
from components.nats.access import User, administrator, backup_user, consumer_user
from components.nats.render import DATA, ETC, MONITOR_PORT, PORT, SCRATCH
from components.nats.spec import NatsSpec

_UID = 1000
"""Of the user `nats` in nats-box; the server's image knows no user of its own."""


@dataclass(frozen=True)
class NatsPlan(PeersPlan):
    """Everything that follows from a spec and its surroundings."""

    users: tuple[User, ...]
    """Who may connect: the servers' own helper first, then one per consumer, then who makes the backups."""


def plan_nats(name: str, spec: NatsSpec, site: Site) -> NatsPlan:
    """Plan a NATS. Raises ConfigError where a stream names a service that doesn't use it."""
    consumers = site.consumers_of(name)
    problems = list(_strangers(name, spec, consumers))
    if problems:
        raise ConfigError(problems)
    host, peers = site.names.host(name), peer_hosts(site.names, name, spec.replicas)
    parts = (part_of(name),) if makes_backups(spec) else ()
    users = (
        administrator(host, restores=spec.restore is not None),
        *(consumer_user(consumer, spec.streams) for consumer in consumers),
        *map(backup_user, parts),
    )
    workload = Workload(
        name=name,
        kind="nats",
        version=CATALOGUE["nats"].version,
        containers=(_server(spec, site), _streams(site), file_exporter(site, f"{ETC}/exporter.yml")),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        replicas=spec.replicas,
        stateful=True,
        files=_files(name, spec, users, site),
        secrets=own_files(),
        volumes=(Volume("data", DATA, spec.storage),),
        scratch=(Scratch("metrics", METRICS, "16Mi"), Scratch("tmp", SCRATCH, "16Mi")),
        callers=tuple(Reach(one, (PORT,)) for one in (*consumers, *parts)),
        peers=(render.CLUSTER_PORT,) if spec.replicas > 1 else (),
        publish=spec.publish or 0,
        parallel_start=spec.replicas > 1,
        grace_seconds=60,
    )
    return NatsPlan(workload, host, peers, users)


def _strangers(name: str, spec: NatsSpec, consumers: tuple[str, ...]) -> Iterator[Problem]:
    for index, stream in enumerate(spec.streams):
        for field, services in (("publishers", stream.publishers), ("consumers", stream.consumers)):
            yield from strangers(name, f"streams.{index}.{field}", services or (), consumers)


def _server(spec: NatsSpec, site: Site) -> Container:
    """NATS documentation, "Monitoring": /healthz. It has started when it has caught up with every stream."""
    listeners = (
        Listener("nats", PORT, "nats", "mutual"),
        *([Listener("cluster", render.CLUSTER_PORT, "nats", "mutual", service=False)] if spec.replicas > 1 else []),
        Listener("monitor", MONITOR_PORT, "https", "server", service=False),
    )
    return Container(
        name="nats",
        image=site.image(CATALOGUE["nats"].reference),
        command=("/bin/sh", f"{ETC}/start.sh"),
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        readiness=Probe(path="/healthz?js-server-only=true", port=MONITOR_PORT, period=5),
        liveness=Probe(path="/healthz?js-enabled-only=true", port=MONITOR_PORT, failures=6),
        startup=Probe(path="/healthz", port=MONITOR_PORT, period=3, timeout=5, failures=200),
        env=render.memory_limit(spec.resources.memory),
        listeners=listeners,
        mounts=(ETC, OWN, DATA),
    )


def _streams(site: Site) -> Container:
    """Ready once the declared streams are there; restarted when it no longer tries. A person finds `nats` there too."""
    return Container(
        name="streams",
        image=site.image(CATALOGUE["nats-box"].reference),
        command=("/bin/sh", f"{ETC}/streams.sh"),
        cpu="20m",
        memory="128Mi",
        env=render.client_environment(),
        readiness=Probe(command=("test", "-e", render.APPLIED), period=5),
        liveness=Probe(command=("sh", "-c", f"find {render.TRIED} -mmin -5 | grep -q ."), period=60),
        startup=Probe(command=("test", "-e", render.TRIED), period=3, failures=100),
        mounts=(ETC, OWN, METRICS, SCRATCH),
    )


def _files(name: str, spec: NatsSpec, users: tuple[User, ...], site: Site) -> tuple[File, ...]:
    content = {
        "exporter.yml": web_config(),
        "nats.conf": render.render_conf(name, spec, users, peer_hosts(site.names, name, spec.replicas)),
        "settings.sh": render.render_settings(spec, site.names.peer_suffix(name)),
        "streams.json": render.render_streams(spec),
        **scripts("nats", *render.SCRIPTS),
    }
    return tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items()))
