"""What follows from a spec: configuration, permissions, declared streams and the shape of the workload."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.bindings import Reach
from components.core.problems import ConfigError
from components.core.types import bytes_of
from components.nats.access import certificate_name
from components.nats.plan import NatsPlan
from components.nats.subjects import overlap
from tests.support.nats import JOBS, ORDERS, files_of, plan_of, spec_of

API = "$JS.API"


def conf(plan: NatsPlan) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files_of(plan)["nats.conf"])
    return found


def rights(plan: NatsPlan) -> dict[str, dict[str, Any]]:
    return {user["user"]: user["permissions"] for user in conf(plan)["authorization"]["users"]}


@st.composite
def plans(draw: st.DrawFn) -> NatsPlan:
    names = draw(st.lists(st.sampled_from(["api", "worker", "billing", "audit"]), unique=True, max_size=4))
    services = st.none() | st.lists(st.sampled_from(names or ["none"]), max_size=2 if names else 0)
    streams = [
        {
            "name": f"S{index}",
            "subjects": [f"s{index}.>"],
            "max_bytes": "10Mi",
            "publishers": draw(services),
            "consumers": draw(services),
            "durables": [{"name": f"d{number}"} for number in range(draw(st.integers(0, 2)))],
        }
        for index in range(draw(st.integers(1, 3)))
    ]
    sync = draw(st.none() | st.just("10s"))
    return plan_of(spec_of(*streams, replicas=draw(st.sampled_from([1, 3, 5])), sync=sync), *names)


@given(plan=plans())
def test_any_valid_spec_listens_on_tls_only(plan: NatsPlan) -> None:
    found = conf(plan)
    assert not {"http", "http_port", "monitor_port", "port", "websocket", "mqtt", "leafnodes"} & set(found)
    blocks = [found["tls"], *([found["cluster"]["tls"]] if "cluster" in found else [])]
    assert [block["min_version"] for block in blocks] == ["1.3"] * len(blocks)
    assert found["tls"]["verify_and_map"]
    assert found["tls"]["handshake_first"], "else the server greets in plaintext"
    opened = [found["listen"], found["https"], *([found["cluster"]["listen"]] if "cluster" in found else [])]
    listening = {int(address.rpartition(":")[2]) for address in opened}
    assert {listener.port for listener in plan.workload.listeners} == listening | {9100}


@given(plan=plans())
def test_nobody_may_do_everything_and_each_answers_alone(plan: NatsPlan) -> None:
    for user, sides in rights(plan).items():
        for side in ("publish", "subscribe"):
            (rule,) = sides[side].items()
            assert rule[0] == "allow" or rule == ("deny", [">"])
            assert rule[1], "an empty list would allow everything"
        own = sides["subscribe"]["allow"][0]
        others = [other["subscribe"]["allow"] for name, other in rights(plan).items() if name != user]
        assert not [subject for allowed in others for subject in allowed if overlaps(subject, own)]


def overlaps(one: str, other: str) -> bool:
    return overlap(one.replace("$", ""), other.replace("$", ""))


@given(plan=plans())
def test_only_the_helper_manages_streams(plan: NatsPlan) -> None:
    managing = ("STREAM.CREATE.S0", "STREAM.DELETE.S0", "STREAM.PURGE.S0", "CONSUMER.CREATE.S0.x", "STREAM.NAMES")
    for user, sides in rights(plan).items():
        allowed = sides["publish"].get("allow", [])
        may = [verb for verb in managing if any(overlaps(subject, f"{API}.{verb}") for subject in allowed)]
        assert may == (list(managing) if user == certificate_name(plan.host) else [])


def test_a_consumer_may_what_its_streams_say() -> None:
    orders = {**ORDERS, "publishers": ["api"], "consumers": ["worker"]}
    found = rights(plan_of(spec_of(orders), "api", "worker", "idle"))
    assert found["CN=api,O=Groundwork"] == {
        "publish": {"allow": ["orders.>"]},
        "subscribe": {"allow": ["_INBOX_api.>"]},
    }
    assert found["CN=worker,O=Groundwork"] == {
        "publish": {
            "allow": [
                "$JS.API.STREAM.INFO.ORDERS",
                "$JS.API.CONSUMER.INFO.ORDERS.billing",
                "$JS.API.CONSUMER.MSG.NEXT.ORDERS.billing",
                "$JS.ACK.ORDERS.billing.>",
                "$JS.ACK.*.*.ORDERS.billing.>",
            ]
        },
        "subscribe": {"allow": ["_INBOX_worker.>", "orders.>"]},
    }
    assert found["CN=idle,O=Groundwork"]["publish"] == {"deny": [">"]}


def test_a_stream_without_lists_is_for_everybody() -> None:
    found = rights(plan_of(spec_of(JOBS), "api", "worker"))
    for name in ("api", "worker"):
        assert {"jobs.*", "$JS.ACK.JOBS.work.>"} <= set(found[certificate_name(name)]["publish"]["allow"])


@pytest.mark.parametrize("field", ["publishers", "consumers"])
def test_a_service_that_does_not_use_it_is_an_error(field: str) -> None:
    spec = spec_of(JOBS, {**ORDERS, field: ["api", "worcer"]})
    with pytest.raises(ConfigError) as caught:
        plan_of(spec, "api", "worker")
    assert str(caught.value) == (
        f"groundwork:services.bus.streams.1.{field}: worcer given; no such service uses bus; did you mean worker? "
        "Allowed: api, worker"
    )
    with pytest.raises(ConfigError, match=r"add bus to its uses or remove it here\. Allowed: none"):
        plan_of(spec)


def test_peers_know_one_another_by_name_and_nobody_else_is_a_peer() -> None:
    cluster = conf(plan_of(spec_of(replicas=3)))["cluster"]
    assert cluster["routes"] == [f"tls://bus-{index}.bus-peers.groundwork-test.svc:6222" for index in range(3)]
    assert cluster["tls"]["verify_cert_and_check_known_urls"], "else any certificate of the authority made a peer"
    assert "cluster" not in conf(plan_of(spec_of()))


@pytest.mark.parametrize(("replicas", "peers", "ports"), [(1, (), [4222, 8222]), (3, (6222,), [4222, 6222, 8222])])
def test_the_workload_of_one_and_of_several(replicas: int, peers: tuple[int, ...], ports: list[int]) -> None:
    plan = plan_of(spec_of(replicas=replicas), "api")
    workload = plan.workload
    assert [listener.port for listener in workload.containers[0].listeners] == ports
    assert [listener.port for listener in workload.listeners if listener.service] == [4222]
    assert workload.callers == (Reach("api", (4222,)),)
    assert (workload.replicas, workload.peers, workload.parallel_start) == (replicas, peers, replicas > 1)
    assert set(workload.slots) == {"ca.crt", "tls.crt", "tls.key"}, "the server's files hold no password"
    assert plan.certificate_hosts == (
        "bus.groundwork-test.svc", "bus",
        *(f"bus-{index}.bus-peers.groundwork-test.svc" for index in range(replicas)), "localhost",
    )  # fmt: skip


def test_every_container_is_checked_by_different_probes_and_sees_what_it_needs() -> None:
    workload = plan_of(spec_of(replicas=3)).workload
    for container in workload.containers:
        assert container.readiness != container.liveness
    seen = {container.name: set(container.mounts) for container in workload.containers}
    assert "/var/tmp" in seen["nats"]
    assert "/var/tmp" not in seen["streams"] | seen["metrics"]
    assert seen["streams"] & seen["metrics"] >= {"/run/metrics"}


def test_every_file_that_a_server_or_script_names_is_where_it_looks() -> None:
    plan = plan_of(spec_of(replicas=3), "api")
    there = {file.path for file in plan.workload.files} | {secret.path for secret in plan.workload.secrets}
    text = "\n".join(files_of(plan).values())
    named = set(re.findall(r"/(?:etc/nats|run/groundwork)/[\w./-]+\.(?:conf|sh|crt|key)\b", text))
    assert {"/etc/nats/settings.sh", "/run/groundwork/tls/tls.key"} <= named <= there
    assert {f"/etc/nats/{name}" for name in re.findall(r"\$etc/([\w.]+)", text)} <= there
    assert set(plan.workload.containers[1].env.values()) & there == {
        f"/run/groundwork/tls/{file}" for file in ("ca.crt", "tls.crt", "tls.key")
    }


def test_memory_and_disk_are_shared_out_below_the_limit() -> None:
    plan = plan_of(spec_of(resources={"memory": "1Gi"}))
    server = plan.workload.containers[0]
    limit = int(server.env["GOMEMLIMIT"].removesuffix("MiB"))
    assert 0.8 * 1024 <= limit <= 0.9 * 1024
    assert conf(plan)["jetstream"]["max_file_store"] == bytes_of("1Gi") * 4 // 5
    assert conf(plan)["jetstream"]["max_memory_store"] == 0


@pytest.mark.parametrize(("sync", "shown"), [(None, "always"), ("10s", "10s"), ("1m", "60s")])
def test_what_is_acknowledged_is_on_disk_unless_asked(sync: str | None, shown: str) -> None:
    assert conf(plan_of(spec_of(sync=sync)))["jetstream"]["sync_interval"] == shown


def test_streams_and_durables_as_the_api_takes_them() -> None:
    waits = {"name": "billing", "filter": "orders.*.paid", "max_deliver": 5, "backoff": ["1s", "1m"]}
    spec = spec_of({**ORDERS, "max_age": "1m", "durables": [waits]}, JOBS, replicas=3)
    orders, jobs = json.loads(files_of(plan_of(spec))["streams.json"])
    assert orders["config"] == {
        "name": "ORDERS",
        "subjects": ["orders.>"],
        "retention": "limits",
        "storage": "file",
        "num_replicas": 3,
        "max_bytes": 100 * 2**20,
        "max_age": 60 * 10**9,
        "discard": "old",
        "duplicate_window": 60 * 10**9,
    }
    (billing,) = orders["consumers"]
    assert billing["filter_subject"] == "orders.*.paid"
    assert (billing["max_deliver"], billing["backoff"]) == (5, [10**9, 60 * 10**9])
    assert billing["ack_wait"] == 10**9, "the server takes the first wait for it: another value would always differ"
    assert (jobs["config"]["max_age"], jobs["config"]["duplicate_window"]) == (0, 120 * 10**9)
    assert (jobs["consumers"][0]["ack_wait"], jobs["consumers"][0]["max_deliver"]) == (30 * 10**9, -1)
