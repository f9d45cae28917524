"""Backups of the streams of a NATS, and how a new one begins with them. Pure.

NATS documentation, "Disaster Recovery": a snapshot has the messages of a stream and its durable consumers.
"""

from dataclasses import replace

from components.core.backups.carrying import Duty
from components.core.backups.contract import Restore, part_of
from components.core.backups.fetching import fetching
from components.core.bindings import Binding, Reach
from components.core.catalogue import CATALOGUE
from components.core.mounts import OWN
from components.core.scripting import scripts
from components.core.site import Site
from components.core.types import bytes_of
from components.core.workload import Workload
from components.nats import render
from components.nats.access import backup_user, inbox
from components.nats.render import DATA, PORT
from components.nats.spec import NatsSpec

RESTORED = f"{DATA}/restore"
"""Where the helper puts what it fetches, on the server's volume."""
_COPIES = 3
"""Streams as they were taken, as they are fetched again, and in the server of the drill."""
_PART = 2**30
"""Of what is being carried."""
_DRILL_MEMORY = 2**28
"""At least; a server that is given a stream takes more than one that serves it."""


def nats_duty(spec: NatsSpec, workload: Workload, host: str, site: Site) -> Duty:
    """How the streams of a NATS are taken and tried."""
    part = part_of(workload.name)
    conf = render.render_drill_conf(backup_user(part), f"{DATA}/drill/data", spec.room)
    memory = f"{max(_DRILL_MEMORY, bytes_of(spec.resources.memory)) // 2**20}Mi"
    return Duty(
        dump_image=site.image(CATALOGUE["nats-box"].reference),
        drill_image=workload.containers[0].image,
        scripts={**scripts("nats", "compare.jq", "drill.sh", "dump.sh", "look.jq"), "nats-drill.conf": conf},
        settings={"INBOX": inbox(part), "MEMORY": render.memory_limit(memory)["GOMEMLIMIT"]},
        memory=memory,
        folder=DATA,
        room=f"{(_COPIES * spec.room + _PART) // 2**20}Mi",
        reach=Reach(workload.name, (PORT,)),
        version=workload.version,
        uid=workload.uid,
        beside=workload.name,
        environment=render.client_environment(host),
        drill_mounts=(OWN,),
    )


def restored(workload: Workload, restore: Restore, site: Site, store: Binding) -> Workload:
    """The same servers, which begin with a backup, and the helpers that fetch it."""
    server, streams, exporter = workload.containers
    command = ("/bin/sh", f"{render.ETC}/restore.sh", RESTORED, restore.choice)
    streams = replace(streams, command=command, mounts=(*streams.mounts, DATA))
    helper = fetching(workload.name, restore, site, store, DATA, RESTORED)
    own = replace(workload, containers=(server, streams, exporter))
    return helper.beside(own, render.ETC, scripts("nats", "restore.sh"))
