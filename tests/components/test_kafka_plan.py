"""What follows from a spec: configuration, rights and the shape of the workload."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core import exporter
from components.core.bindings import Reach
from components.core.types import bytes_of
from components.kafka import render
from components.kafka.plan import KafkaPlan
from tests.support.kafka import ORDERS, PRICES, files_of, plan_of, settings, spec_of
from tests.support.site import contents

REPLICAS = [1, 3, 4, 9]


@st.composite
def plans(draw: st.DrawFn) -> KafkaPlan:
    consumers = draw(st.lists(st.from_regex(r"[a-z]{3,9}", fullmatch=True), max_size=4, unique=True))
    some = st.none() | st.lists(st.sampled_from(consumers), unique=True) if consumers else st.none()
    topic = st.fixed_dictionaries(
        {"name": st.from_regex(r"[a-z]{1,8}", fullmatch=True), "partitions": st.integers(1, 50)},
        optional={"producers": some, "consumers": some, "cleanup": st.sampled_from(["delete", "compact"])},
    )
    topics = draw(st.lists(topic, min_size=1, max_size=5, unique_by=lambda one: str(one["name"])))
    memory = f"{draw(st.integers(512, 65536))}Mi"
    return plan_of(spec_of(*topics, replicas=draw(st.sampled_from(REPLICAS)), resources={"memory": memory}), *consumers)


@given(plan=plans())
def test_any_valid_spec_listens_on_mutual_tls_only(plan: KafkaPlan) -> None:
    found = settings(files_of(plan)["server.properties"])
    protocols = dict(pair.split(":") for pair in found["listener.security.protocol.map"].split(","))
    listening = dict(re.findall(r"([A-Z]+)://:(\d+)", found["listeners"]))
    assert set(protocols) == set(listening)
    assert set(protocols.values()) == {"SSL"}
    assert (found["ssl.client.auth"], found["ssl.enabled.protocols"]) == ("required", "TLSv1.3")
    assert found["ssl.endpoint.identification.algorithm"] == "https"
    assert found["allow.everyone.if.no.acl.found"] == "false"
    declared = {listener.port: listener.tls for listener in plan.workload.listeners}
    assert declared == {**{int(port): "mutual" for port in listening.values()}, exporter.METRICS_PORT: "server"}


@given(plan=plans())
def test_any_valid_spec_leaves_room_beside_the_heap(plan: KafkaPlan) -> None:
    """Half of the memory, and no more than a collector can look through in time."""
    (line,) = (line for line in files_of(plan)["settings.sh"].splitlines() if line.startswith("HEAP="))
    heap = int(line.removeprefix("HEAP=").removesuffix("m")) * 2**20
    limit = bytes_of(plan.workload.containers[0].memory)
    assert heap <= limit / 2
    assert heap <= 6 * 2**30
    assert heap >= min(limit / 2 - 2**20, 6 * 2**30)
    dedupe = int(settings(files_of(plan)["server.properties"])["log.cleaner.dedupe.buffer.size"])
    assert 2**20 <= dedupe <= heap / 8


@pytest.mark.parametrize("replicas", REPLICAS)
def test_three_servers_hold_the_quorum_and_the_copies(replicas: int) -> None:
    plan = plan_of(spec_of(replicas=replicas))
    found = settings(files_of(plan)["server.properties"])
    voters = found["controller.quorum.voters"].split(",")
    several = replicas > 1
    assert voters == [f"{i}@{plan.peers[i]}:{render.CONTROLLER_PORT}" for i in range(3 if several else 1)]
    assert f"QUORUM={len(voters)}\n" in files_of(plan)["settings.sh"]
    for name in ("default", "offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        assert found[f"{name}.replication.factor"] == ("3" if several else "1")
    for name in ("min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"):
        assert found[name] == ("2" if several else "1")
    assert plan.workload.parallel_start is several, "a quorum must form before any of them is ready"
    assert plan.workload.peers == ((render.PEERS_PORT, render.CONTROLLER_PORT) if several else ())


def test_controllers_apart_hold_the_quorum_and_nothing_else() -> None:
    plan = plan_of(spec_of(replicas=4, controllers={"resources": {"memory": "2Gi"}}), "api")
    assert plan.controllers
    own = contents(plan.controllers)
    found, servers = settings(own["server.properties"]), settings(files_of(plan)["server.properties"])
    hosts = plan.controller_hosts[:3]
    assert found["controller.quorum.voters"] == ",".join(f"{1000 + i}@{host}:9090" for i, host in enumerate(hosts))
    assert servers["controller.quorum.voters"] == found["controller.quorum.voters"]
    assert (found["listeners"], servers["listeners"]) == ("CONTROLLER://:9090", "CLIENT://:9093,PEERS://:9091")
    assert found["super.users"] == servers["super.users"] == f"User:{plan.certificate_hosts[0]};User:{hosts[0]}"
    assert (found["min.insync.replicas"], found["default.replication.factor"]) == ("2", "3")
    assert {"QUORUM=3", "FIRST=1000", "HEAP=1024m"} <= set(own["settings.sh"].splitlines())
    assert {"QUORUM=0", "FIRST=0"} <= set(files_of(plan)["settings.sh"].splitlines())
    assert (plan.controllers.replicas, plan.controllers.service) == (3, "log")
    assert plan.controllers.peers == (render.CONTROLLER_PORT,)
    assert (plan.workload.service, plan.workload.part, plan.controllers.part) == ("log", "servers", "controllers")
    assert (plan.workload.reaches, plan.workload.peers) == ((Reach("log", (9090,)),), (render.PEERS_PORT,))
    assert {listener.port for listener in plan.controllers.listeners} == {9090}
    assert 9090 not in {listener.port for listener in plan.workload.listeners}


def test_the_administrator_is_whoever_shows_the_servers_own_certificate() -> None:
    plan = plan_of(spec_of())
    found = settings(files_of(plan)["server.properties"])
    assert found["super.users"] == f"User:{plan.certificate_hosts[0]}"
    rule, name = found["ssl.principal.mapping.rules"].removeprefix("RULE:").removesuffix("/").split("/")
    assert name == "$1"
    for host in (plan.certificate_hosts[0], "api"):
        match = re.fullmatch(rule, f"CN={host},O=Groundwork")
        assert match
        assert match[1] == host
    for stranger in ("CN=api,O=Others", "CN=api,OU=x,O=Groundwork", "CN=api", "CN=a,CN=api,O=Groundwork"):
        assert not re.fullmatch(rule, stranger)


def test_every_setting_of_a_topic_is_given_so_that_taking_it_back_shows() -> None:
    plan = plan_of(spec_of(ORDERS, {**PRICES, "consumers": None, "producers": None}, replicas=3))
    lines = [line.split(" ") for line in files_of(plan)["topics.txt"].splitlines()]
    assert [line[:3] for line in lines] == [["orders.created", "6", "3"], ["prices", "3", "3"]]
    orders, prices = (dict(pair.split("=") for pair in line[3].split(",")) for line in lines)
    assert orders == {
        "cleanup.policy": "delete",
        "max.message.bytes": "1048576",
        "min.insync.replicas": "2",
        "retention.bytes": "-1",
        "retention.ms": str(30 * 86_400_000),
        "segment.bytes": str(2**30),
        "segment.ms": str(7 * 86_400_000),
    }
    assert (prices["cleanup.policy"], prices["retention.ms"]) == ("compact", "-1")
    assert set(prices) == set(orders)


def test_a_quiet_topic_is_not_kept_for_longer_than_twice_its_retention() -> None:
    (line,) = files_of(plan_of(spec_of({"name": "a", "retention": "1h"})))["topics.txt"].splitlines()
    assert "retention.ms=3600000," in line
    assert line.endswith("segment.ms=3600000")


def rights(*topics: dict[str, Any]) -> list[str]:
    return files_of(plan_of(spec_of(*topics), "api", "worker", "report"))["rights.txt"].splitlines()


OWN = [f"ALL GROUP,TRANSACTIONAL_ID PREFIXED {name}. {name}" for name in ("api", "report", "worker")]


def test_every_service_that_uses_it_has_every_topic() -> None:
    assert rights(ORDERS, {"name": "b"}) == ["READ,WRITE TOPIC LITERAL orders.created,b api report worker", *OWN]


def test_a_topic_says_who_writes_and_who_reads() -> None:
    assert rights({"name": "a", "producers": ["api"], "consumers": ["worker", "api"]}, PRICES) == [
        "READ,WRITE TOPIC LITERAL a api",
        "READ TOPIC LITERAL a,prices worker",
        "WRITE TOPIC LITERAL prices api",
        *OWN,
    ]
    assert rights({"name": "a", "producers": [], "consumers": ["report"]}) == ["READ TOPIC LITERAL a report", *OWN]


@given(environment=st.from_regex(r"[a-z]{1,20}", fullmatch=True), name=st.from_regex(r"[a-z]{1,20}", fullmatch=True))
def test_a_cluster_keeps_its_identity(environment: str, name: str) -> None:
    identity = render.cluster_id(environment, name)
    assert identity == render.cluster_id(environment, name)
    raw = urlsafe_b64decode(f"{identity}==")
    assert (len(raw), urlsafe_b64encode(raw).decode().rstrip("=")) == (16, identity), "the server writes it back"
    assert identity not in (render.cluster_id(environment, f"{name}x"), render.cluster_id(f"{environment}x", name))


def test_who_may_connect_to_what() -> None:
    workload = plan_of(spec_of(replicas=3), "api", "worker").workload
    assert workload.callers == (Reach("api", (render.PORT,)), Reach("worker", (render.PORT,)))
    assert [listener.name for listener in workload.listeners if listener.service] == ["kafka"]
    for container in workload.containers:
        assert container.readiness != container.liveness, f"{container.name}: the same question twice"


def test_each_container_sees_only_the_directories_it_needs() -> None:
    workload = plan_of(spec_of(replicas=3)).workload
    seen = {container.name: container.mounts for container in workload.containers}
    assert render.DATA in seen["kafka"]
    assert render.DATA not in seen["topics"] + seen["metrics"]
    assert render.SCRATCH not in seen["kafka"] + seen["metrics"]
