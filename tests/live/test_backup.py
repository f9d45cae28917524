"""Backup, wipe and restore of real servers: what was there comes back, and PostgreSQL stops at the second asked for."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.live import clients
from tests.live.conftest import NAME
from tests.live.consumer import Consumer
from tests.live.environment import SETTINGS, Live, Say, configure_on_docker, prepare
from tests.live.failing import APP
from tests.live.written import Bus, BusReader
from toolchain.docker import command
from toolchain.waiting import wait_until

KEPT = ("postgres", "queue", "events", "bus", "media", "store")
STAGING = {
    "postgres": "var/lib/postgresql",
    "queue": "data",
    "events": "var/lib/rabbitmq",
    "bus": "var/tmp",
    "media": "var/tmp",
    "store": "var/lib/clickhouse",
}
BUCKETS = "var/tmp/buckets"
"""Folder of the store's server with a folder for each bucket."""
PATIENCE_SECONDS = 300
BY_HAND = ("set_policy", "--vhost", "groundwork", "by-hand", "^ready$", '{"delivery-limit":7}')
FILES = {"a b/c&d=e": b"x" * 100_000, "\u00fc/%2F": b"\x00\xff", "100%/+": b"percent", "empty": b""}
_METRIC = re.compile(r'groundwork_backup_(\w+)\{service="[a-z-]+"\} ([0-9.e+]+)')
_STORE = {"backup": {"to": "objects"}}
_SMALL = {"cpu": "100m", "memory": "256Mi"}
SERVICES: dict[str, Any] = {
    "objects": {"storage": "1Gi", "purpose": "Where backups go."},
    "postgres": {
        "storage": "1Gi", "purpose": "Rows.", "resources": _SMALL, "backup": {"to": "objects", "log_every": "10s"},
    },
    "queue": {
        "kind": "redis", "role": "queue", "storage": "1Gi", "purpose": "Jobs.", "resources": {"memory": "64Mi"},
        **_STORE,
    },
    "events": {
        "kind": "rabbitmq", "storage": "2Gi", "purpose": "Events.", "resources": {"cpu": "100m", "memory": "512Mi"},
        "exchanges": [{"name": "demo", "type": "direct"}], "queues": [{"name": "ready"}],
        "bindings": [{"exchange": "demo", "queue": "ready", "key": "ready"}], **_STORE,
    },
    "bus": {
        "kind": "nats", "storage": "1Gi", "purpose": "Messages.", "resources": {"cpu": "50m", "memory": "128Mi"},
        "streams": [
            {"name": "LIVE", "subjects": ["live.>"], "max_bytes": "64Mi", "durables": [{"name": "kept"}]},
            {"name": "DEMO", "subjects": ["demo"], "max_bytes": "1Mi", "durables": [{"name": "ready"}]},
        ],
        **_STORE,
    },
    "media": {
        "kind": "objects", "storage": "256Mi", "purpose": "Files.", "resources": {"cpu": "50m", "memory": "128Mi"},
        "buckets": [{"name": "media", "users": ["api"]}], **_STORE,
    },
    "store": {
        "kind": "clickhouse", "storage": "1Gi", "purpose": "Telemetry.", "resources": {"cpu": "100m", "memory": "1Gi"},
        "tables": [
            {"name": "metrics", "columns": {"at": "DateTime64(3)", "value": "Float64"}, "order_by": ["at"]},
        ],
        **_STORE,
    },
}  # fmt: skip


@pytest.fixture
def small(tmp_path_factory: pytest.TempPathFactory, say: Say, host: str) -> Iterator[Live]:
    """An environment of its own, which is taken down again."""
    environment = prepare(f"{NAME}-backup", tmp_path_factory.mktemp("backup"), host, say)
    try:
        yield environment
    finally:
        environment.down()


