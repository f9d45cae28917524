"""Backups of a ClickHouse, table by table, and how a new one begins with them. Pure.

ClickHouse documentation, "INTO OUTFILE Clause", "Native" and "file Table Function".
"""

from dataclasses import replace

from components.clickhouse import render
from components.clickhouse.plan import ClickhousePlan
from components.clickhouse.render import DATA, ETC, NATIVE_PORT
from components.clickhouse.spec import ClickhouseSpec
from components.core.backups.carrying import Duty
from components.core.backups.contract import Restore
from components.core.backups.fetching import fetching
from components.core.bindings import Binding, Reach
from components.core.scripting import scripts
from components.core.site import Site
from components.core.types import bytes_of
from components.core.workload import Workload

RESTORED = f"{DATA}/user_files/restore"
"""Where the helper puts what it fetches, on the server's volume: of files there, the server makes rows."""
_COPIES = 2
"""Tables as they were taken, and as they are fetched again."""
_MEMORY, _DRILL_MEMORY = "512Mi", "1Gi"
"""Of who reads a block of rows after the other, and of who sorts some as well. It does not follow the tables' size."""


def clickhouse_duty(name: str, spec: ClickhouseSpec, plan: ClickhousePlan, site: Site) -> Duty:
    """How the tables of a ClickHouse are taken and tried."""
    server = plan.servers[0]
    image = server.containers[0].image
    names = ("dump.sh", "tables.sql", "drill.sh", "alone.sh", "giving.sql")
    return Duty(
        dump_image=image,
        drill_image=image,
        scripts={**scripts("clickhouse", *names), render.CLIENT_FILE: render.render_backup_client()},
        settings={
            "FORM": _form(spec.replicated),
            "HOSTS": " ".join(site.names.host(workload.name) for workload in plan.servers),
        },
        memory=_DRILL_MEMORY,
        dump_memory=_MEMORY,
        folder=DATA,
        room=f"{_COPIES * spec.shards * bytes_of(spec.storage) // 2**20}Mi",
        reach=Reach(name, (NATIVE_PORT,)),
        version=server.version,
        uid=server.uid,
        beside=server.name,
    )


def restored(workload: Workload, restore: Restore, site: Site, store: Binding, shards: int) -> Workload:
    """The same servers of one of the `shards`, which begin with a backup, and the helpers that fetch it."""
    server, schema = workload.containers
    words = (RESTORED, restore.choice, _form(bool(workload.part)), workload.part or "1", str(shards))
    schema = replace(schema, command=("/bin/sh", f"{ETC}/restore.sh", *words), mounts=(*schema.mounts, DATA))
    helper = fetching(workload.service, restore, site, store, DATA, RESTORED)
    own = replace(workload, containers=(server, schema))
    return helper.beside(own, ETC, scripts("clickhouse", "restore.sh", "giving.sql"))


def _form(replicated: bool) -> str:
    """What a backup says of who made it: tables of the one kind are none of the other's."""
    return "replicated" if replicated else "single"
