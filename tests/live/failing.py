"""What tests of failures share: how long a service may be away, where writers stand, and who serves now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from tests.live import clients
from tests.live.environment import Live
from tests.live.writers import Place
from tests.live.written import Instance
from toolchain.waiting import wait_until

APP = ("api-0", "app")
"""Instance and container of the app in whose place writers and questions stand."""
REDIS_SECONDS = 15
POSTGRES_SECONDS = 30
"""About twice what it takes on two cores that have everything else to do too; the table says what it took."""
PATIENCE_SECONDS = 60
MANY = 1000
"""Writes before and after a kill, so that it falls among many."""


def place(live: Live) -> Place:
    """The place of the app, for writers."""

    def find() -> int | None:
        try:
            return live.process(*APP).pid
        except StopIteration:  # it is being replaced
            return None

    return find


def await_(what: str, holds: Callable[[], bool]) -> None:
    wait_until(what, PATIENCE_SECONDS, holds, lambda: "see the logs of its containers")


def leader(sentinels: list[str] | None = None) -> str:
    """Who is the master, as the first of these Sentinels (default: all) that answers sees it; empty if none knows."""
    asked = {"SENTINELS": ",".join(f"{host}:26379" for host in sentinels)} if sentinels else {}
    pool: Any = clients.redis_server("queue", **asked).connection_pool
    try:
        return str(pool.get_master_address()[0])
    except redis.ConnectionError:
        return ""


def leader_of(name: str) -> str:
    """Whom this server copies; empty while it is no replica in step."""
    try:
        role: Any = Instance(name)().client.role()
    except redis.ConnectionError:
        return ""
    return str(role[1]) if role[0] == "slave" and role[3] == "connected" else ""


def copies(name: str) -> set[str]:
    """The values that one server has."""
    return Instance(name)().stored()
