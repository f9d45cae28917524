"""What ClickHouse's own engine says of the statements and settings: chdb has it in a library, without a server.

It has no Keeper and no cluster, so that replicated tables are parsed there and not made.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.clickhouse import render
from components.clickhouse.plan import ClickhousePlan
from tests.support.clickhouse import METRICS, plan_of
from tests.support.site import contents

Answers = list[tuple[bool, str]]
Engine = Callable[..., Answers]

ASK = """
import json, sys
from chdb.session import Session

session = Session(sys.argv[1])
answers = []
for query in json.load(sys.stdin):
    try:
        answers.append((True, session.query(query, "TSVRaw").data()))
    except Exception as error:
        answers.append((False, str(error)))
json.dump(answers, sys.stdout)
"""
"""In a process of its own: the engine takes over a process that it is loaded into."""

OUTSIDE = {
    "distributed_ddl", "https_port", "include_from", "interserver_http_credentials", "keeper_server", "listen_host",
    "listen_try", "logger", "macros", "openSSL", "part_log", "path", "protocols", "query_log", "remote_servers",
    "tcp_port_secure", "users", "profiles", "quotas", "users_config", "watched_handlers", "zookeeper",
}  # fmt: skip
"""Settings that the server reads by other code than the one that lists them."""


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """Asks the engine, which keeps what it has in a folder, each query and tells whether it went well."""

    def ask(*queries: str) -> Answers:
        asked = subprocess.run(
            [sys.executable, "-c", ASK, str(tmp_path / "data")],
            input=json.dumps(queries),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert asked.returncode == 0, asked.stderr
        return [(good, answer) for good, answer in json.loads(asked.stdout)]

    return ask


def statements(plan: ClickhousePlan) -> list[str]:
    return [line.removesuffix(";") for line in contents(plan.servers[0])["schema.sql"].splitlines()]


def failures(answers: Answers) -> list[str]:
    return [answer for good, answer in answers if not good]


def names(engine: Engine, table: str) -> set[str]:
    ((good, found),) = engine(f"SELECT name FROM system.{table}")
    assert good
    return set(found.split())


def conf_of(text: str) -> Any:
    return YAML(typ="safe").load(text)


def test_the_schema_applies_and_applies_again(engine: Engine) -> None:
    schema = statements(plan_of("api", "order-api"))
    assert not failures(engine(*schema, *schema))
    create, databases = engine("SHOW CREATE TABLE groundwork.metrics", "SHOW DATABASES")
    for clause in (
        "PARTITION BY (tenant_id, toYYYYMM(timestamp))",
        "ORDER BY (workspace_id, tenant_id, metric_name, timestamp)",
        "TTL toDateTime(timestamp) + toIntervalSecond(7776000)",
        "ENGINE = MergeTree",
    ):
        assert clause in create[1]
    assert {"api", "order-api", "groundwork"} <= set(databases[1].split())


def test_the_engine_refuses_what_is_wrong(engine: Engine) -> None:
    """The judge can say no."""
    broken = plan_of("api", tables=[{**METRICS, "columns": {**METRICS["columns"], "value": "Flaot64"}}])
    assert any("Flaot64" in failure for failure in failures(engine(*statements(broken))))


def test_rows_stay_while_columns_are_added_and_kept_time_changes(engine: Engine) -> None:
    row = "'w', 1, 'cpu', now64(3), 0.5, map('host', 'a')"
    assert not failures(engine(*statements(plan_of("api")), f"INSERT INTO groundwork.metrics VALUES ({row})"))
    columns = {**METRICS["columns"], "unit": "LowCardinality(String) DEFAULT 'none'"}
    columns.pop("labels")
    changed = plan_of("api", tables=[{**METRICS, "columns": columns, "ttl": {"after": "30d"}}])
    profile = conf_of(contents(changed.servers[0])[render.USERS_FILE])["profiles"]["gw_schema"]
    settings = [f"SET {name} = {value}" for name, value in profile.items()]
    answers = engine(
        *settings,
        *statements(changed),
        "SELECT value, unit, labels['host'] FROM groundwork.metrics",
        "SHOW CREATE TABLE groundwork.metrics",
        "SELECT count() FROM system.mutations",
    )
    assert not failures(answers)
    assert answers[-3][1].split() == ["0.5", "none", "a"]
    assert "toIntervalSecond(2592000)" in answers[-2][1]
    assert answers[-1][1].strip() == "0"


def test_old_rows_go_when_parts_are_merged(engine: Engine) -> None:
    rows = "('w', 1, 'cpu', now64(3), 1, map()), ('w', 1, 'cpu', now64(3) - INTERVAL 91 DAY, 2, map())"
    answers = engine(
        *statements(plan_of("api")),
        f"INSERT INTO groundwork.metrics VALUES {rows}",
        "OPTIMIZE TABLE groundwork.metrics FINAL",
        "SELECT value FROM groundwork.metrics",
    )
    assert not failures(answers)
    assert answers[-1][1].split() == ["1"]


@pytest.mark.parametrize("kind", ["MergeTree", "ReplacingMergeTree", "SummingMergeTree", "AggregatingMergeTree"])
def test_every_engine_on_offer_exists_in_both_forms(engine: Engine, kind: str) -> None:
    tables = [{**METRICS, "engine": kind}]
    assert not failures(engine(*statements(plan_of("api", tables=tables))))
    assert {kind, f"Replicated{kind}", "Distributed"} <= names(engine, "table_engines")
    replicated = statements(plan_of("api", tables=tables, replicas=2))
    assert f"ENGINE = Replicated{kind}('/clickhouse/tables/" in "".join(replicated)


def test_replicated_statements_are_understood(engine: Engine) -> None:
    schema = statements(plan_of("api", replicas=2, shards=2))
    assert not failures(engine(*(f"EXPLAIN AST {statement}" for statement in schema)))
    assert sum("ENGINE = Distributed(" in statement for statement in schema) == 1


def test_statements_make_and_add_and_take_nothing_away() -> None:
    for replicas in (1, 2):
        for statement in statements(plan_of("api", replicas=replicas)):
            assert re.match(
                r"CREATE (DATABASE|TABLE) IF NOT EXISTS |ALTER TABLE \S+ (ADD COLUMN IF NOT EXISTS|MODIFY TTL) ",
                statement,
            )
            assert not re.search(r"\b(DROP|DELETE|DETACH|TRUNCATE|REPLACE)\b", statement)


def test_every_setting_of_a_profile_exists_and_takes_its_value(engine: Engine) -> None:
    everything = {
        "read_only": True,
        "max_memory": "1Gi",
        "max_time": "5m",
        "max_threads": 2,
        "max_rows_read": 10,
        "max_rows_returned": 10,
    }
    plan = plan_of("api", profiles={"all": everything, "written": {"async_insert": {"wait": True}}})
    profiles = conf_of(contents(plan.servers[0])[render.USERS_FILE])["profiles"]
    settings = {name: value for profile in profiles.values() for name, value in profile.items()}
    assert settings.keys() >= {
        "async_insert",
        "wait_for_async_insert",
        "max_memory_usage",
        "materialize_ttl_after_modify",
    }
    assert settings.keys() <= names(engine, "settings")
    for profile in profiles.values():
        order = sorted(profile.items(), key=lambda item: item[0] == "readonly")
        changes = ", ".join(f"{name} = {value}" for name, value in order)
        asked = ", ".join(f"toString(getSetting('{name}'))" for name, _ in order)
        ((good, answer),) = engine(f"SELECT {asked} SETTINGS {changes}")
        assert good, answer
        values = [{"true": "1", "false": "0"}.get(value, value) for value in answer.split()]
        assert values == [str(value) for _, value in order]


def test_every_limit_of_a_quota_exists(engine: Engine) -> None:
    intervals = conf_of(contents(plan_of("api").servers[0])[render.USERS_FILE])["quotas"]["default"]["interval"]
    ((good, found),) = engine("SELECT name FROM system.columns WHERE database = 'system' AND table = 'quota_limits'")
    assert good
    assert {f"max_{name}" for name in intervals if name != "duration"} <= set(found.split())


def test_every_right_is_one(engine: Engine) -> None:
    plan = plan_of("api", "order-api", replicas=2)
    users = conf_of(contents(plan.servers[0])[render.USERS_FILE])["users"]
    rights = [right for user in users.values() for right in user["grants"]["query"]]
    assert len(rights) > len(users)
    assert not failures(engine(*(f"EXPLAIN AST {right} TO somebody" for right in rights)))


def test_every_setting_of_the_server_exists(engine: Engine) -> None:
    plan = plan_of("api", replicas=2)
    assert plan.keeper
    known = names(engine, "server_settings") | OUTSIDE
    for workload, file in ((plan.servers[0], render.SERVER_FILE), (plan.keeper, render.KEEPER_FILE)):
        assert set(conf_of(contents(workload)[file])) <= known


def test_the_tables_of_the_servers_own_logs_can_be_made(engine: Engine) -> None:
    conf = conf_of(contents(plan_of("api").servers[0])[render.SERVER_FILE])
    made = [
        f"CREATE TABLE {name} (event_date Date) ENGINE = MergeTree PARTITION BY {block['partition_by']} "
        f"ORDER BY event_date TTL {block['ttl']}"
        for name, block in conf.items()
        if name.endswith("_log")
    ]
    assert len(made) == 2
    assert not failures(engine(*made))
