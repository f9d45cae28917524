"""The drill of a replicated PostgreSQL: what it is given, and what it makes of what Barman Cloud says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.core.backups.carrying import ETC
from components.core.site import Site
from components.core.workload import Workload
from components.postgres.cnpg import Ground, render_cluster
from components.postgres.drilling import drill_workload
from components.targets.kubernetes.manifests import render_workload
from tests.support.postgres import PLACEMENT, plan_of
from tests.support.site import NAMES

IDENTITY = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/acme-backups"}
BUCKET = {"bucket": "acme-backups", "region": "eu-west-1"}
BY_KEYS: dict[str, Any] = {**BUCKET, "credentials": "backup-keys", "endpoint": "https://s3.example:9000"}
BY_IDENTITY: dict[str, Any] = {**BUCKET, "identity": IDENTITY}
NEWEST = {
    "backup_id": "20261122T020000",
    "status": "DONE",
    "end_time_iso": "2026-11-22T02:05:00+00:00",
    "cluster_size": 7,
}
FOUND = "20261122T020000 1795313100 7\n"


def workload_of(backup: dict[str, Any]) -> Workload:
    """The drill of these backups."""
    plan = plan_of("api", replicas=3, storage="50Gi", wal_storage="10Gi", backup=backup)
    site = Site("test", PLACEMENT, NAMES, {"postgres": ("api",)})
    assert plan.spec.backup
    return drill_workload(plan, plan.spec.backup, site, "groundwork-test")


def drill(backup: dict[str, Any]) -> dict[str, Any]:
    """Its objects by their role."""
    return render_workload(workload_of(backup), "test", "groundwork-test", PLACEMENT, "fast", load_balancer=False)


def secrets(manifests: dict[str, Any]) -> dict[str, list[str]]:
    """Secrets that are mounted, and what of each."""
    volumes = manifests["set"]["spec"]["template"]["spec"]["volumes"]
    sources = [
        source["secret"]
        for one in volumes
        for source in one.get("projected", {}).get("sources", ())
        if "secret" in source
    ]
    return {one["name"]: [item["key"] for item in one["items"]] for one in sources}


def test_it_reaches_the_bucket_and_no_server() -> None:
    policy = drill(BY_KEYS)["network"]["spec"]
    assert policy["ingress"] == []
    (out,) = (rule for rule in policy["egress"] if rule["ports"][0]["protocol"] == "TCP")
    assert out == {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"protocol": "TCP", "port": 9000}]}
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "drill"


def test_by_keys_or_by_what_the_cloud_knows_of_its_account() -> None:
    by_keys, by_identity = drill(BY_KEYS), drill(BY_IDENTITY)
    assert secrets(by_keys)["backup-keys"] == ["ACCESS_KEY_ID", "ACCESS_SECRET_KEY"]
    assert "annotations" not in by_keys["account"]["metadata"]
    assert list(secrets(by_identity)) == ["postgres-pooler-tls"]
    assert by_identity["account"]["metadata"]["annotations"] == IDENTITY
    assert by_identity["account"]["automountServiceAccountToken"] is False


def test_its_certificate_names_it() -> None:
    plan = plan_of("api", replicas=3, backup=BY_KEYS)
    assert {"postgres-drill", NAMES.host("postgres-drill")} <= set(plan.pooler_hosts)
    assert plan.pooler_hosts[0] == "postgres-pooler", "it is a role of the servers"
    ground = Ground("test", "groundwork-test", PLACEMENT, "fast", wait=False)
    cluster: dict[str, Any] = dict(render_cluster(plan, ground))
    made = {one["metadata"]["name"] for one in cluster.values() if one["kind"] == "Secret"}
    assert set(secrets(drill(BY_KEYS))) - {"backup-keys"} <= made
    assert "postgres-drill" not in plan_of("api", replicas=3).pooler_hosts


def test_nobody_waits_for_it_and_its_disk_holds_what_a_server_has() -> None:
    manifests = drill(BY_KEYS)
    assert "disruption" not in manifests
    (claim,) = manifests["set"]["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "60Gi"


class Barman:
    """The script, with stand-ins for Barman Cloud and for the server."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("bin", "etc", "run", "metrics", "keys", "staging/state"):
            (root / folder).mkdir(parents=True)
        for file in workload_of(BY_KEYS).files:
            if file.path.startswith(ETC):
                text = file.content.replace("/run/drill", f"{root}/run").replace("/run/metrics", f"{root}/metrics")
                text = text.replace("/var/lib/postgresql", f"{root}/staging").replace(
                    "/run/groundwork/bucket", f"{root}/keys"
                )
                (root / "etc" / Path(file.path).name).write_text(text)
        self._functions = (root / "etc" / "bucket.sh").read_text().partition("until mkdir")[0]
        for key in ("ACCESS_KEY_ID", "ACCESS_SECRET_KEY"):
            (root / "keys" / key).write_text(f"the {key}")

    def program(self, name: str, text: str) -> None:
        """A stand-in."""
        file = self.root / "bin" / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def lists(self, *backups: dict[str, Any]) -> None:
        """What the bucket has."""
        (self.root / "listed").write_text(json.dumps({"backups_list": backups}))
        self.program("barman-cloud-backup-list", f'echo "$@" >{self.root}/asked; cat {self.root}/listed')

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        """Some of its functions."""
        (self.root / "etc" / "bucket.sh").write_text(f"{self._functions}\n{commands}\n")
        path = f"{self.root}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", str(self.root / "etc" / "bucket.sh")], env={"PATH": path}, text=True, capture_output=True, timeout=60
        )


