"""ClickhouseSpec -> the workloads of a ClickHouse and the facts its consumers get. Pure: the same on every target."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from components.clickhouse import render
from components.clickhouse.render import DATA, ETC, RUN
from components.clickhouse.secrets import SECRETS
from components.clickhouse.spec import ClickhouseSpec
from components.clickhouse.users import render_schema, render_users
from components.core.backups.contract import makes_backups, part_of
from components.core.bindings import Reach
from components.core.catalogue import CATALOGUE
from components.core.mounts import OWN, own_files
from components.core.problems import ConfigError, Problem, strangers
from components.core.scripting import scripts
from components.core.site import Site, peer_hosts
from components.core.workload import Container, File, Listener, Probe, Scratch, SecretFile, Volume, Workload

KEEPER = "keeper"
"""Part of the service that is Keeper."""
KEEPERS = 3
"""Its instances. It is always three: one that is alone can't become three without losing what it knows."""

_UID = 101
"""Of the user `clickhouse` in the image."""
_HANDOVER_SECONDS = 5
_CLIENT_PORTS = (render.HTTPS_PORT, render.NATIVE_PORT)
_SERVER_PORTS = (render.NATIVE_PORT, render.INTERSERVER_PORT)


@dataclass(frozen=True)
class ClickhousePlan:
    """Everything that follows from a spec and its surroundings."""

    servers: tuple[Workload, ...]
    """One for each shard."""
    keeper: Workload | None
    """None beside a single server."""
    host: str
    """Name that reaches any replica of the first shard; each server knows the tables of all shards."""
    nodes: tuple[str, ...]
    """Full host name of every server."""
    certificate_hosts: tuple[str, ...]
    """Every name the servers are dialled by; the first is the common name, `localhost` is for the helper."""
    keeper_hosts: tuple[str, ...]
    """Every name Keeper is dialled by."""

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Every listener of its workloads, once; shards have the same."""
        workloads = (self.servers[0], *([self.keeper] if self.keeper else []))
        return tuple(dict.fromkeys(listener for workload in workloads for listener in workload.listeners))


def plan_clickhouse(name: str, spec: ClickhouseSpec, site: Site) -> ClickhousePlan:
    """Plan a ClickHouse. Raises ConfigError where it names a service that doesn't use it."""
    consumers = site.consumers_of(name)
    problems = [*_strangers(name, spec, consumers), *_foreign_databases(name, spec, consumers)]
    if problems:
        raise ConfigError(problems)
    workloads = shard_names(name, spec)
    shards = [peer_hosts(site.names, workload, spec.replicas) for workload in workloads]
    keeper = f"{name}-{KEEPER}"
    keepers = peer_hosts(site.names, keeper, KEEPERS) if spec.replicated else ()
    host = site.names.host(workloads[0])
    maker = part_of(name) if makes_backups(spec) else ""
    content = {
        render.CLIENT_FILE: render.render_client(),
        render.SERVER_FILE: render.render_server(spec, shards, keepers),
        "schema.sql": render_schema(spec, consumers),
        render.USERS_FILE: render_users(spec, consumers, host, maker),
        **scripts("clickhouse", *render.SERVER_SCRIPTS),
    }
    nodes = tuple(chain(*shards))
    return ClickhousePlan(
        servers=tuple(_server(name, workload, spec, site, content) for workload in workloads),
        keeper=_keeper(keeper, spec, site, keepers) if spec.replicated else None,
        host=host,
        nodes=nodes,
        certificate_hosts=(*map(site.names.host, workloads), *workloads, *nodes, "localhost"),
        keeper_hosts=(*keepers, keeper, "localhost"),
    )


def shard_names(name: str, spec: ClickhouseSpec) -> tuple[str, ...]:
    """Names of the workloads of the shards; a single server has that of the service."""
    return tuple(f"{name}-{number}" for number in range(1, spec.shards + 1)) if spec.replicated else (name,)


def _server(name: str, workload: str, spec: ClickhouseSpec, site: Site, content: dict[str, str]) -> Workload:
    """One shard. Its replicas are spread over zones by themselves, whatever the others do."""
    consumers, replicated = site.consumers_of(name), spec.replicated
    image = site.image(CATALOGUE["clickhouse"].reference)
    return Workload(
        name=workload,
        kind=spec.kind,
        version=CATALOGUE["clickhouse"].version,
        containers=(_clickhouse(workload, spec, site, image), _schema(image)),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        part=workload.removeprefix(f"{name}-") if replicated else "",
        replicas=spec.replicas,
        stateful=True,
        files=_files(content),
        secrets=(*own_files(), SecretFile(SECRETS, "secrets.xml")),
        volumes=(Volume("data", DATA, spec.storage),),
        scratch=(Scratch("run", RUN, "1Mi"),),
        callers=(
            *(Reach(consumer, _CLIENT_PORTS) for consumer in consumers),
            *([Reach(part_of(name), (render.NATIVE_PORT,))] if makes_backups(spec) else []),
        ),
        reaches=(Reach(name, (render.KEEPER_PORT,)),) if replicated else (),
        peers=_SERVER_PORTS if replicated else (),
        publish=spec.publish or 0,
        parallel_start=replicated,
        grace_seconds=render.GRACE_SECONDS,
    )


