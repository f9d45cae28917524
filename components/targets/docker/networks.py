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
    """The networks that come with a workload, by role: its own, and one for each caller.

    Its own connects its instances and bears its published port; who has no edge is on it alone.
    """
    networks: dict[str, Properties] = {}
    published = bool(published_ports(workload))
    if published or workload.peers or not (workload.callers or workload.reaches):
        networks["network"] = _network(naming.own_network(workload.name), workload, naming, internal=not published)
    for caller in workload.callers:
        name = naming.edge_network(caller.service, workload.name)
        networks[f"from-{caller.service}"] = _network(name, workload, naming, internal=True)
    return networks


def reached_networks(workload: Workload, naming: Naming) -> list[str]:
    """Names of the networks of the services it uses."""
    return sorted({naming.edge_network(workload.name, reach.service) for reach in workload.reaches})


def _network(name: str, workload: Workload, naming: Naming, *, internal: bool) -> Properties:
    return {"name": name, "driver": "bridge", "internal": internal, "labels": listed(naming.labels(workload))}
