"""The component: what it declares, and what it hands to consumers."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.objects import Objects
from stacks.config import parse
from tests.support.objects import spec_of
from tests.support.recording import record
from tests.support.site import PLACEMENT
from tests.support.surroundings import Surroundings, declare


def test_a_consumer_gets_where_its_bucket_is_and_a_key_of_its_own() -> None:
    def check(store: Objects, around: Surroundings) -> None:
        binding = store.bind("api")
        assert dict(binding.settings) == {
            "ENDPOINT": "https://store.groundwork-test.svc:7070",
            "REGION": "eu-central-1",
            "BUCKET": "api",
            "PREFIX": "",
            "ADDRESSING": "path",
        }
        assert set(binding.files) == {"access_key_id", "secret_access_key", "ca.crt"}
        assert binding.files["access_key_id"] == "api"
        assert (binding.endpoint.protocol, binding.endpoint.tls) == ("s3", "server")
        assert binding.reach[0].ports == (7070,)
        assert store.bind("api") is binding
        with pytest.raises(KeyError):
            store.bind("stranger")

    recorded = declare(Objects, "store", spec_of(), check, "api", "worker")
    keys = {r.name for r in recorded if r.type == "random:index/randomPassword:RandomPassword"}
    assert keys == {"store-password-gw_buckets", "store-password-api", "store-password-worker"}


def test_several_buckets_are_all_named() -> None:
    def check(store: Objects, around: Surroundings) -> None:
        assert store.bind("api").settings["BUCKET"] == "media"
        assert store.bind("api").settings["BUCKETS"] == "media,exports"
        assert "BUCKETS" not in store.bind("worker").settings

    declare(Objects, "store", spec_of({"name": "media"}, {"name": "exports", "users": ["api"]}), check, "api", "worker")


def test_every_slot_has_content_and_keys_are_in_the_accounts_alone() -> None:
    def check(store: Objects, around: Surroundings) -> None:
        (workload,) = around.workloads
        assert set(workload.slots) == set(around.secrets)
        instance = "store-0.store-peers.groundwork-test.svc"
        assert around.certificates[0] == ("store", "store.groundwork-test.svc", "store", instance, "localhost")

        def readable(content: list[str]) -> None:
            accounts, user, key = content
            assert json.loads(accounts)["accessAccounts"]["api"] == {"access": "api", "secret": key, "role": "user"}
            assert json.loads(accounts)["accessAccounts"]["gw_buckets"]["role"] == "admin"
            assert user.startswith('user = "gw_buckets:')
            assert key not in repr(workload)

        wanted = (
            around.secrets["users.json"],
            around.secrets["user.conf"],
            store.bind("api").files["secret_access_key"],
        )
        pulumi.Output.all(*wanted).apply(readable)

    declare(Objects, "store", spec_of(), check, "api")


SERVICES: dict[str, Any] = {
    "other": {"kind": "objects"},
    "store": {"kind": "objects", "buckets": [{"name": "media"}], "storage": "2Gi", "backup": {"to": "other"}},
    "earlier": {"kind": "objects", "buckets": [{"name": "media"}], "restore": {"store": "other", "service": "store"}},
}
ENVIRONMENT = {
    "profile": "local",
    "target": "docker",
    "placement": {"region": "eu-central-1"},
    "owner": "team-platform",
}


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """The inventory by name, and the files of each container."""
    platform, recorded = record(parse("test", ENVIRONMENT, SERVICES))
    files = {}
    for one in recorded:
        given: Any = one.inputs.get("uploads", [])
        uploads = given["value"] if isinstance(given, dict) else given
        files[one.name] = {upload["file"]: upload["content"] for upload in uploads}
    return {row["name"]: row for row in platform.inventory()}, files


def test_its_backups_are_made_by_a_part_with_an_account_of_its_own(made: Any) -> None:
    rows, files = made
    assert (rows["store"]["backup"]["target"], rows["store"]["backup"]["encryption"]) == ("other", "client")
    assert rows["store-backup"]["uses"] == ["store", "other"]
    accounts = {
        name: json.loads(found["/run/groundwork/accounts/users.json"])["accessAccounts"]
        for name, found in files.items()
        if "/run/groundwork/accounts/users.json" in found
    }
    own = accounts["store-0-versitygw-files"]["gw_backup"]
    assert own["role"] == "user"
    holders = {name for name, found in files.items() if f"gw_backup:{own['secret']}" in "".join(found.values())}
    assert holders == {"store-backup-0-dump-files"}
    assert "gw_backup" not in accounts["other-0-versitygw-files"], "whoever has no backups has no such account"
    assert "store-backup" in accounts["other-0-versitygw-files"]


def test_its_part_has_names_of_its_own() -> None:
    taken = set(Objects.occupies("store", spec_of(backup={"to": "other"}), ()))
    assert {"object/store-backup", "certificate/store-backup-server"} <= taken
    assert not {"object/store-backup"} & set(Objects.occupies("store", spec_of(), ()))


def test_a_new_store_begins_with_what_another_had(made: Any) -> None:
    rows, files = made
    assert rows["earlier"]["restore"] == {"store": "other", "service": "store", "until": None}
    assert {"/etc/objects/restore.sh", "/etc/objects/wish.sh"} <= set(files["earlier-0-buckets-files"])
    settings = files["earlier-0-restore-files"]["/etc/backup/backup-settings.sh"].splitlines()
    assert {"STAGING='/var/tmp/restore'", "PREFIX='store/'"} <= set(settings)
    assert "/etc/objects/restore.sh" not in files["store-0-buckets-files"]


def test_its_facts_say_what_it_is() -> None:
    recorded = declare(Objects, "store", spec_of(storage="20Gi"), lambda store, around: None)
    facts = next(r.inputs for r in recorded if r.type == "groundwork:data:Objects")
    assert (facts["replicas"], facts["stateful"], facts["kind"]) == (1, True, "objects")
    assert facts["growing"] == {"storage": "20Gi"}
    assert {listener["name"]: listener["tls"] for listener in facts["listeners"]} == {
        "s3": "server",
        "metrics": "server",
    }


def test_its_systems_are_in_the_matrix() -> None:
    assert Objects.systems(spec_of()).keys() == {"nginx", "versitygw"}


def test_a_port_of_this_machine_is_offered_on_docker_alone() -> None:
    assert Objects.check(spec_of(publish=7070), "docker", PLACEMENT) == []
    assert [field for field, _ in Objects.check(spec_of(publish=7070), "kubernetes", PLACEMENT)] == ["publish"]
