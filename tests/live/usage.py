"""What an app does with the services it uses, and what it must not be able to do. Runs in the app's place."""

from __future__ import annotations

import socket
from typing import Any

import psycopg
import redis

from tests.live import clients


def refused(error: type[Exception], function: Any, *args: Any, **kwargs: Any) -> str:
    """What a call is refused with; empty where it is not."""
    try:
        function(*args, **kwargs)
    except error as raised:
        return str(raised)
    return ""


def postgres_round_trip(word: str) -> dict[str, Any]:
    """Write a row and read it in another connection; tell how the first one was made."""
    with clients.postgres("postgres") as first:
        first.execute("CREATE TABLE IF NOT EXISTS used (word text)")
        first.execute("INSERT INTO used VALUES (%s)", [word])
        tls = first.pgconn.ssl_in_use
    with clients.postgres("postgres") as second:
        row = second.execute("SELECT word, current_user FROM used WHERE word = %s", [word]).fetchone()
        second.execute("DROP TABLE used")
    assert row
    return {"read": row[0], "user": row[1], "tls": tls}


def postgres_rows_of_a_tenant(word: str) -> dict[str, int]:
    """How many rows a policy shows: to who names the tenant, to who does so once, and to the next client after that."""
    count = "SELECT count(*) FROM tenants"
    with clients.postgres("postgres") as first, clients.postgres("postgres") as second:
        first.execute("CREATE TABLE tenants (tenant text)")
        first.execute("ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
        first.execute("CREATE POLICY own ON tenants USING (tenant = current_setting('app.tenant', true))")
        with first.transaction():
            first.execute(f"SET LOCAL app.tenant = '{word}'")
            first.execute("INSERT INTO tenants VALUES (%s)", [word])
            named = first.execute(count).fetchone()
        first.execute(f"SET app.tenant = '{word}'")
        found = {"named": named, "other": second.execute(count).fetchone(), "later": first.execute(count).fetchone()}
        first.execute("DROP TABLE tenants")
    return {who: row[0] for who, row in found.items() if row}


def postgres_refusals(lacking: list[str]) -> dict[str, str]:
    """What PostgreSQL says to a client that lacks something, by what it lacks."""
    own = clients.settings_of("postgres")
    wrong: dict[str, dict[str, str | None]] = {
        "password": {"PASSWORD_FILE": own["CA_FILE"]},
        "certificate": {"CERT_FILE": None, "KEY_FILE": None},
        "database": {"DATABASE": "postgres"},
        "user": {"USER": "postgres"},
        "TLS": {"SSLMODE": "disable"},
        "name": {"HOST": socket.gethostbyname(own["HOST"])},
    }
    return {lack: refused(psycopg.Error, clients.postgres, "postgres", **wrong[lack]) for lack in lacking}


def postgres_powers() -> dict[str, str]:
    """What PostgreSQL says to statements that only its operator may give."""
    with clients.postgres("postgres") as connection:
        return {
            statement: refused(psycopg.Error, connection.execute, statement)
            for statement in ("CREATE ROLE other", "SELECT * FROM pg_authid", "COPY (SELECT 1) TO PROGRAM 'true'")
        }


def redis_round_trip(service: str, word: str) -> dict[str, Any]:
    """Write a key and read it by another client."""
    clients.redis_server(service).set(f"used:{word}", word, ex=60)
    reader: Any = clients.redis_server(service)
    return {"read": reader.get(f"used:{word}"), "seconds": reader.ttl(f"used:{word}"), "role": reader.role()[0]}


def redis_put(service: str, word: str) -> None:
    """Hand a job over by a list, as BullMQ does."""
    clients.redis_server(service).lpush(f"jobs:{word}", word)


def redis_take(service: str, word: str) -> str:
    """Take that job. Raises TypeError where there is none."""
    _, job = clients.redis_server(service).brpop([f"jobs:{word}"], timeout=1)  # type: ignore[misc]
    return str(job)


def redis_refusals(service: str) -> dict[str, str]:
    """What a server says to a client that lacks something, and to commands that only its operator may give."""
    own = clients.settings_of(service)
    wrong: dict[str, dict[str, str | None]] = {
        "password": {"PASSWORD_FILE": own["CA_FILE"]},
        "user": {"USERNAME": "default"},
        "certificate": {"CERT_FILE": None, "KEY_FILE": None},
    }
    found = {}
    for lack, changed in wrong.items():
        # Any server will do; the Sentinels would only say that they found none.
        client = clients.redis_server(service, **changed, SENTINELS=None)
        found[lack] = refused(redis.RedisError, client.ping)
    client = clients.redis_server(service)
    for command in ("CONFIG GET *", "ACL LIST", "FLUSHALL", "SHUTDOWN"):
        found[command] = refused(redis.RedisError, client.execute_command, *command.split())
    return found
