"""What a service declares of its backups, and what follows: who may reach what, who holds the key, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from components.core.backups.carrying import SEALING, render_schedule
from components.core.backups.contract import Cron, refuse_restore, spread
from components.postgres import Postgres, PostgresSpec
from components.postgres.render import CONFIG
from components.redis import RedisSpec
from stacks.compose import Platform
from stacks.config import parse
from stacks.graph import consumers
from tests.support.recording import Recorded, record

ENVIRONMENT: dict[str, Any] = {
    "profile": "local",
    "target": "docker",
    "placement": {"region": "eu-central-1"},
    "owner": "team-platform",
}
STORE = {"backup": {"to": "objects"}}
EVENTS: dict[str, Any] = {
    "kind": "rabbitmq",
    "storage": "2Gi",
    "exchanges": [{"name": "e", "type": "topic"}],
    "queues": [{"name": "q"}],
    "bindings": [{"exchange": "e", "queue": "q", "key": "k"}],
}
SERVICES: dict[str, Any] = {
    "objects": {},
    "postgres": {"storage": "1Gi", **STORE},
    "queue": {"kind": "redis", "role": "queue", "storage": "1Gi", **STORE},
    "events": {**EVENTS, **STORE},
    "earlier": {"kind": "postgres", "restore": {"store": "objects", "service": "postgres"}},
}
CRONS = (
    ("0 2 * * *", ((0,), (2,), (), (), ())),
    ("*/20 1-3,8 1 * 0", ((0, 20, 40), (1, 2, 3, 8), (1,), (), (0,))),
    ("5/25 0-23/12 * 2,4 1-5", ((5, 30, 55), (0, 12), (), (2, 4), (1, 2, 3, 4, 5))),
)
WRONG_CRONS = (
    ("0 2 * *", "allowed: five cron fields in UTC, such as 0 2 * * *"),
    ("60 2 * * *", "60 is outside 0 to 59; allowed: five cron fields in UTC, such as 0 2 * * *"),
    ("0 2 0 * *", "0 is outside 1 to 31; allowed: five cron fields in UTC, such as 0 2 * * *"),
    ("0 5-3 * * *", "5-3 is outside 0 to 23; allowed: five cron fields in UTC, such as 0 2 * * *"),
    ("*/0 * * * *", "allowed: five cron fields in UTC, such as 0 2 * * *"),
    ("0 2 * * sun", "allowed: five cron fields in UTC, such as 0 2 * * *"),
)


@pytest.fixture(scope="module")
def made() -> tuple[Platform, list[Recorded]]:
    return record(parse("test", ENVIRONMENT, SERVICES))


def files(resource: Recorded) -> dict[str, str]:
    """Files that a container holds, by their paths."""
    given: Any = resource.inputs.get("uploads", [])
    uploads = given["value"] if isinstance(given, dict) else given
    return {upload["file"]: upload["content"] for upload in uploads}


@pytest.mark.parametrize(("cron", "fields"), CRONS)
def test_a_schedule_is_what_cron_makes_of_it(cron: str, fields: tuple[tuple[int, ...], ...]) -> None:
    assert spread(cron) == fields


@pytest.mark.parametrize(("cron", "text"), WRONG_CRONS)
def test_a_wrong_schedule_says_what_is_allowed(cron: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Cron).validate_python(cron)
    assert caught.value.errors()[0]["msg"] == f"Value error, {text}"


def test_scripts_read_schedules_as_lists() -> None:
    assert render_schedule("*/30 2 * * 0") == "00,30 02 any any 0"


def test_the_part_is_the_stores_consumer_and_not_the_service() -> None:
    specs = parse("test", ENVIRONMENT, SERVICES).services
    found = consumers(specs)
    assert set(found["objects"]) == {"postgres-backup", "queue-backup", "events-backup", "earlier"}
    assert found["postgres"] == ()


def test_who_uses_the_store_itself_is_its_consumer_too() -> None:
    spec = PostgresSpec(kind="postgres", uses=("objects",), backup={"to": "objects"})
    assert spec.ends("db") == {"objects": ("db", "db-backup")}
    assert spec.edges == ("objects",)


@pytest.mark.parametrize("name", ["postgres", "queue", "events"])
def test_every_kind_says_the_same_of_its_backups(name: str, made: tuple[Platform, list[Recorded]]) -> None:
    rows = {row["name"]: row for row in made[0].inventory()}
    assert rows[name]["backup"] == {
        "target": "objects",
        "schedule": "0 2 * * *",
        "retention": "30d",
        "drill": "0 4 * * 0",
        "encryption": "client",
        "region": "eu-central-1",
    }
    part = rows[f"{name}-backup"]
    assert (part["kind"], part["uses"], part["owner"]) == ("backup", [name, "objects"], "team-platform")
    assert [listener["tls"] for listener in part["listeners"]] == ["server"]


def test_replicated_ones_say_where_theirs_go_too() -> None:
    bucket = {"bucket": "acme", "region": "eu-west-1", "credentials": "keys"}
    spec = PostgresSpec.model_validate({"kind": "postgres", "replicas": 3, "backup": bucket})
    assert spec.backup
    assert spec.backup.facts("eu-central-1") == {
        "schedule": "0 2 * * *", "retention": "30d", "drill": "0 4 * * 0", "target": "acme", "region": "eu-west-1",
        "encryption": "server",
    }  # fmt: skip
    elsewhere = spec.backup.model_copy(update={"endpoint": "https://s3.example.com"})
    assert elsewhere.facts("eu-central-1")["encryption"] == "unknown", "other services are not asked to"


def test_the_key_is_the_carriers_alone(made: tuple[Platform, list[Recorded]]) -> None:
    holders = {one.name for one in made[1] if f"{SEALING}/key" in files(one)}
    parts = {f"{name}-backup-0-carrier-files" for name in ("postgres", "queue", "events")}
    assert holders == {*parts, "earlier-0-restore-files"}


def test_one_key_for_all_outlives_every_service_and_every_backup(made: tuple[Platform, list[Recorded]]) -> None:
    keys = [one for one in made[1] if one.name == "pki-backup-key"]
    assert len(keys) == 1
    assert keys[0].urn.split("::")[2].split("$")[0] == "groundwork:security:Pki"
    _, without = record(parse("test", ENVIRONMENT, {"cache": {"kind": "redis", "role": "cache"}}))
    assert [one.name for one in without if one.name == "pki-backup-key"] == ["pki-backup-key"]


def test_the_database_lets_the_part_in_by_its_certificate_and_to_the_log_alone() -> None:
    _, recorded = record(parse("test", ENVIRONMENT, SERVICES))
    found = next(files(one) for one in recorded if one.name == "postgres-0-postgres-files")
    assert 'hostssl replication "postgres-backup" all cert' in found[f"{CONFIG}/pg_hba_pooler.conf"].splitlines()
    settings = found[f"{CONFIG}/postgresql.conf"].splitlines()
    assert {"archive_timeout = '60s'", "max_slot_wal_keep_size = '256MB'"} <= set(settings)
    assert "pg_drop_replication_slot" not in found[f"{CONFIG}/roles.sql"]


def test_a_slot_that_nobody_reads_any_more_is_dropped() -> None:
    _, recorded = record(parse("test", ENVIRONMENT, {"postgres": {"storage": "1Gi"}}))
    found = next(files(one) for one in recorded if one.name == "postgres-0-postgres-files")
    assert "pg_drop_replication_slot" in found[f"{CONFIG}/roles.sql"]
    assert "replication" not in found[f"{CONFIG}/pg_hba.conf"]


def test_what_has_data_is_not_restored() -> None:
    spec = RedisSpec.model_validate(
        {"kind": "redis", "role": "queue", "storage": "1Gi", "restore": {"store": "objects"}}
    )
    deployed = {"kind": "redis", "stateful": True}
    assert [(refusal.field, refusal.text, refusal.final) for refusal in refuse_restore(deployed, spec)] == [
        (
            "restore",
            "given; a backup is what a new service begins with, and this one has data, which would stay as it is; "
            "remove it, or restore into a service of another name, with restore.service: the name of this one",
            True,
        )
    ]
    assert spec.restore
    assert refuse_restore({**deployed, "restore": spec.restore.model_dump(mode="json")}, spec) == []
    assert refuse_restore(deployed, spec.model_copy(update={"restore": None})) == []


def test_names_of_a_part_are_taken() -> None:
    with_part = PostgresSpec.model_validate({"kind": "postgres", **STORE})
    names = Postgres.occupies("db", with_part, ())
    assert {"object/db-backup", "object/db-backup-peers", "certificate/db-backup-server"} <= set(names)
