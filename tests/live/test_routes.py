"""The gateway as clients outside see it: balancing, limits, headers, compression, WebSocket."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.live import clients
from tests.live.consumer import Consumer
from tests.live.environment import DOCKER, HOST, NODE, Live

TARGETS = (DOCKER, NODE)

SERVICE = pytest.mark.parametrize("service", ["gateway"])
LARGE = b"The quick brown fox jumps over the lazy dog near the bank. 0123\n" * 1024
"""What the app answers at /large."""


@pytest.fixture
def instances(live: Live) -> set[str]:
    """What the instances of the app call themselves."""
    return {(process.root / "etc/hostname").read_text().strip() for process in live.processes("api")}


@pytest.fixture
def outside(live: Live) -> Iterator[httpx.Client]:
    with clients.gateway(HOST, live.port, str(live.ca_file), live.address) as client:
        yield client


@SERVICE
def test_round_robin_takes_turns(outside: httpx.Client, instances: set[str], service: str) -> None:
    asked = Counter(instance(outside, "/") for _ in range(20))
    assert asked == dict.fromkeys(instances, 10)


@SERVICE
def test_least_conn_goes_where_fewer_connections_are(
    live: Live, outside: httpx.Client, instances: set[str], service: str
) -> None:
    """An open WebSocket is a connection: everything else goes to the other instance until that has one too."""
    assert {instance(outside, "/least") for _ in range(8)} == instances
    with websocket(live, "/least/ws") as first:
        echoed(first, "one")
        assert len({instance(outside, "/least") for _ in range(8)}) == 1
        with websocket(live, "/least/ws") as second:
            echoed(second, "two")
            assert {instance(outside, "/least") for _ in range(8)} == instances


@SERVICE
def test_ip_hash_keeps_a_client_where_it_was(live: Live, instances: set[str], service: str) -> None:
    """Clients of many addresses, made inside the gateway's own network: each sticks, and together they use all."""
    with Consumer(live.process("gateway-0", "nginx").pid) as inside:
        addresses = [f"127.0.0.{number}" for number in range(2, 14)]
        answered = inside.call(by_address, "/sticky", addresses, live.ca)
        elsewhere = inside.call(by_address, "/", addresses[:2], live.ca)
    assert {len(found) for found in answered.values()} == {1}
    assert {len(found) for found in elsewhere.values()} == {2}, "a route without it does not"
    assert set().union(*answered.values()) == instances


@SERVICE
def test_a_greedy_client_is_told_to_wait(outside: httpx.Client, service: str) -> None:
    """One request a second, and two at once on top: the rest is refused, until time has passed."""
    await_status(outside, "/limited", 200)
    statuses = [outside.get("/limited").status_code for _ in range(12)]
    assert Counter(statuses)[429] >= 8
    assert set(statuses) <= {200, 429}
    await_status(outside, "/limited", 200)
    assert {outside.get("/").status_code for _ in range(12)} == {200}, "a limit is its route's alone"


@SERVICE
@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/kept/large", 200), ("/store/absent", 404)])
def test_responses_bear_the_security_headers(outside: httpx.Client, path: str, status: int, service: str) -> None:
    answer = outside.get(path)
    assert answer.status_code == status
    expected = {
        "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "strict-origin-when-cross-origin",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert len(answer.headers["x-request-id"]) == 32
    assert answer.headers.get("server", "nginx") == "nginx", "no version is told"


@SERVICE
def test_the_app_learns_who_asked(outside: httpx.Client, service: str) -> None:
    """What a client claims of itself is replaced, and the app sees the gateway's own certificate."""
    claimed = {"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1", "X-Request-ID": "mine"}
    answer = outside.get("/sticky", headers=claimed)
    told = answer.json()
    headers = told["headers"]
    assert told["client"] == "gateway"
    assert headers["Host"] == HOST
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["X-Forwarded-Prefix"] == "/sticky"
    assert headers["X-Request-ID"] == answer.headers["x-request-id"]
    assert "192.0.2.1" not in str(told)


@SERVICE
def test_caching_is_as_the_route_says_and_errors_are_never_kept(outside: httpx.Client, service: str) -> None:
    assert outside.get("/kept").headers.get_list("cache-control") == ["public, max-age=3600"]
    assert outside.get("/kept/nowhere").headers.get_list("cache-control") == ["no-store"]
    assert outside.get("/").headers.get_list("cache-control") == ["no-store"], "the app's own"


@SERVICE
@pytest.mark.parametrize("encoding", ["br", "gzip", "identity"])
def test_responses_are_compressed_as_the_client_can(outside: httpx.Client, encoding: str, service: str) -> None:
    decode = {"br": brotli.decompress, "gzip": gzip.decompress, "identity": bytes}[encoding]
    with outside.stream("GET", "/large", headers={"Accept-Encoding": encoding}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding", "identity") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert decode(raw) == LARGE
    assert encoding == "identity" or len(raw) < len(LARGE) // 20


@SERVICE
def test_websockets_pass_where_a_route_says_so_and_nowhere_else(live: Live, service: str) -> None:
    with websocket(live, "/least/ws") as open_one:
        for word in ("first", "second", "x" * 10_000):
            echoed(open_one, word)
    with pytest.raises(InvalidStatus) as refused, websocket(live, "/ws"):
        pass
    assert refused.value.response.status_code == 426


@SERVICE
def test_http_2_is_spoken(live: Live, service: str) -> None:
    with clients.gateway(HOST, live.port, str(live.ca_file), live.address, http2=True) as client:
        assert client.get("/").http_version == "HTTP/2"


def instance(client: httpx.Client, path: str) -> str:
    """Which instance of the app answers."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["instance"])


def by_address(path: str, addresses: list[str], ca: str) -> dict[str, set[str]]:
    """The instances that answer a client of each address. Runs inside the gateway's network."""
    context = ssl.create_default_context(cadata=ca)
    found = {}
    for address in addresses:
        transport = httpx.HTTPTransport(verify=context, local_address=address)
        with httpx.Client(transport=transport, base_url="https://127.0.0.1:8443", headers={"Host": HOST}) as client:
            asked = [client.get(path, extensions={"sni_hostname": HOST}) for _ in range(5)]
        found[address] = {answer.json()["instance"] for answer in asked}
    return found


def await_status(client: httpx.Client, path: str, status: int) -> None:
    """Ask until the answer has this status."""
    end = time.monotonic() + 10
    while client.get(path).status_code != status:
        assert time.monotonic() < end, f"{path} did not answer {status} within 10 s"


def websocket(live: Live, path: str) -> ClientConnection:
    """A WebSocket through the gateway, whose name is verified."""
    context = ssl.create_default_context(cafile=str(live.ca_file))
    connection = socket.create_connection((live.address, live.port))
    return connect(f"wss://{HOST}:{live.port}{path}", sock=connection, ssl=context, open_timeout=5)


def echoed(connection: ClientConnection, word: str) -> None:
    """Send a message and receive it back."""
    connection.send(word)
    assert connection.recv(timeout=5) == word
