"""A ClickHouse as its consumers meet it: by both protocols, with TLS and a certificate, and with rights of their own.

Where no registry can be reached its engine is ClickHouse's and TLS is HAProxy's; what is proved here holds for both.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.live import clients
from tests.live.conftest import NAME
from tests.live.consumer import Consumer
from tests.live.environment import SETTINGS, Live, Say, brought_up, configure_on_docker, prepare
from tests.live.networks import opens
from toolchain.waiting import wait_until

TABLE = {"columns": {"at": "DateTime", "n": "UInt64"}, "order_by": ["at"]}
SERVICES: dict[str, Any] = {
    "store": {
        "kind": "clickhouse",
        "storage": "1Gi",
        "purpose": "Telemetry.",
        "resources": {"cpu": "100m", "memory": "1Gi"},
        "profiles": {"few": {"max_rows_returned": 10}},
        "users": {"reader": {"profile": "few"}},
        "tables": [{"name": "shared", **TABLE}, {"name": "closed", **TABLE, "readers": ["api"], "writers": ["api"]}],
    },
    "api": {**SETTINGS["api"], "replicas": 1, "uses": ["store"], "env": {}},
    "reader": {**SETTINGS["api"], "replicas": 1, "uses": ["store"], "env": {}, "purpose": "Another one."},
}
ROWS = 1000


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, say: Say, host: str) -> Iterator[Live]:
    """An environment of its own, which is taken down again."""
    environment = prepare(f"{NAME}-clickhouse", tmp_path_factory.mktemp("clickhouse"), host, say)
    configure_on_docker(environment.checkout, environment.name, SERVICES)
    with brought_up(environment):
        yield environment


@pytest.fixture
def api(environment: Live) -> Iterator[Consumer]:
    with Consumer(environment.process("api-0", "app").pid) as consumer:
        yield consumer


@pytest.fixture
def reader(environment: Live) -> Iterator[Consumer]:
    with Consumer(environment.process("reader-0", "app").pid) as consumer:
        yield consumer


def test_a_consumer_writes_and_reads_by_the_native_protocol(api: Consumer) -> None:
    """The app's own client does so whenever it is asked whether it is ready."""
    answer = api.call(ready)
    assert answer["ready"], answer
    trip = answer["checks"][0]["trip"]
    assert trip["read"] == trip["written"]


def test_a_declared_table_is_for_those_it_names(api: Consumer, reader: Consumer) -> None:
    api.call(ask, f"INSERT INTO groundwork.shared SETTINGS async_insert = 0 SELECT now(), number FROM numbers({ROWS})")
    api.call(ask, "INSERT INTO groundwork.closed SETTINGS async_insert = 0 VALUES (now(), 1)")
    assert reader.call(ask, "SELECT sum(n) FROM groundwork.shared") == f"{sum(range(ROWS))}\n"
    refused = {
        "SELECT n FROM groundwork.closed": "ACCESS_DENIED",
        "INSERT INTO groundwork.closed VALUES (now(), 2)": "ACCESS_DENIED",
        "SELECT count() FROM api.demo_ready": "ACCESS_DENIED",
        "CREATE TABLE groundwork.mine (n Int8) ENGINE = MergeTree ORDER BY n": "ACCESS_DENIED",
        "CREATE USER mine": "ACCESS_DENIED",
        "SELECT * FROM file('/etc/passwd', LineAsString)": "ACCESS_DENIED",
        "SELECT n FROM groundwork.shared": "TOO_MANY_ROWS_OR_BYTES",
    }
    found = {statement: reader.call(refusal, statement) for statement in refused}
    assert {statement: text for statement, text in found.items() if refused[statement] not in text} == {}


def test_whoever_lacks_something_is_refused(environment: Live, api: Consumer) -> None:
    host = environment.hosts["store"][0]
    for lack in ({"CERT_FILE": None}, {"PASSWORD_FILE": "/run/groundwork/tls/ca.crt"}, {"USER": "gw_schema"}):
        said = api.call(refusal, "SELECT 1", **lack)
        assert said, lack
        assert ("CERT_FILE" in lack) != ("AUTHENTICATION_FAILED" in said), said
    for port in (8443, 9440, 9363):
        assert api.call(in_clear, host, port) == b"", f"port {port} answers without TLS"
    for port in (8123, 9000, 9009):
        assert not api.call(opens, host, port), f"port {port} is open"


def test_a_killed_server_has_what_it_acknowledged(environment: Live, api: Consumer) -> None:
    before = api.call(ask, "SELECT count(), max(n) FROM groundwork.shared")
    server = environment.process("store-0", "clickhouse")
    server.kill()
    wait_until("the server", 60, lambda: not api.call(refusal, "SELECT 1"), lambda: api.call(refusal, "SELECT 1"))
    assert api.call(ask, "SELECT count(), max(n) FROM groundwork.shared") == before
    assert environment.process("store-0", "clickhouse").pid != server.pid


def ask(statement: str) -> str:
    """The answer to an app's statement."""
    return clients.clickhouse("store", statement)


def refusal(statement: str, **changed: str | None) -> str:
    """Why the server, or the way to it, takes no such statement; empty where it does."""
    try:
        clients.clickhouse("store", statement, **changed)
    except (httpx.HTTPError, RuntimeError, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def ready() -> Any:
    """What the app says of itself."""
    context = ssl.create_default_context(cafile="/run/groundwork/tls/ca.crt")
    context.check_hostname = False
    return httpx.get(f"https://localhost:{os.environ['PORT']}/ready", verify=context, timeout=20).json()


def in_clear(host: str, port: int) -> bytes:
    """What a port answers to a request without TLS; what no client could take for an answer counts as none."""
    with socket.create_connection((host, port), timeout=5) as connection:
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: store\r\n\r\n")
        try:
            said = connection.recv(1000)
        except OSError:
            return b""
    # An alert of TLS begins with 21.
    return b"" if said[:1] in (b"", b"\x15") else said
