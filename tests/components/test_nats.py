"""The component: what it declares, what it hands to consumers, and what it may not become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from components.core.backups.carrying import SEALING
from components.core.mounts import OWN
from components.nats import Nats, NatsSpec
from components.nats.access import certificate_name
from stacks.config import parse
from tests.support import surroundings
from tests.support.certificates import asked, common_name
from tests.support.nats import ORDERS, spec_of
from tests.support.recording import Recorded, record
from tests.support.site import PLACEMENT
from tests.support.surroundings import Surroundings

Checks = Callable[[Nats, Surroundings], None]
SERVICES: dict[str, Any] = {
    "bus": {"kind": "nats", "streams": [ORDERS]},
    "api": {"kind": "app", "image": "registry.example/api:1.4.2", "uses": ["bus"]},
}
CLUSTER = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1"]},
    "owner": "team-data",
}


def declare(spec: NatsSpec, check: Checks, *consumers: str) -> list[Recorded]:
    """Declare a NATS named `bus` and check it while outputs can still be read."""
    return surroundings.declare(Nats, "bus", spec, check, *consumers)


def test_a_consumer_gets_where_to_connect_and_a_certificate_and_no_password() -> None:
    def check(bus: Nats, around: Surroundings) -> None:
        binding = bus.bind("api")
        peers = [f"tls://bus-{index}.bus-peers.groundwork-test.svc:4222" for index in range(3)]
        assert dict(binding.settings) == {
            "HOST": "bus.groundwork-test.svc",
            "PORT": "4222",
            "URL": "tls://bus.groundwork-test.svc:4222",
            "SERVERS": ",".join(peers),
            "TLS": "mutual",
            "TLS_FIRST": "true",
            "INBOX_PREFIX": "_INBOX_api",
        }
        assert set(binding.files) == {"ca.crt", "tls.crt", "tls.key"}
        assert binding.reach[0].ports == (4222,)
        assert [endpoint.url for endpoint in bus.endpoints()] == ["tls://bus.groundwork-test.svc:4222"]

    recorded = declare(spec_of(replicas=3), check, "api")
    assert not [r for r in recorded if r.type.startswith("random:")]


def test_binding_twice_makes_nothing_twice() -> None:
    def check(bus: Nats, around: Surroundings) -> None:
        assert bus.bind("api") is bus.bind("api")
        assert around.certificates.count(("api",)) == 1
        with pytest.raises(KeyError):
            bus.bind("stranger")

    declare(spec_of(), check, "api")


def test_every_slot_has_content() -> None:
    def check(bus: Nats, around: Surroundings) -> None:
        (workload,) = around.workloads
        assert set(workload.slots) == set(around.secrets)
        assert "(key bus" not in repr(workload)

    declare(spec_of(replicas=3), check, "api")


@pytest.mark.parametrize("target", ["kubernetes", "docker"])
def test_users_are_the_subjects_of_the_certificates_that_are_issued(target: str) -> None:
    docker = {**CLUSTER, "profile": "local", "target": "docker"}
    docker.pop("cluster")
    _, recorded = record(parse("test", CLUSTER if target == "kubernetes" else docker, SERVICES))
    for request in (asked(recorded, "pki-api-client"), asked(recorded, "bus-server")):
        assert certificate_name(common_name(request)) == request.subject.rfc4514_string()


def test_its_facts_say_what_it_is() -> None:
    recorded = declare(spec_of(replicas=3), lambda bus, around: None)
    facts = next(r.inputs for r in recorded if r.type == "groundwork:messaging:Nats")
    assert (facts["replicas"], facts["stateful"], facts["kind"]) == (3, True, "nats")
    assert {listener["name"]: listener["tls"] for listener in facts["listeners"]} == {
        "nats": "mutual",
        "cluster": "mutual",
        "monitor": "server",
        "metrics": "server",
    }


def test_instances_do_not_share_a_port_of_this_machine() -> None:
    spec = spec_of(replicas=3, publish=4222)
    assert Nats.check(spec, "docker", PLACEMENT) == [
        ("publish", "4222 given; 3 instances can't share a port; remove it")
    ]
    assert Nats.check(spec_of(publish=4222), "docker", PLACEMENT) == []


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (1, 3, "a cluster deletes the streams of a server that was alone"),
        (3, 1, "those left could lack messages and a majority; keep 3"),
        (5, 3, "those left could lack messages and a majority; keep 5"),
        (3, 5, ""),
        (3, 3, ""),
        (1, 1, ""),
    ],
)
def test_a_change_that_would_lose_streams_is_refused(before: int, after: int, words: str) -> None:
    found = Nats.check_change({"replicas": before}, spec_of(replicas=after))
    assert bool(found) == bool(words)
    assert all(words in refusal.text and refusal.final for refusal in found)


def test_who_may_take_the_streams_has_no_key_and_the_store_no_stream() -> None:
    given = {"objects": {}, "bus": {**SERVICES["bus"], "storage": "1Gi", "backup": {"to": "objects"}}}
    platform, recorded = record(parse("test", CLUSTER, given))
    (part,) = (one.manifest for one in recorded if one.name == "bus-backup-set")
    assert part
    containers = part["spec"]["template"]["spec"]["containers"]
    mounts = {one["name"]: {mount["mountPath"] for mount in one["volumeMounts"]} for one in containers}
    with_key = {name for name, paths in mounts.items() if SEALING in paths}
    with_certificate = {name for name, paths in mounts.items() if OWN in paths}
    assert (with_key, with_certificate) == ({"carrier"}, {"dump", "drill", "metrics"})
    facts = next(row["backup"] for row in platform.inventory() if row["name"] == "bus")
    assert (facts["target"], facts["encryption"]) == ("objects", "client")