def _clickhouse(workload: str, spec: ClickhouseSpec, site: Site, image: str) -> Container:
    """Ready while its replicas are not far behind the others; without Keeper it still serves what it has."""
    listeners = (
        Listener("https", render.HTTPS_PORT, "https", "mutual"),
        Listener("native", render.NATIVE_PORT, "clickhouse", "mutual"),
        Listener("metrics", render.METRICS_PORT, "https", "server", service=False),
    )
    interserver = Listener("interserver", render.INTERSERVER_PORT, "https", "mutual", service=False)
    shard = workload.rpartition("-")[2] if spec.replicated else "1"
    return Container(
        name="clickhouse",
        image=image,
        command=render.start_command(render.SERVER_FILE, shard, site.names.peer_suffix(workload)),
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        readiness=_watched("/replicas_status", period=5),
        liveness=_watched("/ping", period=10, failures=6),
        startup=_watched("/ping", period=3, failures=200),
        listeners=(*listeners, interserver) if spec.replicated else listeners,
        mounts=(ETC, OWN, SECRETS.rpartition("/")[0], DATA),
    )


def _schema(image: str) -> Container:
    """Ready once every table is there; restarted when it no longer tries."""
    return Container(
        name="schema",
        image=image,
        command=("/bin/sh", f"{ETC}/schema.sh"),
        cpu="20m",
        memory="256Mi",
        readiness=Probe(command=("test", "-e", f"{RUN}/applied"), period=5),
        liveness=Probe(command=("/bin/sh", "-c", f"find {RUN}/tried -mmin -10 | grep -q ."), period=60),
        startup=Probe(command=("test", "-e", f"{RUN}/tried"), period=3, failures=200),
        mounts=(ETC, OWN, RUN),
    )


def _keeper(workload: str, spec: ClickhouseSpec, site: Site, keepers: tuple[str, ...]) -> Workload:
    content = {
        render.KEEPER_FILE: render.render_keeper(keepers),
        **scripts("clickhouse", *render.KEEPER_SCRIPTS),
    }
    return Workload(
        name=workload,
        kind=spec.kind,
        version=CATALOGUE["clickhouse"].version,
        containers=(_coordinator(workload, spec, site), _handover(site)),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        part=KEEPER,
        replicas=KEEPERS,
        stateful=True,
        files=_files(content),
        secrets=own_files(),
        volumes=(Volume("data", DATA, spec.keeper.storage),),
        callers=(Reach(workload.removesuffix(f"-{KEEPER}"), (render.KEEPER_PORT,)),),
        peers=(render.RAFT_PORT,),
        parallel_start=True,
        grace_seconds=render.KEEPER_GRACE_SECONDS,
        drain_seconds=_HANDOVER_SECONDS,
    )


def _coordinator(workload: str, spec: ClickhouseSpec, site: Site) -> Container:
    """It opens no port for clients and probes before more than half of them have found one another."""
    dial = ("bash", "-c", f"</dev/tcp/localhost/{render.RAFT_PORT}")
    return Container(
        name="keeper",
        image=site.image(CATALOGUE["clickhouse"].reference),
        command=render.start_command(render.KEEPER_FILE, KEEPER, site.names.peer_suffix(workload)),
        cpu=spec.keeper.resources.cpu,
        memory=spec.keeper.resources.memory,
        readiness=_watched("/ping", period=5),
        liveness=Probe(command=dial, failures=6),
        startup=Probe(command=dial, period=3, failures=200),
        listeners=(
            Listener("keeper", render.KEEPER_PORT, "zookeeper", "mutual", service=False),
            Listener("raft", render.RAFT_PORT, "raft", "mutual", service=False),
            Listener("metrics", render.METRICS_PORT, "https", "server", service=False),
        ),
        mounts=(ETC, OWN, DATA),
    )


def _handover(site: Site) -> Container:
    """Asks Keeper by TLS, which the image of the server has no tool for; ready while it leads or follows."""
    return Container(
        name="handover",
        image=site.image(CATALOGUE["sandbox"].reference),
        command=("/bin/sh", f"{ETC}/keeper.sh", "wait"),
        cpu="10m",
        memory="32Mi",
        readiness=Probe(command=("/bin/sh", f"{ETC}/keeper.sh", "ready"), timeout=5),
        liveness=Probe(command=("/bin/sh", f"{ETC}/keeper.sh", "alive"), period=30, timeout=5, failures=10),
        startup=Probe(command=("/bin/sh", f"{ETC}/keeper.sh", "ready"), period=3, timeout=5, failures=200),
        mounts=(ETC, OWN),
    )


def _watched(path: str, period: int, failures: int = 3) -> Probe:
    return Probe(path=path, port=render.METRICS_PORT, period=period, timeout=5, failures=failures)


def _files(content: dict[str, str]) -> tuple[File, ...]:
    return tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items()))


def _strangers(name: str, spec: ClickhouseSpec, consumers: tuple[str, ...]) -> Iterator[Problem]:
    for service in spec.users:
        yield from strangers(name, f"users.{service}", (service,), consumers)
    for index, table in enumerate(spec.tables):
        for field, services in (("readers", table.readers), ("writers", table.writers)):
            yield from strangers(name, f"tables.{index}.{field}", services or (), consumers)


def _foreign_databases(name: str, spec: ClickhouseSpec, consumers: tuple[str, ...]) -> Iterator[Problem]:
    """Databases that ClickHouse has itself, and tables that nobody but their owner could be kept from."""
    for consumer in consumers:
        if consumer in ("default", "system"):
            text = f"{name} given; ClickHouse has a database {consumer} of its own; give the service another name"
            yield Problem(f"groundwork:services.{consumer}.uses", text)
    for index, table in enumerate(spec.tables):
        owner = spec.database(table)
        if owner in consumers and any(who is not None and owner not in who for who in (table.readers, table.writers)):
            text = f"{owner} given; it is the database of {owner}, which may do everything there; choose another"
            yield Problem(f"groundwork:services.{name}.tables.{index}.database", text)
