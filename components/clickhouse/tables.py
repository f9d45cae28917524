"""Tables as typed data, and the statements that make them. Pure.

ClickHouse documentation, "MergeTree", "Data Replication", "Distributed Table Engine" and "Manipulations with Table
TTL". Every statement can be applied again: it makes what is missing, and takes nothing away.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.core.problems import WrongFields, listed, shown
from components.core.spec import Spec
from components.core.types import DnsLabel, Duration, seconds_of

CLUSTER = "groundwork"
"""Name of the cluster of all shards."""
_PATH = "/clickhouse/tables/{shard}/{database}/{table}"
"""Where Keeper has a table; the server puts in its own values."""
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_WORDS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 500
_LOCAL = "_local"


def _identifier(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError("allowed: 1 to 63 of A-Z, a-z, 0-9 and '_', starting with no digit")
    return value


def _expression(value: str) -> str:
    """Part of a statement: it must neither end it nor hide the rest."""
    if not value.strip() or len(value) > _LONGEST or re.search(r";|--|/\*|#|\n|[^ -~]", value):
        raise ValueError(f"allowed: 1 to {_LONGEST} printable characters on one line, without ';' and comments")
    if value.count("(") != value.count(")"):
        raise ValueError("its parentheses don't match")
    return value


def _table_name(value: str) -> str:
    if value.endswith(_LOCAL):
        raise ValueError(f"names that end in {_LOCAL} are made for the parts of a table; choose another name")
    return _identifier(value)


Identifier = Annotated[str, AfterValidator(_identifier)]
TableName = Annotated[str, AfterValidator(_table_name)]
Expression = Annotated[str, AfterValidator(_expression)]


class Ttl(Spec):
    """How long rows are kept."""

    column: Identifier = "timestamp"
    """Column with the time of the row. Default `timestamp`."""
    after: Duration = "90d"
    """Time after which a row is deleted, when its part is merged. Default 90d."""


class Table(Spec):
    """A table that every server has. What is added to it is added; what is taken from it here stays there."""

    name: TableName
    """Its name. In a replicated ClickHouse it stands for the rows of all shards, which are in `<name>_local`."""
    database: Identifier | None = None
    """Database it is in. Default `groundwork`, beside the services' own."""
    columns: dict[Identifier, Expression] = Field(min_length=1)
    """Type of each column, with its default and codec, in this order. They can be added; none is ever taken away."""
    order_by: tuple[Expression, ...] = Field(min_length=1)
    """Columns or expressions that rows are sorted by: the primary key. It can't be changed."""
    partition_by: tuple[Expression, ...] = ()
    """Columns or expressions by which rows are kept apart. Default: not at all. It can't be changed."""
    ttl: Ttl | None = None
    """How long rows are kept. Default: for ever. One that is taken away stays in force."""
    engine: Literal["MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree"] = "MergeTree"
    """What becomes of rows with the same key when parts are merged. Default: nothing. It can't be changed."""
    sharding_key: Expression = "rand()"
    """Expression that chooses the shard of a row. Default: any shard."""
    readers: tuple[DnsLabel, ...] | None = None
    """Services that may read it. Default: every one that uses this ClickHouse."""
    writers: tuple[DnsLabel, ...] | None = None
    """Services that may insert. Default: every one that uses this ClickHouse."""

    @model_validator(mode="after")
    def _columns_are_there(self) -> "Table":
        wrong = []
        if self.ttl and self.ttl.column not in self.columns:
            text = f"{shown(self.ttl.column)} given; no such column; allowed: {listed(self.columns)}"
            wrong.append(("ttl.column", text))
        for field in ("order_by", "partition_by"):
            for index, expression in enumerate(getattr(self, field)):
                if not set(_WORDS.findall(expression)) & set(self.columns):
                    text = f"{shown(expression)} given; it names no column; allowed: {listed(self.columns)}"
                    wrong.append((f"{field}.{index}", text))
        if wrong:
            raise WrongFields(*wrong)
        return self


def names_of(table: Table, *, replicated: bool) -> tuple[str, ...]:
    """Every table that is made for one, the one that clients use first."""
    return (table.name, f"{table.name}{_LOCAL}") if replicated else (table.name,)


def quoted(name: str) -> str:
    """A name as an identifier, whatever word it is."""
    return f"`{name}`"


def statements(database: str, table: Table, *, replicated: bool) -> Iterator[str]:
    """Statements that make a table on one server, or add what it lacks."""
    visible = f"{quoted(database)}.{quoted(table.name)}"
    stored = f"{quoted(database)}.{quoted(names_of(table, replicated=replicated)[-1])}"
    yield _create(stored, table, replicated=replicated)
    yield from _columns(stored, table)
    if table.ttl:
        yield f"ALTER TABLE {stored} MODIFY TTL {_ttl(table.ttl)}"
    if replicated:
        arguments = ", ".join((CLUSTER, quoted(database), quoted(f"{table.name}{_LOCAL}"), table.sharding_key))
        yield f"CREATE TABLE IF NOT EXISTS {visible} ({_definitions(table)}) ENGINE = Distributed({arguments})"
        yield from _columns(visible, table)


def _create(stored: str, table: Table, *, replicated: bool) -> str:
    engine = f"Replicated{table.engine}('{_PATH}', '{{replica}}')" if replicated else table.engine
    clauses = [f"CREATE TABLE IF NOT EXISTS {stored} ({_definitions(table)})", f"ENGINE = {engine}"]
    if table.partition_by:
        clauses.append(f"PARTITION BY ({', '.join(table.partition_by)})")
    clauses.append(f"ORDER BY ({', '.join(table.order_by)})")
    if table.ttl:
        clauses.append(f"TTL {_ttl(table.ttl)}")
    return " ".join(clauses)


def _columns(stored: str, table: Table) -> Iterator[str]:
    """One that is there already stays as it is."""
    added = ", ".join(f"ADD COLUMN IF NOT EXISTS {quoted(name)} {kind}" for name, kind in table.columns.items())
    yield f"ALTER TABLE {stored} {added}"


def _definitions(table: Table) -> str:
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in table.columns.items())


def _ttl(ttl: Ttl) -> str:
    return f"toDateTime({quoted(ttl.column)}) + toIntervalSecond({seconds_of(ttl.after)})"
