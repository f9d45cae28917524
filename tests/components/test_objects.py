"""The component: what it declares, and what it hands to consumers."""

from __future__ import annotations

import json

import pulumi
import pytest

from components.objects import Objects
from tests.support.objects import spec_of
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