def test_what_was_backed_up_is_restored(small: Live, host: str, record_property: Callable[[str, object], None]) -> None:
    engine = Engine(small.name, host)
    configure(small, {name: {"deletion_protection": False} for name in KEPT})
    small.up()
    await_("a first backup", lambda: moment(staging(small, "postgres") / "state/shipped") > 0)
    with Consumer(small.process(*APP).pid) as app:
        until = app.call(write)
        kept, last = app.call(read, "postgres", "queue"), app.call(last_segment)
        files, left, telemetry = app.call(media), app.call(begin_messages), app.call(tables)
    engine.rabbitmqctl(*BY_HAND)
    definitions = engine.definitions()
    for name in KEPT[1:]:
        back_up(small, name)
    await_log(small, last)
    ages = {name: drilled(small, name) for name in KEPT}
    assert all(0 <= age < PATIENCE_SECONDS * 2 for age in ages.values()), ages
    assert encrypted(small) == set()

    configure(small, {}, without=KEPT)
    small.up()
    assert engine.volumes(KEPT) == [], "the data is still there, so that nothing would be proved"

    restored: dict[str, Any] = {name: {"restore": {"store": "objects"}} for name in KEPT}
    choice = {"store": "objects", "service": "postgres", "until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
    earlier = {**SERVICES["postgres"], "kind": "postgres", "restore": choice}
    del earlier["backup"]
    configure(small, restored, more={"earlier": earlier})
    small.up()
    with Consumer(small.process(*APP).pid) as app:
        assert app.call(read, "postgres", "queue") == kept
        before, after = app.call(rows, "earlier"), app.call(rows, "postgres")
        assert app.call(media) == files
        assert app.call(stored_messages) == left
        assert app.call(tables) == telemetry
    assert engine.definitions() == definitions
    assert [row for row, _ in before] == ["before"], "the restored second is another one"
    assert [row for row, _ in after] == ["before", "after"]
    seconds = (until - before[0][1]).total_seconds(), (after[1][1] - until).total_seconds()
    said = f"until {seconds[0]:.1f} s after one row and {seconds[1]:.1f} s before the next: the first is there alone"
    definitions_kept = sum(map(len, definitions.values()))
    figures = (
        f"{len(kept['queue'])} keys, {definitions_kept} definitions, {len(files)} objects, {len(left)} messages, "
        f"{sum(map(len, telemetry.values()))} rows equal"
    )
    record_property("note", f"{said}\n{figures}")


def configure(
    live: Live, changed: dict[str, Any], without: tuple[str, ...] = (), more: dict[str, Any] | None = None
) -> None:
    """Write the settings: the services, each with what is changed of it, and an app that uses those that are there."""
    services = {name: {**one, **changed.get(name, {})} for name, one in SERVICES.items() if name not in without}
    services |= more or {}
    own = {name: value for name, value in SETTINGS["api"].items() if name != "metrics"}
    # Nobody asks it anything: clients of the tests stand in its place.
    env = {"EVENTS_EXCHANGE": "demo", "EVENTS_QUEUE": "ready"}
    env |= {"BUS_SUBJECT": "demo", "BUS_STREAM": "DEMO", "BUS_DURABLE": "ready"}
    services["api"] = {**own, "replicas": 1, "uses": [*services], "env": env, "probes": {"ready": "/", "live": "/live"}}
    configure_on_docker(live.checkout, live.name, services)


def write() -> datetime:
    """Everything that has to come back; returns a second between two rows, by the server's own clock."""
    with clients.postgres("postgres") as connection:
        connection.execute("CREATE TABLE moments (row text PRIMARY KEY, at timestamptz)")
        connection.execute("CREATE TABLE numbers AS SELECT n, md5(n::text) AS word FROM generate_series(1, 5000) n")
        connection.execute("INSERT INTO moments VALUES ('before', clock_timestamp())")
        now = _now(connection)
        until = now.replace(microsecond=0) + timedelta(seconds=2)
        while _now(connection) < until + timedelta(seconds=1):
            time.sleep(0.1)
        connection.execute("INSERT INTO moments VALUES ('after', clock_timestamp())")
    queue = clients.redis_server("queue")
    queue.rpush("bull:jobs:wait", *map(str, range(500)))
    queue.hset("bull:jobs:1", mapping={"name": "mail", "data": '{"to": "ä"}'})
    queue.zadd("bull:jobs:delayed", {"7": 1.5, "8": 2.5})
    queue.set("token", "x", ex=86400)
    for key, content in FILES.items():
        clients.objects("media").put_object(
            Bucket="media", Key=key, Body=content, ContentType="text/x-live", Metadata={"kept": "yes"}, Tagging="a=b"
        )
    for statement in (
        "INSERT INTO groundwork.metrics SETTINGS async_insert = 0 "
        "SELECT toDateTime64('2026-11-01 00:00:00', 3) + number, number / 3 FROM numbers(5000)",
        "CREATE TABLE own (`a b` String, n Nullable(Int64), PRIMARY KEY `a b`) ENGINE = MergeTree",
        "INSERT INTO own SETTINGS async_insert = 0 VALUES ('\u00fc\\t\\'', NULL), ('', -1)",
        "CREATE MATERIALIZED VIEW sums ENGINE = SummingMergeTree ORDER BY word POPULATE AS "
        "SELECT `a b` AS word, 1 AS c FROM own",
    ):
        clients.clickhouse("store", statement)
    return until


def begin_messages() -> set[str]:
    """Publish messages, and accept some of them; returns those that nobody has accepted."""
    bus = Bus()
    for number in range(100):
        bus.write(str(number))
    reader = BusReader()
    return {str(number) for number in range(100)} - {reader.write("") for _ in range(30)}


def stored_messages() -> set[str]:
    """Every message that nobody has accepted."""
    return Bus().stored()


def media() -> dict[str, Any]:
    """Every object with what describes it."""
    client = clients.objects("media")
    found = {}
    for key in (one["Key"] for one in client.list_objects_v2(Bucket="media")["Contents"]):
        one = client.get_object(Bucket="media", Key=key)
        tags = client.get_object_tagging(Bucket="media", Key=key)["TagSet"]
        found[key] = (one["Body"].read(), one["ContentType"], one["Metadata"], tags)
    return found


def tables() -> dict[str, list[str]]:
    """Every row of a ClickHouse that the app may see."""
    names = ("groundwork.metrics", "api.own", "api.sums")
    return {name: clients.clickhouse("store", f"SELECT * FROM {name} ORDER BY ALL").splitlines() for name in names}


def _now(connection: psycopg.Connection[Any]) -> datetime:
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row
    return datetime.fromtimestamp(row[0].timestamp(), UTC)


def rows(service: str) -> list[tuple[str, datetime]]:
    """The rows by which a second is told."""
    with clients.postgres(service) as connection:
        found = connection.execute("SELECT row, at FROM moments ORDER BY at").fetchall()
        return [(row, datetime.fromtimestamp(at.timestamp(), UTC)) for row, at in found]


def read(postgres: str, queue: str) -> dict[str, Any]:
    """All that a consumer has in both."""
    with clients.postgres(postgres) as connection:
        tables = {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in ("moments", "numbers")
        }
    server = clients.redis_server(queue)
    keys = sorted(server.scan_iter())
    kinds = {key: server.type(key) for key in keys}
    readers: dict[str, Callable[[str], Any]] = {
        "list": lambda key: server.lrange(key, 0, -1),
        "hash": server.hgetall,
        "zset": lambda key: server.zrange(key, 0, -1, withscores=True),
        "string": lambda key: (server.get(key), server.ttl(key) != -1),
    }
    return {"postgres": tables, "queue": {key: readers[str(kind)](key) for key, kind in kinds.items()}}


def last_segment() -> str:
    """The file of the log that holds the last commit."""
    with clients.postgres("postgres") as connection:
        row = connection.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        assert row
        return str(row[0])


def staging(live: Live, service: str) -> Path:
    """Folder of a service's backups on their way, as this machine sees it."""
    return live.process(f"{service}-backup-0", "carrier").root / STAGING[service]


def back_up(live: Live, service: str) -> None:
    """Ask for a backup now, as a person may, and wait until it is carried away."""
    folder = staging(live, service)
    asked = folder / "state" / "dump.wanted"
    asked.touch()
    await_(f"a backup of {service}", lambda: not asked.exists() and not any((folder / "out").iterdir()))


def await_log(live: Live, last: str) -> None:
    """Wait until a segment of the log is in the store."""
    await_("the log", lambda: any(path.name == last for path in stored(live)))


def stored(live: Live) -> list[Path]:
    """Every object of every bucket, as the store's server keeps them."""
    root = live.process("objects-0", "versitygw").root / BUCKETS
    return [path for path in root.rglob("*") if path.is_file()]


def moment(file: Path) -> int:
    """A time that a script has noted; 0 where it has not."""
    return int(file.read_text(encoding="utf-8")) if file.exists() else 0


def drilled(live: Live, service: str) -> float:
    """Seconds since the last drill that succeeded, as the metrics say; waits for the first."""
    with Consumer(live.process(f"{service}-backup-0", "metrics").pid) as inside:
        done = "last_drill_success_timestamp_seconds"
        await_(f"a drill of {service}", lambda: inside.call(metrics, service)[done] > 0)
        found = inside.call(metrics, service)
    assert found["last_success_timestamp_seconds"] > 0
    assert found["size_bytes"] > 0
    return found["drill_age_seconds"]


def metrics(service: str) -> dict[str, float]:
    """The metrics of a service's backups, by TLS."""
    context = ssl.create_default_context(cafile="/run/groundwork/tls/ca.crt")
    connection = http.client.HTTPSConnection("localhost", 9100, context=context, timeout=5)
    connection.sock = context.wrap_socket(_dial(), server_hostname=f"{service}-backup")
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    return {name: float(value) for name, value in _METRIC.findall(text)}


def _dial() -> Any:
    import socket

    return socket.create_connection(("127.0.0.1", 9100), timeout=5)


def encrypted(live: Live) -> set[str]:
    """Objects of the store that are not as OpenSSL encrypts: all but the marks that say a backup is whole."""
    found = [path for path in stored(live) if {"set", "wal"} & set(path.parts)]
    assert len(found) > len(KEPT)
    return {path.name for path in found if path.name != "whole" and not path.read_bytes().startswith(b"Salted__")}


class Engine:
    """What a person at the engine does."""

    def __init__(self, name: str, host: str) -> None:
        self._name = f"groundwork-{name}"
        self._command = command(host)

    def rabbitmqctl(self, *words: str) -> str:
        """RabbitMQ's own tool, in the server's place."""
        script = '. /etc/rabbitmq/rabbitmq-env.conf && exec rabbitmqctl -q "$@"'
        return self._run("exec", f"{self._name}-events-0-topology", "sh", "-c", script, "rabbitmqctl", *words)

    def definitions(self) -> dict[str, list[str]]:
        """All that RabbitMQ keeps besides messages, and users without what follows from their passwords."""
        found = json.loads(self.rabbitmqctl("export_definitions", "/dev/stdout"))
        kinds = ("users", "vhosts", "permissions", "parameters", "policies", "exchanges", "queues", "bindings")
        for user in found["users"]:
            del user["password_hash"]
        return {kind: sorted(json.dumps(one, sort_keys=True) for one in found[kind]) for kind in kinds}

    def volumes(self, services: tuple[str, ...]) -> list[str]:
        """Volumes of these services, and of what makes their backups."""
        begins = tuple(f"{self._name}-{service}-" for service in services)
        return [name for name in self._run("volume", "ls", "--quiet").split() if name.startswith(begins)]

    def _run(self, *words: str) -> str:
        done = subprocess.run([*self._command, *words], text=True, capture_output=True)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
        return done.stdout


def await_(what: str, holds: Callable[[], bool]) -> None:
    wait_until(what, PATIENCE_SECONDS, holds, lambda: "see the logs of its containers")
