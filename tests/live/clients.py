"""Clients as an app makes them: every setting from its variables and the files they name. Run in a consumer's place.

A test changes single settings to see them refused: `postgres("postgres", PASSWORD_FILE="/tmp/other")`.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import boto3
import httpx
import kafka
import nats
import pika
import psycopg
import redis
from botocore.client import Config
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 2


def settings_of(service: str, **changed: str | None) -> dict[str, str]:
    """The settings of one service without its prefix; what is changed to None is left out."""
    prefix = service.upper().replace("-", "_") + "_"
    found = {name.removeprefix(prefix): value for name, value in os.environ.items() if name.startswith(prefix)}
    return {name: value for name, value in {**found, **changed}.items() if value is not None}


def postgres(service: str, **changed: str | None) -> psycopg.Connection[Any]:
    """A connection that commits each statement."""
    settings = settings_of(service, **changed)
    return psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"],
        dbname=settings["DATABASE"],
        user=settings["USER"],
        password=_content(settings["PASSWORD_FILE"]),
        sslmode=settings["SSLMODE"],
        sslrootcert=settings["CA_FILE"],
        # Without a name libpq would look for one in the home directory.
        sslcert=settings.get("CERT_FILE", "/nonexistent"),
        sslkey=settings.get("KEY_FILE", "/nonexistent"),
        connect_timeout=TIMEOUT_SECONDS,
        tcp_user_timeout=TIMEOUT_SECONDS * 1000,
        autocommit=True,
    )


def redis_server(service: str, **changed: str | None) -> redis.Redis:
    """A client of the master: found through the Sentinels where there are some."""
    settings = settings_of(service, **changed)
    options = _redis_options(settings)
    if "SENTINELS" not in settings:
        return redis.Redis(host=settings["HOST"], port=int(settings["PORT"]), **options)
    sentinels = [(host, int(port)) for host, _, port in (s.partition(":") for s in settings["SENTINELS"].split(","))]
    of_sentinels = {**options, "username": settings["SENTINEL_USERNAME"]}
    found: Any = redis.Sentinel(sentinels, sentinel_kwargs=of_sentinels, **options)  # type: ignore[no-untyped-call]
    master: redis.Redis = found.master_for(settings["SENTINEL_MASTER"])
    return master


def _redis_options(settings: dict[str, str]) -> dict[str, Any]:
    return {
        "username": settings["USERNAME"],
        "password": _content(settings["PASSWORD_FILE"]),
        "ssl": True,
        "ssl_ca_certs": settings["CA_FILE"],
        "ssl_certfile": settings.get("CERT_FILE"),
        "ssl_keyfile": settings.get("KEY_FILE"),
        "ssl_check_hostname": True,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        # A write that failed is not known to have failed; whoever counts must see it.
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": True,
    }


def rabbitmq(service: str, *, confirmed: bool = True, **changed: str | None) -> Any:
    """A channel whose publishing waits for the broker's confirmation, where asked. A pika BlockingChannel."""
    settings = settings_of(service, **changed)
    common = {
        "virtual_host": settings["VHOST"],
        "credentials": pika.PlainCredentials(settings["USERNAME"], _content(settings["PASSWORD_FILE"])),
        "heartbeat": TIMEOUT_SECONDS,
        "blocked_connection_timeout": TIMEOUT_SECONDS,
        "socket_timeout": TIMEOUT_SECONDS,
        "stack_timeout": TIMEOUT_SECONDS,
    }
    nodes = settings.get("NODES", f"{settings['HOST']}:{settings['PORT']}").split(",")
    places = [node.rpartition(":") for node in nodes]
    # One after another until one takes it.
    connection = pika.BlockingConnection(
        [
            pika.ConnectionParameters(host, int(port), ssl_options=pika.SSLOptions(_context(settings), host), **common)
            for host, _, port in places
        ]
    )
    channel = connection.channel()
    if confirmed:
        channel.confirm_delivery()
    return channel


