"""The component: what it declares, what it hands to consumers, and what it may not become."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from components.kafka import Kafka, KafkaSpec
from tests.support import surroundings
from tests.support.kafka import ORDERS, PRICES, spec_of
from tests.support.recording import Recorded
from tests.support.site import PLACEMENT
from tests.support.surroundings import Surroundings, reads, same, secrecy

Checks = Callable[[Kafka, Surroundings], None]
HOST = "log.groundwork-test.svc"
PEERS = [f"log-{index}.log-peers.groundwork-test.svc" for index in range(3)]


def declare(spec: KafkaSpec, check: Checks, *consumers: str) -> list[Recorded]:
    """Declare a Kafka named `log` and check it while outputs can still be read."""
    return surroundings.declare(Kafka, "log", spec, check, *consumers)


@pytest.mark.parametrize("replicas", [1, 3])
def test_every_slot_has_content_and_that_content_is_secret(replicas: int) -> None:
    def check(log: Kafka, around: Surroundings) -> None:
        (workload,) = around.workloads
        assert set(workload.slots) == set(around.secrets)
        for slot in workload.slots:
            reads(secrecy(slot, around.secrets[slot]), same(f"{slot} is secret: True"))
        assert "(key log" not in repr(workload)

    declare(spec_of(replicas=replicas), check, "api")


def test_the_servers_store_is_their_chain_and_their_key() -> None:
    def check(log: Kafka, around: Surroundings) -> None:
        reads(around.secrets["keystore.pem"], same("(chain log)(key log)"))
        assert around.certificates == [("log", HOST, "log", *PEERS, "localhost")]

    declare(spec_of(replicas=3), check, "api")


def test_a_consumer_gets_what_clients_of_any_language_need() -> None:
    def check(log: Kafka, around: Surroundings) -> None:
        binding = log.bind("api")
        assert dict(binding.settings) == {
            "HOST": HOST,
            "PORT": "9093",
            "BOOTSTRAP_SERVERS": ",".join(f"{peer}:9093" for peer in PEERS),
            "SECURITY_PROTOCOL": "SSL",
            "TLS": "mutual",
            "GROUP_PREFIX": "api.",
        }
        assert set(binding.files) == {"ca.crt", "tls.crt", "tls.key", "keystore.pem"}
        reads(binding.files["keystore.pem"], same("(chain api)(key api)"))
        reads(secrecy("store", binding.files["keystore.pem"]), same("store is secret: True"))
        assert [(reach.service, reach.ports) for reach in binding.reach] == [("log", (9093,))]
        assert [endpoint.url for endpoint in log.endpoints()] == [f"kafka://{HOST}:9093"]

    declare(spec_of(replicas=3), check, "api")


def test_binding_twice_makes_nothing_twice() -> None:
    def check(log: Kafka, around: Surroundings) -> None:
        assert log.bind("api") is log.bind("api")
        assert around.certificates.count(("api",)) == 1
        with pytest.raises(KeyError):
            log.bind("stranger")

    declare(spec_of(), check, "api")


def test_its_facts_say_what_it_is_and_what_only_grows() -> None:
    recorded = declare(spec_of(ORDERS, PRICES, replicas=3), lambda log, around: None, "api", "worker")
    facts = next(r.inputs for r in recorded if r.type == "groundwork:messaging:Kafka")
    assert (facts["replicas"], facts["stateful"], facts["kind"]) == (3, True, "kafka")
    assert facts["growing"] == {
        "storage": "10Gi",
        "replicas": 3,
        "topics.orders.created.partitions": 6,
        "topics.prices.partitions": 3,
    }
    assert {listener["name"]: listener["tls"] for listener in facts["listeners"]} == {
        "kafka": "mutual",
        "peers": "mutual",
        "controller": "mutual",
        "metrics": "server",
    }


@pytest.mark.parametrize(
    ("deployed", "replicas", "refused"), [(1, 3, True), (1, 1, False), (3, 3, False), (3, 5, False)]
)
def test_one_server_does_not_become_several(deployed: int, replicas: int, refused: bool) -> None:
    found = Kafka.check_change({"replicas": deployed}, spec_of(replicas=replicas))
    assert [(one.field, one.final) for one in found] == ([("replicas", True)] if refused else [])
    if refused:
        assert found[0].text == (
            "3 given, 1 deployed; two empty servers would outvote the one that has the data; set 1, or give the new "
            "service a name of its own"
        )


@pytest.mark.parametrize(
    ("deployed", "asked", "refused"),
    [
        ({}, {}, "a mapping given, none deployed"),
        ({"controllers.storage": "10Gi"}, None, "none given, a mapping deployed"),
        ({"controllers.storage": "10Gi"}, {"storage": "20Gi"}, ""),
        ({"storage": "10Gi"}, None, ""),
    ],
)
def test_the_quorum_stays_where_it_began(deployed: dict[str, str], asked: dict[str, str] | None, refused: str) -> None:
    found = Kafka.check_change({"replicas": 3, "growing": deployed}, spec_of(replicas=3, controllers=asked))
    assert [(one.field, one.final) for one in found] == ([("controllers", True)] if refused else [])
    if refused:
        assert found[0].text == (
            f"{refused}; another quorum would begin empty, and know no topic; put it back, or give the new service a "
            "name of its own"
        )


def test_controllers_apart_have_a_store_and_volumes_of_their_own() -> None:
    spec = spec_of(replicas=3, controllers={"storage": "20Gi"})

    def check(log: Kafka, around: Surroundings) -> None:
        servers = ("log", HOST, "log", *PEERS, "localhost")
        hosts = [f"log-controllers-{index}.log-controllers-peers.groundwork-test.svc" for index in range(3)]
        assert sorted(around.certificates) == [
            servers, ("log-controllers", *hosts, "log-controllers", "localhost")
        ]  # fmt: skip
        assert {workload.name for workload in around.workloads} == {"log", "log-controllers"}

    recorded = declare(spec, check, "api")
    facts = next(r.inputs for r in recorded if r.type == "groundwork:messaging:Kafka")
    assert facts["growing"]["controllers.storage"] == "20Gi"
    taken = set(Kafka.occupies("log", spec, ("api",))) - set(Kafka.occupies("log", spec_of(replicas=3), ("api",)))
    assert taken == {"object/log-controllers", "object/log-controllers-peers", "certificate/log-controllers-server"}


@pytest.mark.parametrize("target", ["docker", "kubernetes"])
def test_no_port_of_this_machine_leads_to_it(target: str) -> None:
    found = Kafka.check(spec_of(publish=9093), target, PLACEMENT)
    assert [field for field, _ in found] == ["publish"]
