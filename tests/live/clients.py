"""Clients as an app makes them: every setting from its variables and the files they name. Run in a consumer's place.

A test changes single settings to see them refused: `postgres("postgres", PASSWORD_FILE="/tmp/other")`.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any

import httpx
import psycopg
import redis
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
