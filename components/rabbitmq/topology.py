"""What a RabbitMQ declares, as typed data: exchanges, queues, bindings, and how messages are handled.

Every queue is a quorum queue: the other kinds live on one server alone. Knows no definition file.
"""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from components.core.problems import WrongFields, shown
from components.core.spec import Spec
from components.core.types import DnsLabel, Duration, Storage, matching, seconds_of

_LONGEST_KEY = 255
_LONGEST_TIME = "3650d"
_PRIORITIES = ("max_priority", "priority", "priorities")


def _name(value: str) -> str:
    if value.startswith("amq."):
        raise ValueError("RabbitMQ reserves names that begin with amq.; choose another name")
    return matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", "1 to 100 of A-Z, a-z, 0-9, '_', '.' and '-'")(value)


def _key(value: str) -> str:
    if len(value.encode()) > _LONGEST_KEY:
        raise ValueError(f"at most {_LONGEST_KEY} bytes are allowed")
    return value


def _time(value: str) -> str:
    if seconds_of(value) > seconds_of(_LONGEST_TIME):
        raise ValueError(f"at most {_LONGEST_TIME} is allowed")
    return value


Name = Annotated[str, AfterValidator(_name)]
Key = Annotated[str, AfterValidator(_key)]
Time = Annotated[Duration, AfterValidator(_time)]
VhostName = Annotated[
    str,
    AfterValidator(
        matching(r"/|[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", "/, or 1 to 100 of A-Z, a-z, 0-9, '_', '.' and '-'")
    ),
]
Overflow = Literal["reject-publish", "drop-head"]


class Retry(Spec):
    """When a message that a consumer rejected (nack without requeue) is delivered again, and how often."""

    attempts: int = Field(default=3, ge=2, le=20)
    """Deliveries until a rejected message is a dead letter, the first one included. Default 3."""
    first: Time = "1s"
    """Wait before the second delivery. Default 1s."""
    factor: int = Field(default=2, ge=1, le=10)
    """What each further wait is multiplied by; 1 waits the same each time. Default 2."""
    longest: Time = "1m"
    """Longest wait. Default 1m."""

    @model_validator(mode="after")
    def _first_is_shortest(self) -> "Retry":
        if seconds_of(self.longest) < seconds_of(self.first):
            text = f"{self.longest} given; the first wait is {self.first}; set {self.first} or more"
            raise WrongFields(("longest", text))
        return self

    @property
    def waits(self) -> tuple[int, ...]:
        """Seconds before each delivery but the first."""
        longest, first = seconds_of(self.longest), seconds_of(self.first)
        return tuple(min(longest, first * self.factor**number) for number in range(self.attempts - 1))


class Handling(Spec):
    """How a queue handles messages. All of it can be changed on a queue that holds some."""

    ttl: Time | None = None
    """Time a message may wait until it is a dead letter. Default: for ever."""
    max_length: int | None = Field(default=None, ge=1)
    """Messages that the queue may hold. Default: as many as there is room for."""
    max_size: Storage | None = None
    """Bytes of messages that the queue may hold. Default: as many as there is room for."""
    overflow: Overflow | None = None
    """What a full queue does: reject-publish tells the publisher, drop-head makes the oldest a dead letter. Default
    reject-publish."""
    delivery_limit: int | None = Field(default=None, ge=1, le=1000)
    """Deliveries that may end without a verdict, as when the consumer dies, until it is a dead letter. Default 20."""
    retry: Retry | None = None
    """When rejected messages are delivered again. Default: never, they are dead letters at once."""
    keep_dead: Time | None = None
    """Time that dead letters are kept in the queue `<name>.dead`. Default 30d."""

    @model_validator(mode="before")
    @classmethod
    def _has_priorities(cls, values: object) -> object:
        """A person who knows classic queues asks for priorities; these queues have them without being asked."""
        given = {key: values[key] for key in _PRIORITIES if key in values} if isinstance(values, dict) else {}
        if given:
            why = "a quorum queue has the priorities 0 to 31, 4 where a message names none"
            raise WrongFields(*((key, f"{shown(value)} given; {why}; remove it") for key, value in given.items()))
        return values


class Policy(Handling):
    """Handling for every queue with a fitting name, where the queue's own entry says nothing."""

    queues: str
    """Name of the queues, in which `*` stands for anything. Of several that fit, the first one that says it counts."""


class Exchange(Spec):
    """Where messages are published. Durable."""

    name: Name
    """Its name."""
    type: Literal["topic", "direct", "fanout", "headers"]
    """How it chooses queues: topic by patterns of words, direct by the whole key, headers by headers, fanout all."""
    vhost: VhostName = ""
    """Virtual host it is in. Default: the first."""
    publishers: tuple[DnsLabel, ...] | None = None
    """Services that may publish to it. Default: every one that uses this RabbitMQ."""


class Queue(Handling):
    """Where messages wait for consumers: replicated to every server, durable, with a queue for its dead letters."""

    name: Name
    """Its name. Dead letters are in `<name>.dead`."""
    vhost: VhostName = ""
    """Virtual host it is in. Default: the first."""
    consumers: tuple[DnsLabel, ...] | None = None
    """Services that may consume from it and from its dead letters. Default: every one that uses this RabbitMQ."""

    def handling(self, policies: tuple[Policy, ...]) -> Handling:
        """What holds for it: what it says itself, and else the first policy that says it."""
        layers = [self, *(policy for policy in policies if fnmatchcase(self.name, policy.queues))]
        said = {field: [getattr(layer, field) for layer in layers] for field in Handling.model_fields}
        return Handling(**{field: next((v for v in values if v is not None), None) for field, values in said.items()})


class Binding(Spec):
    """Messages of an exchange that go to a queue."""

    exchange: Name
    """Exchange they are published to."""
    queue: Name
    """Queue they go to."""
    key: Key | None = None
    """Routing key; at a topic exchange `*` stands for one word and `#` for any number of them."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of the messages, at a headers exchange."""
    match: Literal["all", "any"] = "all"
    """Whether all headers must fit or any of them. Default all."""
    vhost: VhostName = ""
    """Virtual host of both. Default: the first."""


class Topology(Spec):
    """Everything that is declared."""

    queues: tuple[Queue, ...]
    """What messages wait in, each with a queue for its dead letters."""
    exchanges: tuple[Exchange, ...]
    """Where messages are published."""
    bindings: tuple[Binding, ...]
    """Which messages of an exchange go to which queue."""
    policies: tuple[Policy, ...] = ()
    """How queues handle messages, for all that have a fitting name. Default none."""
    vhosts: tuple[VhostName, ...] = ("groundwork",)
    """Virtual hosts, each with names of its own. Default one, `groundwork`: without a slash, which addresses would have
    to encode, and not `/`, where whoever names none would be."""

    def place(self, item: Exchange | Queue | Binding) -> str:
        """The virtual host that something is in."""
        return item.vhost or self.vhosts[0]
