"""Who may connect and what each may do: users, their rights, profiles and quotas as ClickHouse reads them. Pure.

ClickHouse documentation, "Users and Roles Settings", "Settings Profiles", "Quotas", "Asynchronous Inserts" and "SSL
X.509 Certificate Authentication".
"""

from collections.abc import Iterator, Sequence
from json import dumps
from typing import Any

from components.clickhouse.secrets import SECRETS, included, password_of
from components.clickhouse.spec import AsyncInsert, ClickhouseSpec, Profile, Quota, User
from components.clickhouse.tables import names_of, quoted, statements
from components.core.types import bytes_of, seconds_of

SCHEMA_USER = "gw_schema"
"""User that makes the tables, from the server's own instance only; the server's certificate is its credential. No
service has this name: theirs have no underscore."""

BACKUP_USER = "gw_backup"
"""User that takes backups: it reads every database, and the certificate of its part is its credential."""

_SCHEMA_PROFILE, _BACKUP_PROFILE = "gw_schema", "gw_backup"
_LOOPBACK = ("127.0.0.1", "::1")


def render_users(spec: ClickhouseSpec, consumers: Sequence[str], host: str, maker: str = "") -> str:
    """The users, as JSON, which is YAML too. Those of its own have no quota, which a person may have set for others.

    `host`: common name of the server's certificate; `maker`: of that of the part that makes backups, if there is one.
    """
    schema: dict[str, Any] = {
        "ssl_certificates": {"common_name": host},
        "networks": {"ip": list(_LOOPBACK)},
        "profile": _SCHEMA_PROFILE,
        "grants": {"query": ["GRANT ALL ON *.*"]},
    }
    backup: dict[str, Any] = {
        "ssl_certificates": {"common_name": maker},
        "profile": _BACKUP_PROFILE,
        "grants": {"query": [f"GRANT SELECT, SHOW ON {quoted(one)}.*" for one in databases(spec, consumers)]},
    }
    content = {
        "include_from": SECRETS,
        "profiles": {
            **{name: _profile(p) for name, p in spec.all_profiles.items()},
            _SCHEMA_PROFILE: _schema_profile(),
            **({_BACKUP_PROFILE: _backup_profile()} if maker else {}),
        },
        "quotas": {name: {"interval": _interval(quota)} for name, quota in spec.all_quotas.items()},
        "users": {
            SCHEMA_USER: schema,
            **({BACKUP_USER: backup} if maker else {}),
            **{consumer: _user(spec, consumer) for consumer in consumers},
        },
    }
    return f"{dumps(content, indent=1)}\n"


def render_schema(spec: ClickhouseSpec, consumers: Sequence[str]) -> str:
    """schema.sql: databases and tables. It can be applied again at any time."""
    made = [f"CREATE DATABASE IF NOT EXISTS {quoted(database)}" for database in databases(spec, consumers)]
    for table in spec.tables:
        made += statements(spec.database(table), table, replicated=spec.replicated)
    return "".join(f"{statement};\n" for statement in made)


def databases(spec: ClickhouseSpec, consumers: Sequence[str]) -> tuple[str, ...]:
    """Databases of the services, and those of the declared tables."""
    return tuple(dict.fromkeys((*consumers, *(spec.database(table) for table in spec.tables))))


def grants(spec: ClickhouseSpec, consumer: str) -> Iterator[str]:
    """Rights of a service: everything in its own database, and what the tables say."""
    yield f"GRANT ALL ON {quoted(consumer)}.*"
    if spec.replicated:
        yield "GRANT CLUSTER ON *.*"
    for table in spec.tables:
        rights = (("SELECT", table.readers), ("INSERT", table.writers))
        given = ", ".join(right for right, who in rights if who is None or consumer in who)
        for name in names_of(table, replicated=spec.replicated) if given else ():
            yield f"GRANT {given} ON {quoted(spec.database(table))}.{quoted(name)}"


def _user(spec: ClickhouseSpec, consumer: str) -> dict[str, Any]:
    user = spec.users.get(consumer, User())
    return {
        "password_sha256_hex": included(password_of(consumer)),
        "profile": user.profile,
        "quota": user.quota,
        "default_database": consumer,
        "grants": {"query": list(grants(spec, consumer))},
    }


def _profile(profile: Profile) -> dict[str, Any]:
    limits = {
        "max_memory_usage": profile.max_memory and bytes_of(profile.max_memory),
        "max_execution_time": profile.max_time and seconds_of(profile.max_time),
        "max_threads": profile.max_threads,
        "max_rows_to_read": profile.max_rows_read,
        "max_result_rows": profile.max_rows_returned,
    }
    return {
        **_async_insert(profile.async_insert),
        # What a distributed table has acknowledged is at its shard.
        "distributed_foreground_insert": 1,
        "enable_http_compression": 1,
        "log_queries": 1,
        # 2 lets the client still choose settings, as its libraries do.
        "readonly": 2 if profile.read_only else 0,
        **{name: limit for name, limit in limits.items() if limit is not None},
    }


def _async_insert(settings: AsyncInsert) -> dict[str, int]:
    return {
        "async_insert": int(settings.enabled),
        "wait_for_async_insert": int(settings.wait),
        "async_insert_max_data_size": bytes_of(settings.flush_at),
        "async_insert_busy_timeout_ms": 1000 * seconds_of(settings.flush_after),
    }


def _schema_profile() -> dict[str, int]:
    """A changed time to live counts from the next merge; otherwise each run would rewrite every part."""
    return {"materialize_ttl_after_modify": 0}


def _backup_profile() -> dict[str, int]:
    """By one thread rows come partition by partition, and so are given back in few parts."""
    return {"readonly": 2, "max_threads": 1, "log_queries": 1}


def _interval(quota: Quota) -> dict[str, int]:
    """0 is no limit."""
    return {
        "duration": seconds_of(quota.per),
        "queries": quota.queries or 0,
        "query_inserts": quota.inserts or 0,
        "errors": quota.errors or 0,
        "read_rows": quota.rows_read or 0,
        "result_rows": quota.rows_returned or 0,
        "execution_time": seconds_of(quota.time) if quota.time else 0,
    }
