"""The component: what it declares, what it hands to consumers, and where secrets are."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from components.core.bindings import Binding
from components.redis import Redis, RedisSpec
from stacks.config import parse
from tests.support import surroundings
from tests.support.recording import Recorded, record
from tests.support.redis import spec_of
from tests.support.surroundings import Surroundings, reads, same, secrecy

Checks = Callable[[Redis, Surroundings], None]


def declare(spec: RedisSpec, check: Checks, *consumers: str) -> list[Recorded]:
    """Declare a Redis named `store` and check it while outputs can still be read."""
    return surroundings.declare(Redis, "store", spec, check, *consumers)


@pytest.mark.parametrize("replicas", [1, 3])
def test_every_slot_has_content_and_that_content_is_secret(replicas: int) -> None:
    def check(store: Redis, around: Surroundings) -> None:
        (workload,) = around.workloads
        assert set(workload.slots) <= set(around.secrets)
        for slot in workload.slots:
            reads(secrecy(slot, around.secrets[slot]), same(f"{slot} is secret: True"))

    declare(spec_of("queue", replicas=replicas), check, "api")


def test_a_consumer_of_a_single_redis_gets_a_url() -> None:
    def check(store: Redis, around: Surroundings) -> None:
        binding = store.bind("api")
        assert dict(binding.settings) == {
            "HOST": "store.groundwork-test.svc",
            "PORT": "6379",
            "USERNAME": "api",
            "TLS": "mutual",
            "TTL_SECONDS": "1800",
        }
        assert set(binding.files) == {"password", "url", "ca.crt", "tls.crt", "tls.key"}
        url = "rediss://api:(password store-password-api)@store.groundwork-test.svc:6379/0"
        reads(binding.files["url"], same(url))
        reads(binding.files["tls.crt"], same("(chain api)"))
        assert binding.reach[0].ports == (6379,)

    declare(spec_of("cache"), check, "api")


def test_a_consumer_of_a_replicated_redis_asks_the_sentinels() -> None:
    def check(store: Redis, around: Surroundings) -> None:
        binding = store.bind("api")
        peers = [f"store-{index}.store-peers.groundwork-test.svc:26379" for index in range(3)]
        assert binding.settings["SENTINELS"].split(",") == peers
        assert (binding.settings["SENTINEL_MASTER"], binding.settings["SENTINEL_USERNAME"]) == ("store", "api")
        assert "TTL_SECONDS" not in binding.settings
        assert "url" not in binding.files, "a fixed address would reach replicas, which refuse writes"
        assert binding.reach[0].ports == (6379, 26379)
        assert [endpoint.url for endpoint in store.endpoints()] == [
            "rediss://store.groundwork-test.svc:6379",
            "redis-sentinel://store.groundwork-test.svc:26379",
        ]

    declare(spec_of("queue", replicas=3), check, "api")


def test_binding_twice_makes_nothing_twice() -> None:
    bound: list[Binding] = []

    def check(store: Redis, around: Surroundings) -> None:
        bound.extend((store.bind("api"), store.bind("api")))
        assert around.certificates.count(("api",)) == 1
        with pytest.raises(KeyError):
            store.bind("stranger")

    recorded = declare(spec_of("cache"), check, "api")
    assert bound[0] is bound[1]
    passwords = sorted(r.name for r in recorded if r.type == "random:index/randomPassword:RandomPassword")
    assert passwords == ["store-password-api", "store-password-gw_monitor"]


def test_a_consumers_password_is_in_the_access_list_by_its_hash() -> None:
    def check(store: Redis, around: Surroundings) -> None:
        def hashed(text: str) -> None:
            assert "user api on #" in text
            assert "(password store" not in text

        assert "api.password" not in around.workloads[0].slots
        reads(around.secrets["users.acl"], hashed)
        reads(
            around.secrets["exporter.json"],
            same(json.dumps({"rediss://gw_monitor@localhost:6379": "(password store-password-gw_monitor)"})),
        )

    declare(spec_of("session"), check, "api")


def test_no_secret_is_outside_the_secret_files() -> None:
    def check(store: Redis, around: Surroundings) -> None:
        (workload,) = around.workloads
        assert "(password store" not in repr(workload)
        assert "(key store" not in repr(workload)

    recorded = declare(spec_of("queue", replicas=3), check, "api")
    facts = next(r.inputs for r in recorded if r.type == "groundwork:data:Redis")
    assert "(password store" not in json.dumps(facts, default=str)


@pytest.mark.parametrize(
    ("role", "stateful"), [("queue", True), ("session", True), ("cache", False), ("pubsub", False)]
)
def test_its_facts_say_what_it_is(role: str, stateful: bool) -> None:
    recorded = declare(spec_of(role, replicas=3), lambda store, around: None, "api")
    facts = next(r.inputs for r in recorded if r.type == "groundwork:data:Redis")
    assert (facts["replicas"], facts["stateful"], facts["kind"]) == (3, stateful, "redis")
    assert {listener["name"]: listener["tls"] for listener in facts["listeners"]} == {
        "redis": "mutual",
        "sentinel": "mutual",
        "metrics": "server",
    }


def test_its_certificate_covers_every_name_it_is_dialled_by() -> None:
    def check(store: Redis, around: Surroundings) -> None:
        assert around.certificates[0] == (
            "store",
            "store.groundwork-test.svc",
            "store",
            *(f"store-{index}.store-peers.groundwork-test.svc" for index in range(3)),
            "localhost",
        )

    declare(spec_of("queue", replicas=3), check, "api")


def test_the_exporters_pod_mounts_neither_access_lists_nor_data() -> None:
    services = {"store": {"kind": "redis", "role": "queue", "storage": "1Gi", "replicas": 3}}
    placement = {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1"]}
    environment = {"profile": "dev", "cluster": "embedded", "placement": placement, "owner": "team-data"}
    _, recorded = record(parse("test", environment, services))
    (pod,) = [
        r.manifest["spec"]["template"]["spec"] for r in recorded if r.manifest and r.manifest["kind"] == "StatefulSet"
    ]
    mounts = {c["name"]: {m["mountPath"] for m in c["volumeMounts"]} for c in pod["containers"]}
    assert mounts["exporter"] == {"/run/groundwork/tls", "/run/groundwork/exporter"}
    servers = {"/etc/redis", "/run/groundwork/tls", "/run/groundwork/access", "/data"}
    assert mounts["redis"] == mounts["sentinel"] == servers
