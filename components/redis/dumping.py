"""Backups of a Redis: snapshots, and how a server begins with one. Pure.

Redis documentation, "Redis persistence".
"""

from components.core.backups.carrying import Duty
from components.core.backups.contract import Restore
from components.core.backups.fetching import fetching
from components.core.bindings import Binding, Reach
from components.core.mounts import ROOT
from components.core.scripting import scripts
from components.core.site import Site
from components.core.types import bytes_of
from components.core.workload import SecretFile, Workload
from components.redis.render import BACKUP, DATA, ETC, PORT, RESTORED
from components.redis.spec import RedisSpec

_PASSWORD = f"{BACKUP}.password"
_COPIES = 4
"""A snapshot is at most as large as the memory: as it was taken, encrypted, fetched again, and in the drill."""


def redis_duty(spec: RedisSpec, workload: Workload, host: str) -> Duty:
    """How a Redis' backups are taken and tried."""
    image = workload.containers[0].image
    password = f"{ROOT}/backup/{_PASSWORD}"
    return Duty(
        dump_image=image,
        drill_image=image,
        scripts=scripts("redis", "dump.sh", "drill.sh"),
        settings={"HOST": host, "PASSWORD": password},
        memory=spec.resources.memory,
        folder=DATA,
        room=f"{max(1024, _COPIES * bytes_of(spec.resources.memory) // 2**20)}Mi",
        reach=Reach(workload.name, (PORT,)),
        version=workload.version,
        uid=workload.uid,
        beside=workload.name,
        secrets=(SecretFile(password, _PASSWORD),),
    )


def restored(workload: Workload, restore: Restore, site: Site, store: Binding) -> Workload:
    """The same server, which begins with a backup, and the helper that fetches it."""
    helper = fetching(workload.name, restore, site, store, DATA, RESTORED)
    return helper.beside(workload, ETC, scripts("redis", "restore.sh"))
