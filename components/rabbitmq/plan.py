"""RabbitmqSpec -> the workload of a RabbitMQ and the facts its consumers get. Pure: the same on every target."""

from collections.abc import Iterator
from dataclasses import dataclass

from components.core.backups.contract import makes_backups, part_of
from components.core.bindings import Reach
from components.core.catalogue import CATALOGUE
from components.core.mounts import own_files
from components.core.peers import PeersPlan
from components.core.problems import ConfigError, Problem, listed
from components.core.scripting import scripts
from components.core.site import Site, peer_hosts
from components.core.workload import Container, File, Listener, Probe, Scratch, SecretFile, Volume, Workload
from components.rabbitmq import render
from components.rabbitmq.definitions import read, written
from components.rabbitmq.render import CLUSTER, DATA, ETC, PORT, RUN
from components.rabbitmq.spec import RabbitmqSpec

_UID = 999
"""Of the user `rabbitmq` in the image."""


@dataclass(frozen=True)
class RabbitmqPlan(PeersPlan):
    """Everything that follows from a spec and its surroundings."""

    vhosts: dict[str, str]
    """By consumer, the first virtual host in which it may do something."""


def plan_rabbitmq(name: str, spec: RabbitmqSpec, site: Site) -> RabbitmqPlan:
    """Plan a RabbitMQ. Raises ConfigError where a consumer can't have its rights."""
    consumers = site.consumers_of(name)
    problems = [*_wrong_names(name, spec, consumers), *_without_rights(name, spec, consumers)]
    if problems:
        raise ConfigError(problems)
    peers = peer_hosts(site.names, name, spec.replicas)
    release = CATALOGUE["rabbitmq"]
    image = site.image(release.reference)
    workload = Workload(
        name=name,
        kind=spec.kind,
        version=release.version,
        containers=(_server(spec, image, peers[0]), _topology(spec, image)),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        replicas=spec.replicas,
        stateful=True,
        files=_files(name, spec, site, peers),
        secrets=(*own_files(), *(SecretFile(f"{CLUSTER}/{file}", file) for file in ("cookie", "definitions.json"))),
        volumes=(Volume("data", DATA, spec.storage),),
        scratch=(Scratch("run", RUN, "16Mi"),),
        callers=(
            *(Reach(consumer, (PORT,)) for consumer in consumers),
            *([Reach(part_of(name), (render.MANAGEMENT_PORT,))] if makes_backups(spec) else []),
        ),
        # One too, which tools ask by its name, and which others may join: a set can't change how it starts its pods.
        peers=(render.NODE_PORT,),
        publish=spec.publish or 0,
        parallel_start=True,
        grace_seconds=120,
        restart_on_secrets=False,
    )
    vhosts = {consumer: next(_rightful_vhosts(spec, consumer)) for consumer in consumers}
    return RabbitmqPlan(workload, site.names.host(name), peers, vhosts)


def _server(spec: RabbitmqSpec, image: str, first: str) -> Container:
    return Container(
        name="rabbitmq",
        image=image,
        command=("/bin/sh", f"{ETC}/start.sh", first),
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        readiness=_probe("ready", period=5),
        liveness=_probe("alive", period=15, failures=6),
        startup=_probe("alive", period=3, failures=100),
        listeners=(
            Listener("amqps", PORT, "amqps", "mutual"),
            Listener("management", render.MANAGEMENT_PORT, "https", "server", service=False),
            Listener("metrics", render.METRICS_PORT, "https", "server", service=False),
            Listener("nodes", render.NODE_PORT, "erlang", "mutual", service=False),
        ),
    )


def _topology(spec: RabbitmqSpec, image: str) -> Container:
    """Ready once the server is as the definitions say and may be missed; restarted when it no longer tries."""
    return Container(
        name="topology",
        image=image,
        command=("/bin/sh", f"{ETC}/topology.sh", str(spec.replicas)),
        cpu="20m",
        memory="128Mi",
        readiness=Probe(command=("test", "-e", f"{RUN}/applied"), period=5),
        liveness=Probe(command=("/bin/sh", "-c", f"find {RUN}/tried -mmin -10 | grep -q ."), period=60),
        startup=Probe(command=("test", "-e", f"{RUN}/tried"), period=3, failures=100),
    )


def _probe(check: str, period: int, failures: int = 3) -> Probe:
    return Probe(command=("/bin/sh", f"{ETC}/probe.sh", check), period=period, timeout=5, failures=failures)


def _files(name: str, spec: RabbitmqSpec, site: Site, peers: tuple[str, ...]) -> tuple[File, ...]:
    content = {
        "boot.json": "{}\n",
        "enabled_plugins": render.render_plugins(),
        "inter_node_tls.config": render.render_inter_node_tls(site.names.host(name)),
        "rabbitmq-env.conf": render.render_environment(site.names.peer_suffix(name)),
        "rabbitmq.conf": render.render_conf(name, spec, peers),
        **scripts("rabbitmq", *render.SCRIPTS),
    }
    return tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items()))


def _rightful_vhosts(spec: RabbitmqSpec, consumer: str) -> Iterator[str]:
    return (vhost for vhost in spec.vhosts if written(spec, consumer, vhost) or read(spec, consumer, vhost))


def _wrong_names(name: str, spec: RabbitmqSpec, consumers: tuple[str, ...]) -> Iterator[Problem]:
    """Publishers and consumers that don't use it, and a name that RabbitMQ gives a meaning of its own."""
    path = f"groundwork:services.{name}"
    named = [(f"exchanges.{n}.publishers", e.publishers or ()) for n, e in enumerate(spec.exchanges)]
    named += [(f"queues.{n}.consumers", q.consumers or ()) for n, q in enumerate(spec.queues)]
    for field, services in named:
        for service in (service for service in services if service not in consumers):
            fix = f"add {name} to the uses of {service}, or remove it here"
            text = f"{service} given; it does not use {name}; allowed: {listed(consumers)}; {fix}"
            yield Problem(f"{path}.{field}", text)
    if "guest" in consumers:
        text = "RabbitMQ lets the user guest in from its own host only; give the service another name"
        yield Problem("groundwork:services.guest", text)


def _without_rights(name: str, spec: RabbitmqSpec, consumers: tuple[str, ...]) -> Iterator[Problem]:
    for consumer in consumers:
        if next(_rightful_vhosts(spec, consumer), None) is None:
            fix = f"name it under publishers or consumers of {name}, or remove {name} from uses"
            text = f"{name} given; {consumer} may neither publish nor consume there; {fix}"
            yield Problem(f"groundwork:services.{consumer}.uses", text)
