"""Networks from the graph: one for each edge, so that whoever shares a service does not share a network. Pure.

Docker documentation, "Bridge network driver": an internal network leads nowhere else. A network has two ends and no
direction: the used service could dial its user too.
"""

from components.core.workload import Workload
from components.targets.docker.naming import Naming, Properties, listed


def published_ports(workload: Workload) -> dict[int, int]:
    """Port of its first listener by the port of this machine that leads there."""
    first = workload.listeners[0]
    outside = workload.publish or (first.published or first.port if workload.public else 0)
    return {outside: first.port} if outside else {}


def render_networks(workload: Workload, naming: Naming) -> dict[str, Properties]:
    """The networks that come with a workload, by role: its service's own, and one for each caller.

    A service's own connects its instances, bears its published port and leads to services outside; who has no edge is
    on it alone.
    """
    networks: dict[str, Properties] = {}
    leads_out = bool(published_ports(workload)) or any(reach.outside for reach in workload.reaches)
    if leads_out or workload.peers or not (workload.callers or workload.reaches):
        networks["network"] = _network(naming.own_network(workload.service), workload, naming, internal=not leads_out)
    for caller in (caller for caller in workload.callers if caller.service != workload.service):
        name = naming.edge_network(caller.service, workload.service)
        networks[f"from-{caller.service}"] = _network(name, workload, naming, internal=True)
    return networks


def reached_networks(workload: Workload, naming: Naming) -> list[str]:
    """Names of the networks of the services of the environment that it uses."""
    others = {reach.service for reach in workload.reaches if not reach.outside} - {workload.service}
    return sorted(naming.edge_network(workload.service, other) for other in others)


def _network(name: str, workload: Workload, naming: Naming, *, internal: bool) -> Properties:
    return {"name": name, "driver": "bridge", "internal": internal, "labels": listed(naming.labels(workload))}
