"""What was proved, as a table: service, proof, target, seconds; red where it failed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text


@dataclass
class Cell:
    """All tests of one proof for one service."""

    seconds: float = 0.0
    failed: list[str] = field(default_factory=list)
    passed: int = 0
    notes: list[str] = field(default_factory=list)

    def text(self) -> Text:
        """Seconds and what was measured; red where a test failed."""
        if self.failed:
            more = f" and {len(self.failed) - 1} more" if len(self.failed) > 1 else ""
            return Text(f"FAILED {self.failed[0]}{more}", style="bold red")
        if not self.passed:
            return Text("skipped", style="yellow")
        return Text("\n".join([f"{self.seconds:.1f} s", *self.notes]), style="green")


class Table:
    """Collects reports of tests as they come."""

    def __init__(self) -> None:
        self._cells: dict[tuple[tuple[str, str], str], Cell] = defaultdict(Cell)

    def add(self, report: pytest.TestReport) -> None:
        """Take one report of a test: of its set-up, itself or its end."""
        properties: dict[str, Any] = dict(report.user_properties)
        if "proof" not in properties:
            return
        cell = self._cells[(properties["service"], properties["target"]), properties["proof"]]
        cell.seconds += report.duration if report.when == "call" else 0.0
        cell.passed += report.when == "call" and report.passed
        if report.failed:
            cell.failed.append(report.nodeid.rpartition("::")[2].partition("[")[0])
        if report.when == "call" and "note" in properties:
            cell.notes.append(str(properties["note"]))

    def print(self, width: int) -> None:
        """Write the table, if there was anything."""
        if not self._cells:
            return
        proofs = dict.fromkeys(proof for _, proof in self._cells)
        targets = dict.fromkeys(target for (_, target), _ in self._cells)
        table = RichTable("service", "proof", *targets, title="What was proved, and the seconds it took")
        for service in dict.fromkeys(service for (service, _), _ in self._cells):
            for proof in proofs:
                cells = [self._cells.get(((service, target), proof)) for target in targets]
                if any(cells):
                    table.add_row(service, proof, *(cell.text() if cell else "" for cell in cells))
            table.add_section()
        Console(width=max(120, width)).print("", table)
