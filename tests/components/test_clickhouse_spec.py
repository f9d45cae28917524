"""What a person may write about ClickHouse, and the answer to each mistake."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from components.clickhouse import ClickhouseSpec
from components.core.problems import ConfigError, problems_of
from tests.support.clickhouse import METRICS, fields_of, plan_of, spec_of


def answers(**fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        ClickhouseSpec.model_validate(fields_of(**fields))
    prefix = "services.store."
    return [str(problem).removeprefix(prefix) for problem in problems_of(caught.value, ClickhouseSpec, prefix[:-1])]


def table(**fields: Any) -> dict[str, Any]:
    return {"tables": [{**METRICS, **fields}]}


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"shards": 2}, "replicas: 1 given; a shard would be lost with its server; set 2"),
    (
        {"keeper": {"storage": "20Gi"}},
        "keeper: a mapping given; a single server has no Keeper; remove it, or set replicas: 2",
    ),
    ({"replicas": 2, "keeper": {"nodes": 1}}, "keeper.nodes: unknown key; remove it. Allowed: resources, storage"),
    ({"replicas": 4}, "replicas: 4 given; at most 3 is allowed (Instances of each shard, which all have its rows)"),
    (
        {"resources": {"memory": "512Mi"}},
        "resources.memory: 512Mi given; a ClickHouse needs at least 1Gi; set 1Gi",
    ),
    (
        {"replicas": 2, "keeper": {"resources": {"memory": "256Mi"}}},
        "keeper.resources.memory: 256Mi given; a Keeper needs at least 512Mi; set 512Mi",
    ),
    (
        {"tables": [METRICS, METRICS]},
        "tables.1.name: metrics given; tables.0 has this name already; remove one of the two",
    ),
    (
        table(database="system"),
        "tables.0.database: system given; ClickHouse has a database of this name; choose another",
    ),
    (
        table(name="a-b"),
        "tables.0.name: a-b given; allowed: 1 to 63 of A-Z, a-z, 0-9 and '_', starting with no digit",
    ),
    (
        table(name="metrics_local"),
        "tables.0.name: metrics_local given; names that end in _local are made for the parts of a table; choose "
        "another name",
    ),
    (
        table(ttl={"column": "time"}),
        "tables.0.ttl.column: time given; no such column; allowed: workspace_id, tenant_id, metric_name, timestamp, "
        "value, labels",
    ),
    (
        table(order_by=["tenant"]),
        "tables.0.order_by.0: tenant given; it names no column; allowed: workspace_id, tenant_id, metric_name, "
        "timestamp, value, labels",
    ),
    (
        table(partition_by=["tenant_id; DROP TABLE metrics"]),
        "tables.0.partition_by.0: tenant_id; DROP TABLE metrics given; allowed: 1 to 500 printable characters on one "
        "line, without ';' and comments",
    ),
    (
        table(sharding_key="rand("),
        "tables.0.sharding_key: rand( given; its parentheses don't match",
    ),
    (
        {"users": {"api": {"profile": "report"}}, "profiles": {"reports": {}}},
        "users.api.profile: report given; allowed: default, reports; did you mean reports?",
    ),
    (
        {"users": {"api": {"quota": "none"}}},
        "users.api.quota: none given; allowed: default; add it to quotas",
    ),
    (
        {"profiles": {"default": {"async_insert": {"flush_after": "0s"}}}},
        "profiles.default.async_insert.flush_after: 0s given; allowed: a time such as 30s, 15m, 12h or 90d",
    ),
]


@pytest.mark.parametrize(("fields", "expected"), MISTAKES, ids=[answer.partition(":")[0] for _, answer in MISTAKES])
def test_a_mistake_is_answered_with_path_value_and_fix(fields: dict[str, Any], expected: str) -> None:
    assert answers(**fields) == [expected]


def test_all_mistakes_are_answered_at_once() -> None:
    assert len(answers(shards=2, resources={"memory": "512Mi"}, tables=[METRICS, METRICS])) == 3


@pytest.mark.parametrize("hidden", ["a -- b", "a /* b */", "a\nb", "a # b", "ä", " "])
def test_an_expression_hides_nothing_behind_it(hidden: str) -> None:
    assert answers(**table(order_by=[hidden]))[0].startswith("tables.0.order_by.0: ")


def test_the_defaults_are_those_of_a_telemetry_store() -> None:
    inserts = spec_of().all_profiles["default"].async_insert
    assert (inserts.enabled, inserts.wait, inserts.flush_at, inserts.flush_after) == (True, False, "10Mi", "1s")


def refusal(*consumers: str, **fields: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan_of(*consumers, **fields)
    return [str(problem) for problem in caught.value.problems]


def test_who_is_named_must_use_it() -> None:
    named = {"users": {"web": {}}, **table(readers=["api", "worker"], writers=["job"])}
    wrong = (("tables.0.readers", "worker"), ("tables.0.writers", "job"), ("users.web", "web"))
    assert refusal("api", **named) == [
        f"groundwork:services.store.{field}: {name} given; no such service uses store; "
        "add store to its uses or remove it here. Allowed: api"
        for field, name in wrong
    ]


def test_nobody_has_the_name_of_a_database_of_the_servers_own() -> None:
    assert refusal("system") == [
        "groundwork:services.system.uses: store given; ClickHouse has a database system of its own; give the service "
        "another name"
    ]


def test_nobody_can_be_kept_from_a_table_of_its_own() -> None:
    assert refusal("api", "web", **table(database="api", writers=["web"])) == [
        "groundwork:services.store.tables.0.database: api given; it is the database of api, which may do everything "
        "there; choose another"
    ]
    assert plan_of("api", "web", **table(database="api", writers=["api"]))
