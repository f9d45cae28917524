"""Backups of a single PostgreSQL: base backups and the write-ahead log, and how a server begins with them. Pure.

PostgreSQL documentation, "Continuous Archiving and Point-in-Time Recovery".
"""

from dataclasses import replace

from components.core.backups.carrying import Duty
from components.core.backups.contract import Restore
from components.core.backups.fetching import fetching
from components.core.bindings import Binding, Reach
from components.core.mounts import OWN
from components.core.scripting import scripts
from components.core.site import Site
from components.core.types import bytes_of
from components.core.workload import Workload
from components.postgres.plan import PORT, PostgresPlan
from components.postgres.render import CONFIG, DATA, RESTORED, SCRATCH, SECRETS, SOCKET

_DRILL_MEMORY = "256Mi"


def postgres_duty(plan: PostgresPlan) -> Duty:
    """How a single server's backups are taken and tried. Room: the copy that is taken, and the server of a drill."""
    return Duty(
        dump_image=plan.image,
        drill_image=plan.image,
        scripts=scripts("postgres", "dump.sh", "drill.sh", "scratch.sh", "wal.sh"),
        settings={},
        memory=_DRILL_MEMORY,
        folder=DATA,
        room=f"{2 * bytes_of(plan.spec.storage) // 2**20}Mi",
        reach=Reach(plan.name, (PORT,)),
        version=plan.version,
        uid=999,
        beside=plan.name,
        environment={
            "PGHOST": plan.host,
            "PGPORT": str(PORT),
            "PGUSER": plan.backup_role,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": f"{OWN}/ca.crt",
            "PGSSLCERT": f"{OWN}/tls.crt",
            "PGSSLKEY": f"{OWN}/tls.key",
        },
    )


def restored(workload: Workload, restore: Restore, site: Site, store: Binding) -> Workload:
    """The same server, which begins with a backup, and the helper that fetches it."""
    # The key of the backups is the helper's alone.
    own = tuple(
        replace(one, mounts=one.mounts or (CONFIG, SECRETS, DATA, SOCKET, SCRATCH)) for one in workload.containers
    )
    helper = fetching(workload.name, restore, site, store, DATA, RESTORED)
    return helper.beside(replace(workload, containers=own), CONFIG, scripts("postgres", "restore.sh", "wal.sh"))
