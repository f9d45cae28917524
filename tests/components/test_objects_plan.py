"""The plan of an object store: who may do what, what the server and its helpers read, and who listens."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from components.core.problems import ConfigError
from components.core.site import Site
from components.objects import ObjectsSpec
from components.objects.access import granted, render_accounts, render_buckets
from components.objects.dumping import objects_duty
from components.objects.plan import plan_objects
from policies.readers.exporter import check_web_config
from policies.readers.nginx import check_nginx
from policies.readers.versitygw import check_versitygw
from tests.support.objects import files_of, plan_of, spec_of
from tests.support.site import NAMES, PLACEMENT

TLS = ("TLSv1.3",)
SERVER = ("versitygw", "nginx", "buckets", "metrics")


def problems_of(*consumers: str, **bucket: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan_of(spec_of({"name": "media", **bucket}) if bucket else spec_of(), *consumers)
    return [str(problem) for problem in caught.value.problems]


def lines_of(*buckets: dict[str, Any]) -> list[list[str]]:
    text = render_buckets(granted(spec_of(*buckets), ("api", "worker")))
    return [line.split("\t") for line in text.splitlines()]


def test_without_buckets_each_consumer_has_one_of_its_own() -> None:
    own = lines_of()
    assert [line[0] for line in own] == ["api", "worker"]
    for line in own:
        principals = {tuple(one["Principal"]["AWS"]) for one in json.loads(line[5])["Statement"]}
        assert principals == {(line[0],)}


def test_a_policy_allows_what_a_client_does_in_its_bucket_and_nothing_about_the_bucket() -> None:
    (line,) = lines_of({"name": "media"})
    statements = json.loads(line[5])["Statement"]
    assert {one["Effect"] for one in statements} == {"Allow"}
    assert [one["Resource"] for one in statements] == [["arn:aws:s3:::media"], ["arn:aws:s3:::media/*"]]
    actions = {action for one in statements for action in one["Action"]}
    assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"} <= actions
    assert not [
        action for action in actions if re.fullmatch(r"s3:(\*|(Put|Delete|Create)Bucket.*|.*Acl|.*Policy)", action)
    ]


def test_a_bucket_without_users_has_no_policy() -> None:
    (line, _) = lines_of({"name": "closed", "users": []}, {"name": "open"})
    assert line[5] == "-"


def test_ages_are_seconds_and_nothing_is_looked_for_where_nothing_gets_too_old() -> None:
    buckets: tuple[dict[str, Any], ...] = (
        {"name": "all"},
        {"name": "day", "lifecycle": {"expire": "1d"}},
        {"name": "old", "versioning": True, "lifecycle": {"expire": "30d", "noncurrent": "2m"}},
        {"name": "short", "lifecycle": {"expire": "10s"}},
    )
    assert [line[1:5] for line in lines_of(*buckets)] == [
        ["Suspended", "0", "0", "0"],
        ["Suspended", "86400", "0", "3600"],
        ["Enabled", "2592000", "120", "12"],
        ["Suspended", "10", "0", "5"],
    ]


def test_accounts_are_users_but_for_the_keeper() -> None:
    accounts = json.loads(render_accounts({"gw_buckets": "a", "api": "b"}))["accessAccounts"]
    assert {name: account["role"] for name, account in accounts.items()} == {"gw_buckets": "admin", "api": "user"}


def grants_of(spec: ObjectsSpec) -> list[tuple[str, tuple[str, ...]]]:
    site = Site("test", PLACEMENT, NAMES, {"store": ("api", "db-backup"), "api": (), "db": ("db-backup",)})
    return [(grant.bucket.name, grant.users) for grant in plan_objects("store", spec, site).grants]


def test_backups_are_in_a_bucket_that_no_service_may_write_to() -> None:
    assert grants_of(spec_of({"name": "media"})) == [("media", ("api",)), ("db-backup", ("db-backup",))]
    assert grants_of(spec_of()) == [("api", ("api",)), ("db-backup", ("db-backup",))]
    named = spec_of({"name": "media"}, {"name": "vault", "users": ["db-backup"]})
    assert grants_of(named) == [("media", ("api",)), ("vault", ("db-backup",))]


BACKUP = {"backup": {"to": "elsewhere"}}


def backed_of(spec: ObjectsSpec, *consumers: str) -> tuple[str, ...]:
    site = Site("test", PLACEMENT, NAMES, {"store": consumers, "api": (), "db": ("db-backup",)})
    return plan_objects("store", spec, site).backed


def test_buckets_that_only_hold_backups_are_in_no_backup() -> None:
    declared = ({"name": "media"}, {"name": "closed", "users": []}, {"name": "vault", "users": ["db-backup"]})
    assert backed_of(spec_of(*declared, **BACKUP), "api", "db-backup") == ("media", "closed")
    assert backed_of(spec_of({"name": "both", "users": ["api", "db-backup"]}, **BACKUP), "api", "db-backup") == (
        "both",
    )
    assert backed_of(spec_of(**BACKUP), "api", "db-backup") == ("api",)
    assert backed_of(spec_of(*declared), "api", "db-backup") == (), "without a backup, none"


def test_a_store_of_backups_alone_has_nothing_to_back_up() -> None:
    with pytest.raises(ConfigError) as caught:
        backed_of(spec_of(**BACKUP), "db-backup")
    assert [str(problem) for problem in caught.value.problems] == [
        "groundwork:services.store.backup: given; it has no bucket but those of backups; declare one under buckets, or "
        "remove backup"
    ]


def test_who_makes_backups_may_list_and_read_in_buckets_that_are_backed_up() -> None:
    text = render_buckets(granted(spec_of({"name": "media"}, {"name": "closed", "users": []}), ("api",)), ("media",))
    lines = {line.split("\t")[0]: line.split("\t")[5] for line in text.splitlines()}
    own = [one for one in json.loads(lines["media"])["Statement"] if one["Principal"]["AWS"] == ["gw_backup"]]
    assert {one["Resource"][0]: one["Action"] for one in own} == {
        "arn:aws:s3:::media": ["s3:ListBucket"],
        "arn:aws:s3:::media/*": ["s3:GetObject", "s3:GetObjectTagging"],
    }
    assert [one["Principal"]["AWS"] for one in json.loads(lines["media"])["Statement"]][:2] == [["api"], ["api"]]
    assert lines["closed"] == "-"


def test_the_part_reaches_the_store_and_has_room_twice() -> None:
    plan = plan_of(spec_of(storage="20Gi", **BACKUP), "api")
    assert [caller.service for caller in plan.workload.callers] == ["api", "store-backup"]
    duty = objects_duty(plan, spec_of(storage="20Gi", **BACKUP), Site("test", PLACEMENT, NAMES, {}))
    assert (duty.room, duty.settings["BUCKETS"]) == (f"{41 * 1024}Mi", "api")
    assert list(check_versitygw(duty.scripts["versitygw-drill.conf"])) == []
    assert "VGW_PORT=/var/tmp/drill/s3.sock" in duty.scripts["versitygw-drill.conf"].splitlines()
    assert "REGION" not in duty.settings, "that is the region of the store that has the backups"


def test_users_must_use_the_store() -> None:
    assert problems_of("api", "worker", users=["api", "wroker", "worker"]) == [
        "groundwork:services.store.buckets.0.users: wroker given; no such service uses store; did you mean worker? "
        "Allowed: api, worker"
    ]


def test_a_consumer_needs_a_bucket() -> None:
    assert problems_of("api", "worker", users=["api"]) == [
        "groundwork:services.worker.uses: store given; no bucket has worker among its users; add it there, or remove "
        "store from uses"
    ]
    assert problems_of("ui") == [
        "groundwork:services.ui.uses: store given; a bucket needs a name of 3 letters; declare one under buckets of "
        "store"
    ]


def test_what_the_servers_read_passes_the_policies() -> None:
    files = files_of(plan_of(spec_of(), "api"))
    assert list(check_versitygw(files["versitygw.conf"])) == []
    assert list(check_nginx(files["nginx.conf"], TLS, lambda name: False)) == []
    assert list(check_web_config(files["exporter.yml"], TLS)) == []


def test_requests_are_bounded_by_the_memory() -> None:
    settings = dict(
        line.split("=", 1)
        for line in files_of(plan_of(spec_of(resources={"memory": "1Gi"}), "api"))["versitygw.conf"].splitlines()
    )
    assert settings["VGW_POSIX_CONCURRENCY"] == "256"
    assert settings["GOMEMLIMIT"] == "870MiB"
    assert settings["VGW_REGION"] == "eu-central-1"


def test_only_the_server_sees_accounts_and_data() -> None:
    workload = plan_of(spec_of(), "api").workload
    containers = {container.name: container for container in workload.containers}
    assert tuple(containers) == SERVER
    for directory in ("/var/tmp", "/run/groundwork/accounts"):
        assert [name for name, container in containers.items() if directory in container.mounts] == ["versitygw"]
    assert [name for name, container in containers.items() if "/run/groundwork/kept" in container.mounts] == ["buckets"]
    assert [(one.name, one.port, one.tls) for one in workload.listeners] == [
        ("s3", 7070, "server"),
        ("metrics", 9100, "server"),
    ]
    assert not workload.restart_on_secrets


def test_consumers_alone_reach_it() -> None:
    workload = plan_of(spec_of(), "api", "worker").workload
    assert [(caller.service, caller.ports) for caller in workload.callers] == [("api", (7070,)), ("worker", (7070,))]
    assert workload.reaches == ()
