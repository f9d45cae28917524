"""Where the writers' values go: what an app does with each service, and the same done carelessly, for the controls."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import pika
from kafka import TopicPartition
from nats.js.errors import ServiceUnavailableError

from tests.live import clients

KEY = "acknowledged"
_REPLICATION_MILLISECONDS = 1000
_QUIET_SECONDS = 1
"""Time without a message after which there is no more."""


class Writer(Protocol):
    """Made anew in each thread, and again after each failure."""

    def write(self, value: str) -> str | None:
        """Write one value; returns once it is acknowledged, and raises where it is not.

        A reader takes one instead, and returns it.
        """


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

    def __init__(self) -> None:
        self._connection = clients.postgres("postgres")

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


class Events:
    """Messages in a queue of the RabbitMQ `events`."""

    queue = "kept"

    def __init__(self) -> None:
        self._channel = clients.rabbitmq("events")

    def prepare(self) -> None:
        """An empty queue."""
        self._channel.queue_purge(self.queue)

    def write(self, value: str) -> str | None:
        """Publish; the broker confirms once most nodes have it."""
        persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
        self._channel.basic_publish("events", self.queue, value.encode(), persistent, mandatory=True)
        return None

    def stored(self) -> set[str]:
        """Every message that a consumer gets; all of them stay in the queue."""
        values = set()
        for delivery, _, body in self._channel.consume(self.queue, inactivity_timeout=_QUIET_SECONDS):
            if delivery is None:
                break
            values.add(body.decode())
        self._channel.connection.close()
        return values


class Bus:
    """Messages in a stream of the NATS `bus`."""

    def __init__(self) -> None:
        self._server = clients.Nats("bus")

    def prepare(self) -> None:
        """Nothing left to fetch."""
        self.stored()

    def write(self, value: str) -> str | None:
        """Publish; the stream acknowledges once most servers have it."""
        self._server.run(self._server.streams.publish("live.kept", value.encode()))
        return None

    def stored(self) -> set[str]:
        """Every message that nobody has accepted before."""
        found: set[str] = self._server.run(self._fetch_all())
        return found

    async def _fetch_all(self) -> set[str]:
        """What a reader had when it lost its server comes again after the durable's `ack_wait`."""
        durable = await self._server.streams.pull_subscribe_bind("kept", "LIVE")
        values, left = set(), 1
        while left:
            # While nobody leads, a server answers that there is no service.
            with suppress(TimeoutError, ServiceUnavailableError):
                for message in await durable.fetch(1000, timeout=_QUIET_SECONDS):
                    values.add(message.data.decode())
                    await message.ack()
            with suppress(TimeoutError, ServiceUnavailableError):
                info = await durable.consumer_info()
                left = info.num_pending + info.num_ack_pending
        return values


class Log:
    """Records in a topic of the Kafka `log`."""

    topic = "live"
    acks: int | str = "all"

    def __init__(self) -> None:
        self._producer = clients.kafka_producer("log", acks=self.acks)

    def prepare(self) -> None:
        """Nothing: no value is written twice."""

    def write(self, value: str) -> str | None:
        """Append; acknowledged once enough servers have it."""
        try:
            self._producer.send(self.topic, value.encode()).get(clients.TIMEOUT_SECONDS)
        except Exception:
            self._producer.close(timeout=0)
            raise
        return None

    def stored(self) -> set[str]:
        """Every record of the topic."""
        consumer = clients.kafka_consumer("log")
        partitions = [TopicPartition(self.topic, number) for number in consumer.partitions_for_topic(self.topic)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends, values = consumer.end_offsets(partitions), set()
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for records in consumer.poll(timeout_ms=1000).values():
                values |= {record.value.decode() for record in records}
        consumer.close()
        return values


class EventsReader(Events):
    """A consumer of that queue, which takes what others write."""

    def write(self, value: str) -> str:
        """Take a message and accept it."""
        for delivery, _, body in self._channel.consume(self.queue, inactivity_timeout=clients.TIMEOUT_SECONDS):
            if delivery is None:
                raise TimeoutError("no message")
            self._channel.basic_ack(delivery.delivery_tag)
            return str(body.decode())
        raise ConnectionError("the queue is gone")


class BusReader(Bus):
    """A consumer of that stream."""

    def __init__(self) -> None:
        super().__init__()
        self._durable = self._server.run(self._server.streams.pull_subscribe_bind("kept", "LIVE"))

    def write(self, value: str) -> str:
        """Fetch a message and accept it."""
        found: str = self._server.run(self._fetch())
        return found

    async def _fetch(self) -> str:
        [message] = await self._durable.fetch(1, timeout=clients.TIMEOUT_SECONDS)
        await message.ack()
        return str(message.data.decode())


class LogReader(Log):
    """The only member of a group that reads the topic."""

    def __init__(self) -> None:
        self._consumer = clients.kafka_consumer("log", self.topic, group="live")
        self._taken: list[str] = []

    def write(self, value: str) -> str:
        """Take a record; what was taken is committed together."""
        try:
            if not self._taken:
                self._taken = self._poll()
                self._consumer.commit()
        except Exception:
            self._consumer.close()
            raise
        return self._taken.pop()

    def _poll(self) -> list[str]:
        """Some records; to become a member takes seconds."""
        found = self._consumer.poll(timeout_ms=5 * clients.TIMEOUT_SECONDS * 1000)
        taken = [record.value.decode() for records in found.values() for record in records]
        if not taken:
            raise TimeoutError("no record")
        return taken


class CarelessEvents(Events):
    """Messages published without waiting for the broker."""

    def __init__(self) -> None:
        self._channel = clients.rabbitmq("events", confirmed=False)


class CarelessBus(Bus):
    """Messages that no stream acknowledges."""

    def write(self, value: str) -> None:
        """Publish and go on."""
        self._server.run(self._server.connection.publish("live.kept", value.encode()))


class CarelessLog(Log):
    """Records that no server acknowledges."""

    acks = 0


class CarelessPostgres(Postgres):
    """Rows acknowledged before they are on disk: what a server that did not wait for its disk would do."""

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
