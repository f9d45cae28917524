"""Where the writers' values go: what an app does with each service, and the same done carelessly, for the controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from tests.live import clients

KEY = "acknowledged"
_REPLICATION_MILLISECONDS = 1000


class Writer(Protocol):
    """Made anew in each thread, and again after each failure."""

    def write(self, value: str) -> None:
        """Write one value; returns once it is acknowledged, and raises where it is not."""


class Service(Writer, Protocol):
    """Where the values can also be looked at."""

    def prepare(self) -> None:
        """Make room for values, and forget those of others."""

    def stored(self) -> set[str]:
        """Every value that is there now."""
        ...


class Queue:
    """A list in the Redis `queue`, as BullMQ keeps its jobs."""

    name = "queue"

    def __init__(self, **changed: str | None) -> None:
        self.client = clients.redis_server(self.name, **changed)

    def prepare(self) -> None:
        """An empty list."""
        self.client.delete(KEY)

    def write(self, value: str) -> None:
        """Append; the master acknowledges by itself."""
        self.client.rpush(KEY, value)

    def stored(self) -> set[str]:
        """What the server has."""
        values: Any = self.client.lrange(KEY, 0, -1)
        return set(values)


class ReplicatedQueue(Queue):
    """The same, but a write counts once a replica has it too. Redis documentation, "WAIT"."""

    def write(self, value: str) -> None:
        """Append, and wait for a replica."""
        steps: Any = self.client.pipeline(transaction=False)
        replicas = steps.rpush(KEY, value).execute_command("WAIT", 1, _REPLICATION_MILLISECONDS).execute()[1]
        if not replicas:
            raise ConnectionError("no replica has it")


@dataclass(frozen=True)
class Instance:
    """The list at one instance of the queue, whatever the Sentinels say."""

    name: str

    def __call__(self) -> Queue:
        return Queue(HOST=self.name, SENTINELS=None)


class Cache(Queue):
    """A list in the Redis `cache`, which is kept in memory alone."""

    name = "cache"


class Postgres:
    """Rows in the PostgreSQL `postgres`, each a transaction."""

    commit = "on"

    def __init__(self) -> None:
        self._connection = clients.postgres("postgres")
        self._connection.execute(f"SET synchronous_commit = {self.commit}")

    def prepare(self) -> None:
        """An empty table."""
        self._connection.execute(f"DROP TABLE IF EXISTS {KEY}")
        self._connection.execute(f"CREATE TABLE {KEY} (value text PRIMARY KEY)")

    def write(self, value: str) -> None:
        """Insert and commit."""
        self._connection.execute(f"INSERT INTO {KEY} VALUES (%s)", [value])

    def stored(self) -> set[str]:
        """Every row."""
        return self._all(f"SELECT value FROM {KEY}")

    def _all(self, query: str) -> set[str]:
        return {row[0] for row in self._connection.execute(query)}


class CarelessPostgres(Postgres):
    """Rows acknowledged before they are on disk: what a server that did not wait for its disk would do."""

    commit = "off"


class CarelessPooledPostgres(Postgres):
    """The same through a pooler, which hands out another connection for each transaction."""

    def write(self, value: str) -> None:
        """Insert and commit; statements sent together are one transaction."""
        self._connection.execute(f"SET LOCAL synchronous_commit = off; INSERT INTO {KEY} VALUES ('{value}')")


class DemoStore(Postgres):
    """What the demo app has stored in PostgreSQL for its clients."""

    def stored(self) -> set[str]:
        """Every key."""
        return self._all("SELECT key FROM demo_store")


@dataclass(frozen=True)
class Gateway:
    """The store of the demo app, through the gateway. `port` is the published one."""

    host: str
    port: int
    ca_file: str | None
    address: str = "127.0.0.1"

    def __call__(self) -> Writer:
        return _Store(self)


class _Store:
    def __init__(self, gateway: Gateway) -> None:
        self._client = clients.gateway(gateway.host, gateway.port, gateway.ca_file, gateway.address)

    def write(self, value: str) -> None:
        try:
            self._client.put(f"/store/{value}", content=value).raise_for_status()
        except httpx.HTTPStatusError as error:
            raise ConnectionError(f"status {error.response.status_code}") from None


def prepare(service: Callable[[], Service]) -> None:
    """Make a service ready for values."""
    service().prepare()


def stored(service: Callable[[], Service]) -> set[str]:
    """Every value that a service has now."""
    return service().stored()
