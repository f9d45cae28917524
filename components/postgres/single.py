"""A single PostgreSQL server as a workload of four processes: the server, its pooler, its roles, its metrics. Pure."""

from components.core.bindings import Reach
from components.core.exporter import web_config
from components.core.workload import Container, File, Probe, Scratch, SecretFile, Volume, Workload
from components.postgres.pgbouncer import ANSWERS, LEADS, probe_map, render_pooler, served
from components.postgres.plan import METRICS_PORT, PORT, PostgresPlan
from components.postgres.render import (
    APPLIED,
    CONFIG,
    DATA,
    SCRATCH,
    SECRETS,
    SOCKET,
    TRIED,
    exporter_arguments,
    exporter_environment,
    render_conf,
    render_hba,
    render_ident,
    render_roles,
    render_roles_script,
    render_start,
)

_UID = 999
"""User postgres of the Debian-based official image."""
_TAKES_CLIENTS = ("pg_isready", "-q", "-h", SOCKET)
_ANSWERS = ("sh", "-c", f"pg_isready -q -h {SOCKET}; test $? -le 1")
"""Also true while the server recovers and refuses connections: restarting it then would only start recovery anew."""


def single_workload(plan: PostgresPlan) -> Workload:
    """The workload; its slots are the certificate's files."""
    files = {
        **render_pooler(plan),
        "exporter.yml": web_config(SECRETS),
        "pg_hba.conf": render_hba(plan),
        "pg_ident.conf": render_ident(plan) + probe_map(plan),
        "postgresql.conf": render_conf(plan),
        "roles.sh": render_roles_script(),
        "roles.sql": render_roles(plan),
        "start.sh": render_start(plan),
    }
    return Workload(
        name=plan.name,
        kind=plan.spec.kind,
        version=plan.version,
        containers=(_server(plan), _pooler(plan), _roles(plan), _exporter(plan)),
        owner=plan.spec.owner,
        data_class=plan.spec.data_class.value,
        uid=_UID,
        stateful=True,
        files=tuple(File(f"{CONFIG}/{name}", content) for name, content in sorted(files.items())),
        secrets=tuple(SecretFile(f"{SECRETS}/{slot}", slot) for slot in ("ca.crt", "tls.crt", "tls.key")),
        volumes=(Volume("data", DATA, plan.spec.storage),),
        scratch=(Scratch("socket", SOCKET, "16Mi"), Scratch("tmp", SCRATCH)),
        callers=tuple(Reach(user, (PORT,)) for user in plan.users),
        publish=plan.spec.publish or 0,
        grace_seconds=120,
    )


def _server(plan: PostgresPlan) -> Container:
    return Container(
        name="postgres",
        image=plan.image,
        readiness=Probe(command=_TAKES_CLIENTS, period=5),
        liveness=Probe(command=_ANSWERS, failures=6),
        startup=Probe(command=_ANSWERS, period=5, failures=60),
        cpu=plan.spec.resources.cpu,
        memory=plan.spec.resources.memory,
        command=("sh", f"{CONFIG}/start.sh"),
    )


def _pooler(plan: PostgresPlan) -> Container:
    """Its image has no client that could ask the server through it: the readiness of the roles does."""
    return Container(
        name="pooler",
        image=plan.pooler_image,
        readiness=Probe(command=LEADS, period=5),
        liveness=Probe(command=ANSWERS, period=30, timeout=5),
        cpu=plan.pooler.resources.cpu,
        memory=plan.pooler.resources.memory,
        command=("sh", f"{CONFIG}/pooler.sh"),
        listeners=tuple(listener for listener in plan.listeners if listener.port == PORT),
        mounts=(CONFIG, SECRETS, SOCKET),
    )


def _roles(plan: PostgresPlan) -> Container:
    """Ready once every consumer has its role and one is served by it; restarted when it no longer tries."""
    ready = ("sh", "-c", f'test -e {APPLIED} && exec "$@"', "sh", *served(plan))
    return Container(
        name="roles",
        image=plan.image,
        readiness=Probe(command=ready, period=5, timeout=5),
        liveness=Probe(command=("sh", "-c", f"find {TRIED} -mmin -5 | grep -q ."), period=60),
        cpu="10m",
        memory="64Mi",
        command=("sh", f"{CONFIG}/roles.sh"),
    )


def _exporter(plan: PostgresPlan) -> Container:
    return Container(
        name="metrics",
        image=plan.exporter_image,
        readiness=Probe(path="/metrics", port=METRICS_PORT),
        liveness=Probe(path="/", port=METRICS_PORT, period=30, timeout=5),
        cpu="20m",
        memory="64Mi",
        args=exporter_arguments(),
        env=exporter_environment(),
        listeners=tuple(listener for listener in plan.listeners if listener.port == METRICS_PORT),
    )
