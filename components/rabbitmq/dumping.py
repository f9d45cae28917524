"""Backups of the definitions of a RabbitMQ, and how a server begins with them. Pure.

RabbitMQ documentation, "Definitions Export and Import": messages are not among them; a replicated RabbitMQ has each on
every node.
"""

from dataclasses import replace

from components.core.backups.carrying import Duty
from components.core.backups.contract import Restore
from components.core.backups.fetching import fetching
from components.core.bindings import Binding, Reach
from components.core.catalogue import CATALOGUE
from components.core.mounts import OWN, ROOT
from components.core.scripting import scripts
from components.core.site import Site
from components.core.workload import SecretFile, Workload
from components.rabbitmq.definitions import BACKUP
from components.rabbitmq.render import CLUSTER, DATA, ETC, MANAGEMENT_PORT, RUN

RESTORED = f"{DATA}/restore"
"""Where the helper puts what it fetches, on the server's volume."""
_PASSWORD = f"{BACKUP}.password"


def rabbitmq_duty(workload: Workload, first: str, site: Site) -> Duty:
    """How the definitions are taken from the node `first`, and tried."""
    password = f"{ROOT}/backup/{_PASSWORD}"
    return Duty(
        # Of the images there are, it is one with curl; the server's has none.
        dump_image=site.image(CATALOGUE["nginx"].reference),
        drill_image=workload.containers[0].image,
        scripts=scripts("rabbitmq", "compare.erl", "drill.sh", "dump.sh", "groundwork_nodes.erl"),
        settings={"HOST": first, "PASSWORD": password},
        memory="512Mi",
        folder=DATA,
        room="1Gi",
        reach=Reach(workload.name, (MANAGEMENT_PORT,)),
        version=workload.version,
        uid=workload.uid,
        beside=workload.name,
        secrets=(SecretFile(password, _PASSWORD),),
    )


def restored(workload: Workload, restore: Restore, site: Site, store: Binding) -> Workload:
    """The same server, which begins with definitions of a backup, and the helper that fetches them."""
    server, topology = (replace(one, mounts=(ETC, OWN, CLUSTER, DATA, RUN)) for one in workload.containers)
    topology = replace(topology, command=(*topology.command, f"{ETC}/wish.sh", RESTORED, restore.choice))
    helper = fetching(workload.name, restore, site, store, DATA, RESTORED)
    return helper.beside(replace(workload, containers=(server, topology)), ETC, {})
