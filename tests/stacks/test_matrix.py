"""`groundwork matrix`: the tables a person reads, and the data for machines."""

from __future__ import annotations

import json
from datetime import date

from rich.console import Console
from typer.testing import CliRunner

from components.core.compatibility import load_matrix
from stacks.cli import app
from stacks.matrix import matrix_tables
from tests.support.environments import load

TODAY = date(2026, 11, 21)


def lines(name: str, today: date = TODAY) -> list[list[str]]:
    """The cells of each row of both tables, as printed."""
    console = Console(width=400)
    with console.capture() as captured:
        for table in matrix_tables(load(name).services if name else {}, name, today):
            console.print(table)
    rows = [line for line in captured.get().splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in row.strip("│┃").replace("┃", "│").split("│")] for row in rows]


def row(name: str, title: str, today: date = TODAY) -> list[str]:
    found = [cells for cells in lines(name, today) if cells[0] == title]
    assert found
    return found[0]


def test_each_system_with_its_bounds_and_end_of_life() -> None:
    assert lines("")[0] == ["system", "minimum", "recommended", "maximum", "end of life", "note"]
    assert row("", "PostgreSQL")[1:5] == ["14", "18 (or 17)", "18", "2030-11-14"]
    assert row("", "Redis")[1:5] == ["6.2", "8.10", "8.10", "unknown"]
    assert row("", "Tempo")[1:5] == ["-", "3.1", "-", "unknown"]
    assert {cells[0] for cells in lines("")} >= {system.title for system in load_matrix().systems.values()}


def test_an_environment_stands_beside_it() -> None:
    assert lines("prod")[0][1] == "prod"
    assert row("prod", "PostgreSQL")[1] == "postgres 18.6"
    assert row("prod", "CloudNativePG")[1] == "postgres 1.30.0"
    assert {"cache 8.10.1", "queue 8.10.1"} <= set(row("prod", "Redis")[1].split(", "))
    assert row("dev", "CloudNativePG")[1] == ""


def test_an_end_that_has_passed_is_said_to_have() -> None:
    assert row("prod", "CloudNativePG", date(2026, 12, 31))[5] == "2026-12-31"
    assert row("prod", "CloudNativePG", date(2027, 1, 1))[5] == "2026-12-31, passed"


def test_the_rules_are_listed() -> None:
    found = [cells[:3] for cells in lines("")]
    assert ["Tempo", "3.1 or later", "it uses Kafka"] in found
    assert ["Kubernetes", "1.34 to 1.36", "it is beside CloudNativePG 1.30"] in found


def test_machines_get_data() -> None:
    done = CliRunner().invoke(app, ["matrix", "dev", "--json"])
    assert done.exit_code == 0, done.output
    data = json.loads(done.stdout)
    postgres = data["systems"]["postgres"]
    assert (postgres["services"], postgres["choices"]) == ({"postgres": "18.6"}, ["17", "18"])
    assert postgres["end_of_life"]["14"] == "2026-11-12"
    assert len(data["rules"]) == len(load_matrix().rules)
    assert data["snapshot"] == load_matrix().snapshot.isoformat()


def test_without_an_environment_the_command_prints_the_tables() -> None:
    done = CliRunner().invoke(app, ["matrix"])
    assert done.exit_code == 0, done.output
    assert "Supported versions, with the ends of life known on 2026-11-21" in done.stdout
    assert "Rules between systems" in done.stdout


def test_an_environment_that_does_not_exist() -> None:
    done = CliRunner().invoke(app, ["matrix", "nowhere"])
    assert done.exit_code != 0
    assert "environment: nowhere given; there is no Pulumi.nowhere.yaml" in str(done.exception)
