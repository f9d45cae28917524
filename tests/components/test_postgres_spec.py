"""What a person may write about PostgreSQL, and the answer to each mistake."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from components.core.problems import ConfigError, problems_of
from components.core.site import Placement, Site
from components.postgres import Postgres, PostgresSpec
from components.postgres.plan import plan_postgres
from tests.support.site import NAMES

BASE = {"kind": "postgres", "owner": "team-data"}
BUCKET = {"bucket": "acme", "region": "eu-west-1", "credentials": "backup-keys"}
ROLE = "eks.amazonaws.com/role-arn"


def answers(**fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        PostgresSpec.model_validate({**BASE, **fields})
    return [str(problem) for problem in problems_of(caught.value, PostgresSpec, "services.postgres")]


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"replicas": 2},
        ["services.postgres.replicas: 2 given; synchronous replication with failover needs an odd number, set 3"],
    ),
    (
        {"pooler": {"instances": 3, "pool_size": 5}},
        [
            "services.postgres.pooler.instances: given; only a replicated PostgreSQL has it; set replicas: 3 or "
            "remove it"
        ],
    ),
    (
        {"wal_storage": "5Gi", "backup": BUCKET},
        [
            "services.postgres.wal_storage: given; only a replicated PostgreSQL has it; set replicas: 3 or remove it",
            "services.postgres.backup.to: missing; backups of a single PostgreSQL go to an object store of the "
            "environment; name it, or set replicas: 3",
        ],
    ),
    (
        {"replicas": 3, "storage": "500Mi", "wal_storage": "1Gi"},
        [
            "services.postgres.storage: 500Mi given; the write-ahead log needs room; set at least 1Gi",
            "services.postgres.wal_storage: 1Gi given; the write-ahead log needs room; set at least 2Gi",
        ],
    ),
    (
        {"resources": {"memory": "128Mi"}},
        ["services.postgres.resources.memory: 128Mi given; a server needs at least 256Mi; set 256Mi"],
    ),
    (
        {"replicas": 3, "backup": {"schedule": "0 2 * * *"}},
        [
            "services.postgres.backup.bucket: missing; a backup needs a destination; "
            "set `to` for a single server, and bucket or snapshot_class for a replicated one"
        ],
    ),
    (
        {"replicas": 3, "backup": {"bucket": "acme", "identity": {}}},
        [
            "services.postgres.backup.region: missing; where bucket acme is decides whether data may go there; set it",
            "services.postgres.backup.identity: missing; bucket acme admits nobody unknown; "
            "set identity: {eks.amazonaws.com/role-arn: ...}, or credentials",
        ],
    ),
    (
        {"replicas": 3, "backup": {**BUCKET, "identity": {ROLE: "arn:aws:iam::111122223333:role/backups"}}},
        [
            "services.postgres.backup.identity: given beside credentials backup-keys; "
            "a backup has one identity; remove one"
        ],
    ),
    (
        {"replicas": 3, "backup": {"snapshot_class": "fast", "identity": {ROLE: "arn:aws:iam::111122223333:role/x"}}},
        ["services.postgres.backup.identity: given; only a bucket has it; remove it or set bucket"],
    ),
    (
        {"replicas": 3, "backup": {"bucket": "acme", "region": "eu-west-1", "identity": {"role arn": "x"}}},
        [
            "services.postgres.backup.identity.role arn: role arn given; "
            "allowed: an annotation of your cloud such as eks.amazonaws.com/role-arn"
        ],
    ),
    (
        {"replicas": 3, "backup": {"bucket": "acme", "region": "eu-west-1", "identity": {"a.example/role": "my role"}}},
        [
            "services.postgres.backup.identity.a.example/role: my role given; "
            "allowed: one word such as arn:aws:iam::111122223333:role/backups"
        ],
    ),
    (
        {"replicas": 3, "backup": {"bucket": "acme", "region": "eu-west-1", "identity": {ROLE: "AKIA" + "Z" * 16}}},
        [
            "services.postgres.backup.identity.eks.amazonaws.com/role-arn: (not shown, it may be a secret) given; "
            "a secret, by its look; annotations are readable by many; use credentials"
        ],
    ),
    (
        {"replicas": 3, "backup": {**BUCKET, "endpoint": "https://minio.example:70000"}},
        [
            "services.postgres.backup.endpoint: https://minio.example:70000 given; "
            "allowed: a port from 1 to 65535, or none for 443"
        ],
    ),
    (
        {"replicas": 3, "backup": {**BUCKET, "snapshot_class": "fast"}},
        ["services.postgres.backup.snapshot_class: fast given; a backup has one destination; remove one"],
    ),
    (
        {"replicas": 3, "backup": {"snapshot_class": "fast", "retention": "7d"}},
        ["services.postgres.backup.retention: given; only a bucket has it; remove it or set bucket"],
    ),
    (
        {"replicas": 3, "backup": {**BUCKET, "retention": "30m"}},
        ["services.postgres.backup.retention: 30m given; allowed: days such as 30d"],
    ),
    (
        {"replicas": 3, "backup": {"to": "objects"}},
        [
            "services.postgres.backup.to: objects given; the operator of a replicated PostgreSQL takes its backups; "
            "set bucket or snapshot_class instead"
        ],
    ),
    (
        {"backup": {"to": "objects", "region": "eu-west-1"}},
        ["services.postgres.backup.region: given; only a bucket has it; remove it or set bucket"],
    ),
    (
        {"replicas": 3, "backup": {**BUCKET, "log_every": "1m"}},
        [
            "services.postgres.backup.log_every: given; only backups to an object store of the environment have it; "
            "remove it or set `to`"
        ],
    ),
    (
        {"replicas": 3, "backup": {"snapshot_class": "fast", "drill": "0 4 * * 0"}},
        ["services.postgres.backup.drill: given; snapshots of volumes are not tried; remove it or set bucket"],
    ),
    (
        {"replicas": 3, "restore": {"store": "objects"}},
        [
            "services.postgres.restore: given with 3 replicas; its operator restores a replicated PostgreSQL by means "
            "of its own; set replicas: 1, and copy the databases from there with pg_dump"
        ],
    ),
    (
        {"restore": {"store": "objects", "until": "yesterday"}},
        ["services.postgres.restore.until: yesterday given; allowed: a second in UTC such as 2026-11-21T12:00:00Z"],
    ),
    (
        {"replicas": 3, "backup": {**BUCKET, "schedule": "nightly"}},
        ["services.postgres.backup.schedule: nightly given; allowed: five cron fields in UTC, such as 0 2 * * *"],
    ),
    (
        {"replicas": 3, "pooler": {"mode": "statement"}},
        ["services.postgres.pooler.mode: statement given; allowed: transaction, session"],
    ),
]


@pytest.mark.parametrize(("fields", "expected"), MISTAKES, ids=lambda value: next(iter(value), "") if value else "")
def test_mistakes_say_what_to_write_instead(fields: dict[str, Any], expected: list[str]) -> None:
    assert answers(**fields) == expected


def test_replicas_need_an_operator() -> None:
    spec = PostgresSpec.model_validate({**BASE, "replicas": 3})
    placement = Placement(region="eu-central-1")
    text = "3 given; only kubernetes runs a replicated PostgreSQL; set 1"
    assert Postgres.check(spec, "docker", placement) == [("replicas", text)]
    assert Postgres.check(spec, "kubernetes", placement) == []
    assert Postgres.check(PostgresSpec.model_validate(BASE), "docker", placement) == []


def test_backups_stay_where_data_may_be() -> None:
    backup = {**BUCKET, "region": "us-east-1"}
    spec = PostgresSpec.model_validate({**BASE, "replicas": 3, "backup": backup})
    inside = Placement(region="eu-central-1", residency=("eu-central-1", "us-east-1"))
    outside = Placement(region="eu-central-1", residency=("eu-central-1", "eu-west-1"))
    text = (
        "us-east-1 given; allowed: eu-central-1, eu-west-1; use a bucket there or add us-east-1 to residency"
    )  # fmt: skip
    assert Postgres.check(spec, "kubernetes", outside) == [("backup.region", text)]
    assert Postgres.check(spec, "kubernetes", inside) == []


@pytest.mark.parametrize("consumer", ["postgres", "public", "db-pooler", "pgbouncer", "replication"])
def test_a_consumer_never_becomes_a_reserved_role(consumer: str) -> None:
    site = Site("test", Placement(region="eu-central-1"), NAMES, {"db": (consumer, "api")})
    with pytest.raises(ConfigError) as caught:
        plan_postgres("db", PostgresSpec.model_validate(BASE), site)
    fix = f"rename service {consumer}"
    expected = f"groundwork:services.{consumer}.uses: db given; PostgreSQL reserves the role {consumer}; {fix}"
    assert str(caught.value) == expected
