"""Which versions an environment runs, and what the compatibility matrix says against them. Pure.

Knows two places where a person chooses a version: a service's `version:`, and an image of one's own. What has passed
its end of life is supported here; refusing it is left to the policies, which know the day.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import date

from components import component_of
from components.core.catalogue import release_of, releases
from components.core.compatibility import CrossRule, Matrix, Part, broken_rules, load_matrix, tagged_version
from components.core.problems import Problem, listed, shown
from components.core.spec import ServerSpec, ServiceSpec
from stacks.graph import SERVICES


def parts_of(name: str, spec: ServiceSpec, matrix: Matrix) -> list[Part]:
    """The systems that a service consists of, its own server first. None for an image that the matrix doesn't know."""
    image = getattr(spec, "image", None)
    if image:
        system = matrix.system_of(image)
        return [Part(name, system, tagged_version(image), spec.edges)] if system else []
    found = component_of(spec.kind).systems(spec)
    return [Part(name, system, version, spec.edges) for system, version in found.items()]


def version_problems(services: Mapping[str, ServiceSpec]) -> list[Problem]:
    """Versions that don't exist, that are not supported, or that don't go together."""
    matrix = load_matrix()
    problems: list[Problem] = []
    parts: list[Part] = []
    for name, spec in services.items():
        wrong = list(_wrong_choice(name, spec, matrix))
        problems += wrong
        parts += [] if wrong else parts_of(name, spec, matrix)
    for part in parts:
        problems += _unsupported_image(services[part.service], part, matrix)
    for part, rule, met in broken_rules(matrix, parts):
        problems.append(_broken(services[part.service], part, rule, met))
    return problems


def platform_texts(system: str, version: str, services: Mapping[str, ServiceSpec]) -> list[str]:
    """What is wrong with the version of what the environment runs on, Kubernetes or an engine: reason and allowed."""
    matrix = load_matrix()
    own = Part("", system, version)
    parts = [own, *(part for name, spec in services.items() for part in parts_of(name, spec, matrix))]
    row = matrix.systems[system]
    texts = [f"{reason}; allowed: {row.supported}" for reason in [row.unsupported(version)] if reason]
    broken = broken_rules(matrix, parts)
    return texts + [f"{rule.why}; allowed: {rule.needs}" for part, rule, _ in broken if part == own]


def operators_of(services: Mapping[str, ServiceSpec]) -> list[str]:
    """Operators that must run in a cluster for these services, by their names in the matrix."""
    matrix = load_matrix()
    found = (part.system for name, spec in services.items() for part in parts_of(name, spec, matrix))
    return sorted({system for system in found if matrix.systems[system].deployment})


def ended(system: str, version: str, today: date) -> str:
    """That a version gets no more fixes, as a sentence; empty where it gets some or nobody knows."""
    matrix = load_matrix()
    row = matrix.systems[system]
    end = row.end(version)
    if end is None or end >= today:
        return ""
    return f"{row.title} {row.series(version)} has had no fixes since {end}, as known on {matrix.snapshot}"


def choices(kind: str, matrix: Matrix) -> list[str]:
    """The release series that services of a kind may choose from, the oldest first."""
    return [matrix.systems[kind].series(release.version) for release in reversed(releases(kind))]


def _wrong_choice(name: str, spec: ServiceSpec, matrix: Matrix) -> Iterator[Problem]:
    chosen = spec.version if isinstance(spec, ServerSpec) else None
    if chosen is None:
        return
    with suppress(KeyError):
        release_of(spec.kind, chosen)
        return
    row = matrix.systems[spec.kind]
    reason = row.unsupported(chosen) or f"no release of {row.title} {chosen} is tested"
    fix = f'set version: "{row.recommended}" or remove it'
    text = f"{chosen} given; {reason}; allowed: {listed(choices(spec.kind, matrix))}; {fix}"
    yield Problem(f"{SERVICES}.{name}.version", text)


def _unsupported_image(spec: ServiceSpec, part: Part, matrix: Matrix) -> Iterator[Problem]:
    image = getattr(spec, "image", None)
    if image and (reason := matrix.systems[part.system].unsupported(part.version)):
        row = matrix.systems[part.system]
        text = f"{shown(image)} given; {reason}; allowed: {row.supported}; name an image of version {row.recommended}"
        yield Problem(f"{SERVICES}.{part.service}.image", text)


def _broken(spec: ServiceSpec, part: Part, rule: CrossRule, met: Part) -> Problem:
    image = getattr(spec, "image", None)
    field = "image" if image else "version" if isinstance(spec, ServerSpec) else "kind"
    fixing = rule.needs.since or rule.needs.to
    fix = f"name an image of version {fixing}" if image else f'set version: "{fixing}"' if field == "version" else ""
    other = f"remove {met.service} from uses" if rule.uses else f"remove {met.service}"
    given = shown(image) if image else part.version
    text = f"{given} given; {rule.why}; allowed: {rule.needs}; {' or '.join(filter(None, [fix, other]))}"
    return Problem(f"{SERVICES}.{part.service}.{field}", text)
