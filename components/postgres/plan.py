"""From spec and surroundings to the facts both halves share: names, roles, settings, listeners. Pure.

Decides nothing about how instances are run; `single` and `cnpg` realise the same plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from components.core.backups.contract import makes_backups, part_of
from components.core.catalogue import CATALOGUE, release_of
from components.core.exporter import LISTENER
from components.core.problems import ConfigError, Problem
from components.core.site import Site, peer_hosts
from components.core.types import bytes_of, seconds_of
from components.core.workload import Listener
from components.postgres.spec import Backup, Pooler, PostgresSpec

PORT = 5432
METRICS_PORT = 9187
STATUS_PORT = 8000
POOLER_METRICS_PORT = 9127
DRILL = "drill"
"""The part of a replicated one that tries its backups; that of a single one is a service's of its own."""

_MEBIBYTE = 2**20
_SPARE_CONNECTIONS = 20
"""For superusers, replication, metrics and the pooler's look-ups."""
_RESERVED_ROLES = ("none", "pgbouncer", "postgres", "public", "replication", "template0", "template1")
"""The pooler has a database of its own, which has its name, and one for what asks for replication."""


@dataclass(frozen=True)
class PostgresPlan:
    """Everything that follows from the spec, whoever runs the instances."""

    name: str
    spec: PostgresSpec
    version: str
    image: str
    exporter_image: str
    pooler_image: str
    host: str
    """Name that consumers dial."""
    hosts: tuple[str, ...]
    """Names in the servers' certificate; the first is its common name."""
    pooler: Pooler
    """Its pool size is also that of a consumer's own pool."""
    pooler_hosts: tuple[str, ...]
    """Names in the pooler's certificate, which the drill shows too; the first is also its role on the servers. Empty:
    it has the server's."""
    roles: tuple[str, ...]
    """One role, and one database of that name, for each consumer."""
    settings: Mapping[str, str]
    """Server settings that both halves apply."""
    wal_storage: str
    backup_role: str
    """Role by which the part that makes backups reads all that is written; empty where there is none."""
    listeners: tuple[Listener, ...]

    @property
    def pooler_name(self) -> str:
        """Name of the pooler's objects and of its role on the servers."""
        return f"{self.name}-pooler"

    @property
    def users(self) -> tuple[str, ...]:
        """Roles that come from outside: each consumer, and the part that makes backups."""
        return (*self.roles, *filter(None, [self.backup_role]))

    @property
    def synchronous(self) -> int:
        """Standbys that confirm each commit: as many as may be lost with an instance to spare."""
        return (self.spec.replicas - 1) // 2


def plan_postgres(name: str, spec: PostgresSpec, site: Site) -> PostgresPlan:
    """Plan the service. Raises ConfigError where a consumer can't have a role of its own name."""
    roles = site.consumers_of(name)
    _refuse_reserved(name, roles)
    pooler = spec.pooler or Pooler()
    wal_storage = wal_size(spec)
    release = release_of("postgres-cnpg" if spec.replicated else "postgres", spec.version)
    service = f"{name}-pooler" if spec.replicated else name
    return PostgresPlan(
        name=name,
        spec=spec,
        version=release.version,
        image=site.image(release.reference),
        exporter_image=site.image(CATALOGUE["postgres-exporter"].reference),
        pooler_image=site.image(CATALOGUE["pgbouncer-cnpg"].reference),
        host=site.names.host(service),
        hosts=_instance_hosts(name, spec, site),
        pooler=pooler,
        pooler_hosts=_pooler_hosts(name, spec, site) if spec.replicated else (),
        roles=roles,
        settings=_settings(spec, pooler, len(roles), wal_storage),
        wal_storage=wal_storage,
        backup_role=part_of(name) if makes_backups(spec) else "",
        listeners=_listeners(spec),
    )


