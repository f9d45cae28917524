"""ObjectsSpec -> the workload of an object store and the facts its consumers get. Pure: the same on every target."""

from dataclasses import dataclass

from components.core.backups.contract import makers_of_backups, makes_backups, part_of
from components.core.bindings import Reach
from components.core.catalogue import CATALOGUE
from components.core.exporter import METRICS, file_exporter, web_config
from components.core.mounts import OWN, own_files
from components.core.peers import PeersPlan
from components.core.problems import ConfigError, Problem
from components.core.scripting import scripts
from components.core.site import Site, peer_hosts
from components.core.workload import Container, File, Listener, Probe, Scratch, SecretFile, Volume, Workload
from components.objects import render
from components.objects.access import Granted, backed_up, granted, wrong_users
from components.objects.render import ACCOUNTS, DATA, ETC, KEPT, PORT, RUN, SCRATCH
from components.objects.spec import ObjectsSpec

_UID = 101
"""Of the user `nginx` in its image; the server's image knows no user of its own."""


@dataclass(frozen=True)
class ObjectsPlan(PeersPlan):
    """Everything that follows from a spec and its surroundings."""

    grants: tuple[Granted, ...]
    """Every bucket and who may use it."""
    backed: tuple[str, ...]
    """Names of the buckets that backups are made of."""


def plan_objects(name: str, spec: ObjectsSpec, site: Site) -> ObjectsPlan:
    """Plan a server. Raises ConfigError where a bucket names a service that doesn't use it, a consumer has none, or
    there is none to make backups of."""
    consumers, makers = site.consumers_of(name), makers_of_backups(name, site)
    grants, parts = granted(spec, consumers, makers), (part_of(name),) if makes_backups(spec) else ()
    backed = backed_up(grants, makers) if parts else ()
    wrong = list(wrong_users(name, spec, consumers, makers))
    if parts and not backed:
        text = "given; it has no bucket but those of backups; declare one under buckets, or remove backup"
        wrong.append(Problem(f"groundwork:services.{name}.backup", text))
    if wrong:
        raise ConfigError(wrong)
    workload = Workload(
        name=name,
        kind=spec.kind,
        version=CATALOGUE["versitygw"].version,
        containers=(_server(spec, site), _front(site), _buckets(site), file_exporter(site, f"{ETC}/exporter.yml")),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        stateful=True,
        files=_files(spec, site),
        secrets=(
            *own_files(),
            SecretFile(f"{ACCOUNTS}/users.json", "users.json"),
            *(SecretFile(f"{KEPT}/{file}", file) for file in ("buckets.tsv", "user.conf")),
        ),
        volumes=(Volume("data", DATA, spec.storage),),
        scratch=(Scratch("run", RUN, "16Mi"), Scratch("metrics", METRICS, "16Mi"), Scratch("tmp", SCRATCH, "32Mi")),
        callers=tuple(Reach(consumer, (PORT,)) for consumer in (*consumers, *parts)),
        publish=spec.publish or 0,
        grace_seconds=60,
        restart_on_secrets=False,
    )
    return ObjectsPlan(workload, site.names.host(name), peer_hosts(site.names, name, 1), grants, backed)


def _server(spec: ObjectsSpec, site: Site) -> Container:
    """Asked whether it answers through nginx, since it listens on a socket alone. nginx is ready once it does."""
    return Container(
        name="versitygw",
        image=site.image(CATALOGUE["versitygw"].reference),
        command=("/bin/sh", f"{ETC}/start.sh"),
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        readiness=Probe(command=("test", "-S", render.SOCKET), period=5),
        liveness=Probe(path=render.HEALTH, port=PORT, timeout=10, failures=6),
        startup=Probe(path=render.HEALTH, port=PORT, period=3, failures=100),
        mounts=(ETC, ACCOUNTS, DATA, RUN, METRICS),
    )


def _front(site: Site) -> Container:
    return Container(
        name="nginx",
        image=site.image(CATALOGUE["nginx"].reference),
        command=("/bin/sh", f"{ETC}/front.sh"),
        cpu="50m",
        memory="64Mi",
        readiness=Probe(path=render.HEALTH, port=PORT, period=5),
        liveness=Probe(path=render.FRONT, port=PORT, period=10, failures=6),
        listeners=(Listener("s3", PORT, "https", "server"),),
        mounts=(ETC, OWN, RUN),
    )


def _buckets(site: Site) -> Container:
    """Ready once the buckets are as declared; restarted when it no longer tries."""
    return Container(
        name="buckets",
        image=site.image(CATALOGUE["sandbox"].reference),
        command=("/bin/sh", f"{ETC}/buckets.sh", site.placement.region),
        cpu="20m",
        memory="64Mi",
        readiness=Probe(command=("test", "-e", render.APPLIED), period=5),
        liveness=Probe(command=("sh", "-c", f"find {render.TRIED} -mmin -5 | grep -q ."), period=60),
        startup=Probe(command=("test", "-e", render.TRIED), period=3, failures=100),
        mounts=(ETC, OWN, KEPT, SCRATCH),
    )


def _files(spec: ObjectsSpec, site: Site) -> tuple[File, ...]:
    content = {
        "exporter.yml": web_config(),
        "nginx.conf": render.render_front(),
        "versitygw.conf": render.render_server(site.placement.region, spec.resources.memory),
        **scripts("objects", *render.SCRIPTS),
    }
    return tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items()))
