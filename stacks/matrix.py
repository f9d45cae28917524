"""The compatibility matrix as data and as tables: what is supported, until when, and what an environment runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from components.core.catalogue import CATALOGUE
from components.core.compatibility import CrossRule, Matrix, System, load_matrix
from stacks.config import ENVIRONMENT, parse
from stacks.graph import SERVICES
from stacks.versions import choices, parts_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from components.core.spec import ServiceSpec


def show_matrix(stack: str, config: Mapping[str, Any], console: Console, *, as_json: bool) -> None:
    """Print the matrix, with what environment `stack` of this configuration runs; no environment where it is empty.

    Raises ConfigError where the environment has mistakes.
    """
    services = parse(stack, config.get(ENVIRONMENT), config.get(SERVICES)).services if stack else {}
    if as_json:
        console.print_json(data=matrix_data(services))
        return
    for table in matrix_tables(services, stack, date.today()):
        console.print(table)


def matrix_data(services: Mapping[str, ServiceSpec]) -> dict[str, Any]:
    """Everything the matrix holds, as plain data; each system with the version that each of the services runs."""
    matrix = load_matrix()
    found = matrix.model_dump(mode="json")
    running: dict[str, dict[str, str]] = {system: {} for system in matrix.systems}
    for name, spec in services.items():
        for part in parts_of(name, spec, matrix):
            running[part.system][name] = part.version
    for system, row in found["systems"].items():
        row |= {"choices": choices(system, matrix) if system in CATALOGUE else [], "services": running[system]}
    return found


def matrix_tables(services: Mapping[str, ServiceSpec], title: str, today: date) -> list[Table]:
    """The systems, with what the services run in a column called `title` where there are any; then the rules."""
    from rich.table import Table

    matrix, data = load_matrix(), matrix_data(services)
    heads = ["system", *([title] if services else []), "minimum", "recommended", "maximum", "end of life", "note"]
    systems = Table(*heads, title=f"Supported versions, with the ends of life known on {matrix.snapshot}")
    for name, row in matrix.systems.items():
        running = data["systems"][name]["services"]
        shown = [", ".join(f"{service} {version}" for service, version in running.items())] if services else []
        others = [one for one in data["systems"][name]["choices"] if one != row.recommended]
        recommended = f"{row.recommended} (or {', '.join(others)})" if others else row.recommended
        ends = _ends(row, set(running.values()) or {row.recommended}, today)
        systems.add_row(row.title, *shown, row.minimum or "-", recommended, row.maximum or "-", ends, row.note)
    rules = Table("system", "versions", "where", "why", title="Rules between systems")
    for rule in matrix.rules:
        rules.add_row(matrix.systems[rule.system].title, str(rule.needs), _where(rule, matrix), rule.why)
    return [systems, rules]


def _ends(row: System, versions: set[str], today: date) -> str:
    """When the versions come to their end, each day once."""
    days = {row.end(version) for version in versions}
    known = [f"{day}, passed" if day < today else str(day) for day in sorted(day for day in days if day)]
    return ", ".join([*known, *(["unknown"] if None in days else [])])


def _where(rule: CrossRule, matrix: Matrix) -> str:
    """What a rule is about, in words."""
    title = matrix.systems[rule.other].title
    versions = "" if str(rule.of) == "any" else f" {rule.of}"
    return f"it {'uses' if rule.uses else 'is beside'} {title}{versions}"
