"""Backups of what an object store holds, and how a new one begins with them. Pure.

By S3 itself: the files of a server that is in use agree at no moment, and another version of it may have others.
"""

from dataclasses import replace
from typing import Any

from components.core.backups.carrying import Duty
from components.core.backups.contract import Restore
from components.core.backups.fetching import fetching
from components.core.bindings import Binding, Reach
from components.core.catalogue import CATALOGUE
from components.core.mounts import ROOT
from components.core.scripting import scripts
from components.core.site import Site
from components.core.types import bytes_of
from components.core.workload import SecretFile, Workload
from components.objects import render
from components.objects.plan import ObjectsPlan
from components.objects.render import DATA, ETC, PORT

ACCOUNT = "backup.conf"
"""Slot of the account that reads what is backed up."""
RESTORED = f"{DATA}/restore"
"""Where the helper puts what it fetches, on the server's volume."""
_COPIES = 2
"""What was taken and what of it is being carried, or what was fetched and the server of the drill."""
_PART = 2**30
"""Of what is being carried."""


def objects_duty(plan: ObjectsPlan, spec: Any, site: Site) -> Duty:
    """How what the buckets hold is taken and tried."""
    workload, memory, region = plan.workload, spec.resources.memory, site.placement.region
    account = f"{ROOT}/backup/{ACCOUNT}"
    conf = render.render_drill(region, memory, f"{DATA}/drill/s3.sock")
    return Duty(
        # Of the images there are, it is one with curl; the server's has none.
        dump_image=site.image(CATALOGUE["nginx"].reference),
        drill_image=workload.containers[0].image,
        scripts={**scripts("objects", "drill.sh", "dump.sh", "pages.sh"), "versitygw-drill.conf": conf},
        settings={
            "ADDRESS": f"https://{plan.host}:{PORT}",
            "SERVER_REGION": region,
            "BUCKETS": " ".join(plan.backed),
            "ACCOUNT": account,
        },
        memory=memory,
        folder=DATA,
        room=f"{(_COPIES * bytes_of(spec.storage) + _PART) // 2**20}Mi",
        reach=Reach(workload.name, (PORT,)),
        version=workload.version,
        uid=workload.uid,
        beside=workload.name,
        secrets=(SecretFile(account, ACCOUNT),),
    )


def restored(workload: Workload, restore: Restore, site: Site, store: Binding) -> Workload:
    """The same server, whose buckets begin with a backup, and the helper that fetches it."""
    server, front, buckets, exporter = workload.containers
    command = (*buckets.command, RESTORED, restore.choice)
    buckets = replace(buckets, command=command, mounts=(*buckets.mounts, DATA))
    helper = fetching(workload.name, restore, site, store, DATA, RESTORED)
    own = replace(workload, containers=(server, front, buckets, exporter))
    return helper.beside(own, ETC, scripts("objects", "pages.sh", "restore.sh"))