class Nats:
    """A connection to a NATS with streams. `run` waits for what its library does: `server.run(server.streams.publish(
    ...))`."""

    def __init__(self, service: str, **changed: str | None) -> None:
        settings = settings_of(service, **changed)
        self._loop = asyncio.new_event_loop()
        self.connection = self.run(
            nats.connect(
                settings["SERVERS"].split(","),
                tls=_context(settings),
                tls_handshake_first=True,
                inbox_prefix=settings["INBOX_PREFIX"].encode(),
                connect_timeout=TIMEOUT_SECONDS,
                allow_reconnect=False,
                max_reconnect_attempts=1,
            )
        )
        self.streams = self.connection.jetstream(timeout=TIMEOUT_SECONDS)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """What `work` gives."""
        return self._loop.run_until_complete(work)


def kafka_producer(service: str, **options: Any) -> Any:
    """A producer that gives up soon. A kafka-python KafkaProducer."""
    wait = {"request_timeout_ms": TIMEOUT_SECONDS * 1000, "delivery_timeout_ms": TIMEOUT_SECONDS * 2000}
    return kafka.KafkaProducer(
        **_kafka_options(settings_of(service)), **wait, max_block_ms=wait["delivery_timeout_ms"], **options
    )


def kafka_consumer(service: str, *topics: str, group: str = "") -> Any:
    """A reader from the beginning; of a group, from where that has come to. A kafka-python KafkaConsumer."""
    settings = settings_of(service)
    member = {"group_id": settings["GROUP_PREFIX"] + group} if group else {}
    options = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "max_poll_records": 50}
    return kafka.KafkaConsumer(*topics, **_kafka_options(settings), **member, **options)


def _kafka_options(settings: dict[str, str]) -> dict[str, Any]:
    return {
        "bootstrap_servers": settings["BOOTSTRAP_SERVERS"].split(","),
        "security_protocol": settings["SECURITY_PROTOCOL"],
        "ssl_context": _context(settings),
        "reconnect_backoff_max_ms": 200,
        "metadata_max_age_ms": 5000,
    }


def clickhouse(service: str, statement: str, **changed: str | None) -> str:
    """What a ClickHouse answers to a statement by HTTPS. Raises RuntimeError with what it says against it."""
    settings = settings_of(service, **changed)
    answer = httpx.post(
        f"https://{settings['HOST']}:{settings['HTTPS_PORT']}/",
        params={"database": settings["DATABASE"], "wait_end_of_query": "1"},
        auth=(settings["USER"], _content(settings["PASSWORD_FILE"])),
        content=statement,
        verify=_context(settings),
        timeout=5 * TIMEOUT_SECONDS,
    )
    if answer.is_error:
        raise RuntimeError(answer.text)
    return answer.text


def objects(service: str, **changed: str | None) -> Any:
    """A client of an object store that tries everything once. A boto3 client of S3."""
    settings = settings_of(service, **changed)
    once = Config(
        s3={"addressing_style": settings["ADDRESSING"]},
        connect_timeout=TIMEOUT_SECONDS,
        # It answers once the last byte is stored.
        read_timeout=5 * TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
    )
    return boto3.client(
        "s3",
        endpoint_url=settings["ENDPOINT"],
        region_name=settings["REGION"],
        aws_access_key_id=_content(settings["ACCESS_KEY_ID_FILE"]),
        aws_secret_access_key=_content(settings["SECRET_ACCESS_KEY_FILE"]),
        verify=settings["CA_FILE"],
        config=once,
    )


def _context(settings: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings["CA_FILE"])
    if "CERT_FILE" in settings:
        context.load_cert_chain(settings["CERT_FILE"], settings["KEY_FILE"])
    return context


def _content(path: str) -> str:
    return Path(path).read_text(encoding="utf-8").strip()


def gateway(host: str, port: int, ca_file: str | None, address: str = "127.0.0.1", **options: Any) -> httpx.Client:
    """A client outside: it calls the gateway by its public name, at the address where this machine reaches it.

    `ca_file`: the root that it trusts, or None to look at no certificate. Relative URLs are below the gateway's own.
    """
    verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=ca_file) if ca_file else False
    transport = _At(address, verify=verify, http2=options.pop("http2", False))
    return httpx.Client(base_url=f"https://{host}:{port}", transport=transport, timeout=TIMEOUT_SECONDS, **options)


class _At(httpx.HTTPTransport):
    """Dials this address whatever the name, which is still the one asked for and verified."""

    def __init__(self, address: str, **options: Any) -> None:
        super().__init__(retries=0, **options)
        self._address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.extensions["sni_hostname"] = request.url.host
        request.url = request.url.copy_with(host=self._address)
        return super().handle_request(request)
