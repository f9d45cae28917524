"""Real nats-servers, where one is installed, started with the rendered configuration and dialled by hand."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nats import JOBS, ORDERS, files_of, plan_of, spec_of
from tests.support.nats_server import Bus, served

pytestmark = pytest.mark.skipif(not shutil.which("nats-server"), reason="nats-server is not installed")

SPEC = ({**ORDERS, "publishers": ["api"], "consumers": ["worker"]}, JOBS)


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    plan = plan_of(spec_of(*SPEC), "api", "worker")
    with served(Bus(tmp_path_factory.mktemp("bus"), plan)) as running:
        with running.client("server") as helper:
            for entry in json.loads(files_of(plan)["streams.json"]):
                stream = entry["config"]["name"]
                created = helper.ask(f"$JS.API.STREAM.CREATE.{stream}", json.dumps(entry["config"]))
                assert "error" not in created, created
                for durable in entry["consumers"]:
                    body = json.dumps({"stream_name": stream, "action": "create", "config": durable})
                    created = helper.ask(f"$JS.API.CONSUMER.CREATE.{stream}.{durable['name']}", body)
                    assert "error" not in created, created
        yield running


@pytest.mark.parametrize("replicas", [1, 3, 5])
def test_the_server_takes_the_configuration(replicas: int, tmp_path: Path) -> None:
    file = Bus(tmp_path, plan_of(spec_of(*SPEC, replicas=replicas), "api", "worker")).configuration(0)
    done = subprocess.run(["nats-server", "-t", "--config", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stderr


def test_a_publisher_is_told_that_its_message_is_kept(bus: Bus) -> None:
    with bus.client("api") as api:
        assert api.ask("orders.1.paid", "x")["stream"] == "ORDERS"
    with bus.client("worker") as worker:
        assert worker.ask("$JS.API.STREAM.INFO.ORDERS")["state"]["messages"] >= 1
        assert worker.ask("$JS.API.CONSUMER.INFO.ORDERS.billing")["num_pending"] >= 1


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("worker", ("PUB orders.1.paid 0", "")),
        ("api", ("PUB $JS.API.CONSUMER.MSG.NEXT.ORDERS.billing 0", "")),
        ("api", ("PUB $JS.API.STREAM.DELETE.ORDERS 0", "")),
        ("worker", ("PUB $JS.API.STREAM.PURGE.ORDERS 0", "")),
        ("worker", ("PUB $JS.API.CONSUMER.CREATE.ORDERS.own 0", "")),
        ("worker", ("PUB elsewhere 0", "")),
        ("worker", ("SUB _INBOX_api.> 7",)),
        ("worker", ("SUB _INBOX.> 7",)),
        ("api", ("SUB > 7",)),
        ("api", ("SUB $SYS.> 7",)),
        ("api", ("SUB orders.> 7",)),
    ],
)
def test_what_a_stream_does_not_allow_is_refused(bus: Bus, who: str, words: tuple[str, ...]) -> None:
    with bus.client(who) as client:
        (answer,) = client.tell(*words)
        assert answer.startswith("-ERR 'Permissions Violation")


def test_a_reader_hears_what_is_published_as_it_happens(bus: Bus) -> None:
    with bus.client("worker") as worker, bus.client("api") as api:
        assert worker.tell("SUB orders.*.paid 7") == []
        api.ask("orders.2.paid", "x")
        assert worker.line().startswith("MSG orders.2.paid 7 ")


def test_a_certificate_that_belongs_to_no_consumer_lets_nobody_in(bus: Bus) -> None:
    with bus.client("stranger") as stranger:
        assert stranger.line() == "-ERR 'Authorization Violation'"


def test_who_has_no_certificate_is_refused(bus: Bus) -> None:
    refusal = "certificate required|EOF occurred|closed without an answer|reset by peer"
    with pytest.raises(OSError, match=refusal), bus.client(""):
        pass


def test_plaintext_gets_no_answer(bus: Bus) -> None:
    for port in bus.ports:
        if port == 6222:
            continue
        with socket.create_connection(("127.0.0.1", bus.ports[port][0]), timeout=10) as plain:
            plain.sendall(b"PING\r\n\r\n")
            try:
                answer = plain.recv(100)
            except ConnectionResetError:
                answer = b""
        assert not answer.startswith((b"INFO", b"PONG", b"HTTP/1.1 200")), answer


def test_three_servers_find_one_another_and_take_no_stranger_for_a_peer(tmp_path: Path) -> None:
    plan = plan_of(spec_of(*SPEC, replicas=3), "api", "worker")
    with served(Bus(tmp_path, plan)) as bus:
        (orders, _) = json.loads(files_of(plan)["streams.json"])
        with bus.client("server") as helper:
            answer = helper.ask("$JS.API.STREAM.CREATE.ORDERS", json.dumps(orders["config"]))
            assert len(answer["cluster"]["replicas"]) == 2, answer
        greeting = 'CONNECT {"server_id":"NX","name":"x","cluster":"bus","protocol":1,"headers":true}'
        with bus.client("api", port=6222) as stranger:
            stranger.say(greeting)
            assert "Authorization Violation" in stranger.line()