@pytest.fixture
def barman(tmp_path: Path) -> Barman:
    return Barman(tmp_path)


def test_the_newest_that_is_whole_counts(barman: Barman) -> None:
    older = {**NEWEST, "backup_id": "20261121T020000", "end_time_iso": "2026-11-21T02:05:00+00:00"}
    begun = {**NEWEST, "backup_id": "20261122T030000", "status": "STARTED", "end_time_iso": None}
    barman.lists(older, NEWEST, begun)
    done = barman.run('survey; cat "$run/newest"')
    assert (done.stdout, done.stderr) == (FOUND, "")
    state = barman.root / "staging/state"
    assert ((state / "shipped").read_text(), (state / "size").read_text()) == ("1795313100\n", "7\n")
    asked = (barman.root / "asked").read_text()
    assert asked == "--endpoint-url https://s3.example:9000 --format json s3://acme-backups/groundwork-test postgres\n"
    keys = barman.root / "run/keys"
    assert keys.read_text().splitlines()[1] == "aws_access_key_id = the ACCESS_KEY_ID"
    assert keys.stat().st_mode & 0o077 == 0


def test_without_a_backup_there_is_nothing_to_try(barman: Barman) -> None:
    barman.lists()
    assert barman.run("survey && drill_due restore").stdout == ""
    assert not (barman.root / "staging/state/shipped").exists()
    assert not (barman.root / "staging/state/drill.wanted").exists()


def test_a_bucket_that_does_not_answer_is_not_taken_for_an_empty_one(barman: Barman) -> None:
    barman.program("barman-cloud-backup-list", "exit 2")
    (barman.root / "run/newest").write_text(FOUND)
    assert barman.run("survey || echo failed").stdout == "failed\n"
    assert (barman.root / "run/newest").read_text() == FOUND


@pytest.mark.parametrize(("said", "heard"), [(0, 0), (1, 1), (2, 255), (4, 255)])
def test_only_a_file_that_is_not_there_ends_the_log(barman: Barman, said: int, heard: int) -> None:
    """Above 125 a server gives up: PostgreSQL documentation, "restore_command"."""
    (barman.root / "run/newest").write_text(FOUND)
    barman.program("barman-cloud-restore", f'echo "$@" >{barman.root}/asked; for to; do :; done; mkdir -p "$to"')
    barman.program("barman-cloud-wal-restore", f"exit {said}")
    barman.program("postgres", 'for one; do case $one in restore_command=*) sh -c "${one#*=}"; echo $? ;; esac; done')
    barman.program("pg_isready", "exit 2")
    assert barman.run("restore").stdout == f"{heard}\n"
    asked = (barman.root / "asked").read_text().split()
    assert asked[2:5] == ["s3://acme-backups/groundwork-test", "postgres", "20261122T020000"]
