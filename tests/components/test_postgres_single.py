"""A single PostgreSQL server: its configuration, roles and processes."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from components.postgres.render import (
    REFUSE_PLAINTEXT,
    REFUSE_REST,
    render_conf,
    render_hba,
    render_ident,
    render_roles,
    render_start,
    scram_verifier,
)
from components.postgres.single import single_workload
from tests.support.postgres import plan_of


def settings(text: str) -> dict[str, str]:
    pairs = (line.split(" = ", 1) for line in text.splitlines())
    return {key: value.strip("'") for key, value in pairs}


def test_server_speaks_tls13_only_and_logs_slow_statements() -> None:
    conf = settings(render_conf(plan_of("api")))
    assert conf["ssl"] == "on"
    assert conf["ssl_min_protocol_version"] == "TLSv1.3"
    assert conf["password_encryption"] == "scram-sha-256"
    assert conf["log_min_duration_statement"] == "1000"
    assert conf["row_security"] == "on"
    assert conf["hba_file"] in {file.path for file in single_workload(plan_of("api")).files}


def test_memory_settings_follow_the_memory() -> None:
    conf = settings(render_conf(plan_of(resources={"memory": "4Gi"})))
    assert (conf["shared_buffers"], conf["effective_cache_size"]) == ("1024MB", "3072MB")


def test_shared_memory_of_parallel_queries_is_not_taken_from_the_containers_small_device() -> None:
    assert settings(render_conf(plan_of()))["dynamic_shared_memory_type"] == "sysv"
    assert "dynamic_shared_memory_type" not in plan_of(replicas=3).settings, "the operator mounts a device large enough"


def test_connections_are_enough_for_every_pool() -> None:
    few = settings(render_conf(plan_of("api")))["max_connections"]
    many = settings(render_conf(plan_of(*(f"app-{n}" for n in range(9)))))["max_connections"]
    pooled = plan_of("api", "web", "jobs", replicas=3).settings["max_connections"]
    assert (few, many, pooled) == ("100", str(9 * 20 + 20), str(3 * 2 * 20 + 20))


@pytest.mark.parametrize("backup", [None, {"to": "objects"}])
def test_the_server_listens_on_its_socket_alone_and_lets_in_who_is_in_the_pod(backup: dict[str, str] | None) -> None:
    plan = plan_of("api", "web-x", backup=backup)
    rules = render_hba(plan).splitlines()
    assert settings(render_conf(plan))["listen_addresses"] == ""
    assert [rule for rule in rules if not rule.startswith("local ")] == [REFUSE_PLAINTEXT, REFUSE_REST]
    assert rules[-2] == "local all all reject"
    assert 'local "web-x" "web-x" peer map=process' in rules
    assert all(rule.endswith(" peer map=process") for rule in rules if "reject" not in rule)
    assert ('local replication,postgres "postgres-backup" peer map=process' in rules) == bool(backup)
    named = [line.split()[2].strip('"') for line in render_ident(plan).splitlines()]
    assert named == ["postgres", "groundwork_metrics", "api", "web-x", *(["postgres-backup"] if backup else [])]


def test_a_consumer_named_like_a_keyword_gets_no_more_than_its_own() -> None:
    assert 'local "all" "all" peer map=process' in render_hba(plan_of("all"))
    assert 'process postgres "all"' in render_ident(plan_of("all"))


def test_roles_are_no_superusers_and_subject_to_row_level_security() -> None:
    sql = render_roles(plan_of("api"))
    attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL"
    assert f'ALTER ROLE "api" {attributes}' in sql
    assert 'CREATE DATABASE "api" OWNER "api"' in sql
    assert 'REVOKE ALL ON DATABASE "api" FROM PUBLIC' in sql


def test_verifier_proves_the_password_as_rfc_5802_says() -> None:
    verifier = scram_verifier("pencil", "api")
    head, keys = verifier.removeprefix("SCRAM-SHA-256$").split("$")
    iterations, salt = head.split(":")
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", base64.b64decode(salt), int(iterations))
    assert hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest() == stored
    assert hmac.digest(salted, b"Server Key", "sha256") == server
    assert verifier == scram_verifier("pencil", "api")
    assert len({verifier, scram_verifier("pencil", "web"), scram_verifier("pencils", "api")}) == 3


def test_data_lies_below_the_volume_by_major_version() -> None:
    workload = single_workload(plan_of("api"))
    assert [volume.path for volume in workload.volumes] == ["/var/lib/postgresql"]
    assert "/var/lib/postgresql/18/docker/PG_VERSION" in render_start(plan_of("api"))


def test_the_first_start_never_removes_data() -> None:
    removed = [line.split() for line in render_start(plan_of()).splitlines() if "rm -rf" in line]
    assert removed == [["rm", "-rf", "/var/lib/postgresql/18/docker.new"]]


def test_every_process_has_its_own_probes() -> None:
    workload = single_workload(plan_of("api"))
    assert [container.name for container in workload.containers] == ["postgres", "pooler", "roles", "metrics"]
    for container in workload.containers:
        assert container.readiness != container.liveness


def test_only_consumers_reach_the_server_and_nobody_the_metrics_service() -> None:
    workload = single_workload(plan_of("api", "web"))
    assert [(reach.service, reach.ports) for reach in workload.callers] == [("api", (5432,)), ("web", (5432,))]
    assert {listener.name: listener.service for listener in workload.listeners} == {
        "postgresql": True,
        "metrics": False,
    }
    assert all(listener.tls in ("server", "mutual") for listener in workload.listeners)


def test_each_secret_is_a_file_and_none_is_an_argument() -> None:
    workload = single_workload(plan_of("api"))
    assert workload.slots == ("ca.crt", "tls.crt", "tls.key")
    for container in workload.containers:
        words = " ".join((*container.command, *container.args, *container.env.values())).lower()
        assert "password" not in words
        assert "verifier" not in words
