"""The graph of services: order, unknown ends, ends that serve nobody, and circles. Pure."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter

from components import component_of
from components.core.backups.contract import STORES
from components.core.component import Component
from components.core.problems import Problem, closest, listed
from components.core.spec import ServiceSpec

SERVICES = "groundwork:services"
_LONG_CIRCLE = 8


def edge_problems(services: Mapping[str, ServiceSpec], known: Mapping[str, object]) -> list[Problem]:
    """Edges that lead nowhere or back. `known`: every name written, services with errors of their own included."""
    problems = [
        Problem(f"{SERVICES}.{name}.{field}", text)
        for name, spec in services.items()
        for used in spec.edges
        for field in _fields(spec, used)
        if (text := _wrong_end(name, used, field, services, known))
    ]
    return problems or [*_strange_backups(services), *_circles(services)]


def deploy_order(services: Mapping[str, ServiceSpec]) -> list[str]:
    """Names such that each service comes after those it uses; otherwise as written. Raises CycleError."""
    sorter = TopologicalSorter({name: [u for u in spec.edges if u in services] for name, spec in services.items()})
    return list(sorter.static_order())


def consumers(services: Mapping[str, ServiceSpec]) -> dict[str, tuple[str, ...]]:
    """For each service, who uses it: others, and parts of others that have names of their own."""
    ends = [spec.ends(name) for name, spec in services.items()]
    return {name: tuple(dict.fromkeys(end for found in ends for end in found.get(name, ()))) for name in services}


def _fields(spec: ServiceSpec, used: str) -> Iterator[str]:
    """Where a spec names the service: under `uses`, in a route, or as a store."""
    yield from spec.named(used)
    for index, route in enumerate(getattr(spec, "routes", ())):
        if route.to == used:
            yield f"routes.{index}.to"


def _wrong_end(
    name: str, used: str, field: str, services: Mapping[str, ServiceSpec], known: Mapping[str, object]
) -> str:
    if used == name and field in STORES:
        fix = "name another service of kind objects, such as one with existing: in another region"
        return f"{used} given; a store's backups would be lost with it; {fix}"
    if used == name:
        return f"{used} given; a service can't use itself; remove it"
    if used in services and component_of(services[used].kind).connect is Component.connect:
        return f"{used} given; it is of kind {services[used].kind}, which no other service can use; remove it"
    if field in STORES and used in services and services[used].kind != "objects":
        return f"{used} given; it is of kind {services[used].kind}; backups need one of kind objects; name one"
    if used in known:
        return ""
    others = sorted(set(known) - {name})
    close = closest(used, others)
    hint = f"did you mean {close}?" if close else "add it to services or remove it here."
    return f"{used} given; no service has that name; {hint} Allowed: {listed(others)}"


def _strange_backups(services: Mapping[str, ServiceSpec]) -> Iterator[Problem]:
    """Services that begin with a backup which nobody here makes: the right to read it is its maker's."""
    for name, spec in services.items():
        restore = getattr(spec, "restore", None)
        maker = services.get(restore.service or name) if restore else None
        if restore and getattr(maker, "target", None) != restore.store:
            text = f"{restore.store} given; {restore.service or name} keeps no backups there"
            fix = f"give it backup: {{to: {restore.store}}}, or name a service that has it under restore.service"
            yield Problem(f"{SERVICES}.{name}.restore.store", f"{text}; {fix}")


def _circles(services: Mapping[str, ServiceSpec]) -> list[Problem]:
    try:
        deploy_order(services)
    except CycleError as error:
        circle = [str(name) for name in reversed(error.args[1])]
        steps = circle if len(circle) <= _LONG_CIRCLE else [*circle[: _LONG_CIRCLE - 2], "...", circle[-1]]
        text = f"{' -> '.join(steps)} use one another in a circle; remove one of these edges"
        field = next(_fields(services[circle[0]], circle[1]))
        return [Problem(f"{SERVICES}.{circle[0]}.{field}", text)]
    return []