def _refuse_reserved(name: str, roles: tuple[str, ...]) -> None:
    reserved = (*_RESERVED_ROLES, f"{name}-pooler", part_of(name))
    problems = [
        Problem(
            f"groundwork:services.{role}.uses",
            f"{name} given; PostgreSQL reserves the role {role}; rename service {role}",
        )
        for role in roles
        if role in reserved
    ]
    if problems:
        raise ConfigError(problems)


def _instance_hosts(name: str, spec: PostgresSpec, site: Site) -> tuple[str, ...]:
    """A single server is dialled by its service; replicated ones by the services that the operator makes."""
    if not spec.replicated:
        return (site.names.host(name), name, *peer_hosts(site.names, name, 1))
    services = [f"{name}-{role}" for role in ("rw", "r", "ro")]
    return (*services, *(site.names.host(service) for service in services))


def _pooler_hosts(name: str, spec: PostgresSpec, site: Site) -> tuple[str, ...]:
    pooler, drill = f"{name}-pooler", f"{name}-{DRILL}"
    tried = (drill, site.names.host(drill), *peer_hosts(site.names, drill, 1)) if spec.backup_in_bucket else ()
    return (pooler, site.names.host(pooler), *tried)


def _listeners(spec: PostgresSpec) -> tuple[Listener, ...]:
    both = (
        Listener("postgresql", PORT, "postgresql", "mutual"),
        Listener("metrics", METRICS_PORT, "https", "server", service=False),
    )
    if not spec.replicated:
        return both
    return (
        *both,
        Listener("status", STATUS_PORT, "https", "server", service=False),
        Listener("pooler-metrics", POOLER_METRICS_PORT, "https", "server", service=False),
        *([replace(LISTENER, name="drill-metrics")] if spec.backup_in_bucket else []),
    )


def wal_size(spec: PostgresSpec) -> str:
    """Volume of one replicated instance for the write-ahead log."""
    if spec.wal_storage:
        return spec.wal_storage
    return f"{max(2, bytes_of(spec.storage) // 4 // 2**30)}Gi"


def _settings(spec: PostgresSpec, pooler: Pooler, consumers: int, wal_storage: str) -> dict[str, str]:
    """PostgreSQL documentation, "Server Configuration"; memory by the starting values of its wiki's tuning page."""
    memory = bytes_of(spec.resources.memory)
    pools = consumers * pooler.pool_size * (pooler.instances if spec.replicated else 1)
    # A single server keeps its log on the data volume, which must hold the data as well.
    log_room = bytes_of(wal_storage) if spec.replicated else bytes_of(spec.storage) // 4
    parameters = spec.parameters
    return {
        **_archiving(spec.backup, log_room),
        "effective_cache_size": _megabytes(memory * 3 // 4),
        "idle_in_transaction_session_timeout": f"{seconds_of(parameters.idle_in_transaction)}s",
        "log_lock_waits": "on",
        "log_min_duration_statement": str(parameters.slow_statement),
        "maintenance_work_mem": _megabytes(max(16 * _MEBIBYTE, memory // 16)),
        "max_connections": str(max(parameters.max_connections, pools + _SPARE_CONNECTIONS)),
        "max_wal_size": _megabytes(min(log_room // 2, 16 * 2**30)),
        "password_encryption": "scram-sha-256",
        "row_security": "on",
        "shared_buffers": _megabytes(memory // 4),
        "ssl_min_protocol_version": "TLSv1.3",
        "timezone": "UTC",
        "work_mem": _megabytes(bytes_of(parameters.work_mem)),
    }


def _archiving(backup: Backup | None, log_room: int) -> dict[str, str]:
    """What nobody has fetched yet may not fill the volume; a part of the log that is not full is fetched in time."""
    if backup is None or backup.to is None:
        return {}
    return {"archive_timeout": f"{seconds_of(backup.log_every)}s", "max_slot_wal_keep_size": _megabytes(log_room)}


def _megabytes(size: int) -> str:
    return f"{size // _MEBIBYTE}MB"
