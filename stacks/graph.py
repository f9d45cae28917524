"""The graph of services: order, unknown ends and circles. Pure."""

from collections.abc import Mapping
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter

from components.core.problems import Problem
from components.core.spec import ServiceSpec

SERVICES = "groundwork:services"


def edge_problems(services: Mapping[str, ServiceSpec], known: Mapping[str, object]) -> list[Problem]:
    """Edges that lead nowhere or back. `known`: every name written, services with errors of their own included."""
    problems = [
        Problem(f"{SERVICES}.{name}.{_field(spec, used)}", _unknown(name, used, known))
        for name, spec in services.items()
        for used in spec.edges
        if used == name or used not in known
    ]
    return problems or _circles(services)


def deploy_order(services: Mapping[str, ServiceSpec]) -> list[str]:
    """Names such that each service comes after those it uses; otherwise as written. Raises CycleError."""
    sorter = TopologicalSorter({name: [u for u in spec.edges if u in services] for name, spec in services.items()})
    return list(sorter.static_order())


def consumers(services: Mapping[str, ServiceSpec]) -> dict[str, tuple[str, ...]]:
    """For each service, who uses it."""
    return {name: tuple(other for other, spec in services.items() if name in spec.edges) for name in services}


def _field(spec: ServiceSpec, used: str) -> str:
    return "uses" if used in spec.uses else "routes"


def _unknown(name: str, used: str, known: Mapping[str, object]) -> str:
    if used == name:
        return f"{used} given; a service can't use itself; remove it"
    others = sorted(set(known) - {name})
    close = get_close_matches(used, others, n=1)
    hint = f"did you mean {close[0]}?" if close else "add it to services or remove it here."
    return f"{used} given; no service has that name; {hint} Allowed: {', '.join(others) or 'none'}"


def _circles(services: Mapping[str, ServiceSpec]) -> list[Problem]:
    try:
        deploy_order(services)
    except CycleError as error:
        circle = [str(name) for name in reversed(error.args[1])]
        text = f"{' -> '.join(circle)} use one another in a circle; remove one of these edges"
        return [Problem(f"{SERVICES}.{circle[0]}.uses", text)]
    return []
