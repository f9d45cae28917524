"""Definitions of a RabbitMQ: users, permissions, exchanges, queues, bindings and policies, as it imports them. Pure.

RabbitMQ documentation, "Definitions Export and Import", "Quorum Queues", "Dead Lettering" and "Access Control".

A rejected message waits in a queue of its own for each rejection and comes back by an exchange of its own. The server
notes the exchange by which a message came (x-last-death-exchange), so that the exchange for dead letters can tell how
often it was rejected, without a consumer's help, and the message keeps its routing key. What died otherwise (too old,
too many, without a verdict too often) rests at once.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from json import dumps
from typing import Any

from components.core.types import bytes_of, seconds_of
from components.rabbitmq import names
from components.rabbitmq.topology import Binding, Handling, Queue, Topology

Items = list[dict[str, Any]]
MONITOR = "gw_monitor"
"""User of people: sees everything in the management interface. No service has this name: theirs have no underscore."""
BACKUP = "gw_backup"
"""User of the part that makes backups. Administrators alone are shown definitions; it has no right in a virtual host.
RabbitMQ documentation, "Management Plugin", "Access and Permissions"."""
_TAGS = {MONITOR: ["monitoring"], BACKUP: ["administrator"]}

_DELIVERY_LIMIT = 20
_NO_LIMIT = -1
_KEEP_DEAD = "30d"
_AT_REST = ("expired", "maxlen", "delivery_limit")
"""Ways to die that no retry follows."""
_PRIORITY = 1
_NOTHING = "^$"


def render_definitions(declared: Topology, consumers: Sequence[str], passwords: Mapping[str, str]) -> str:
    """The whole file. `passwords`: of each consumer, and of the users that are nobody's."""
    content = {
        "users": [_user(name, password) for name, password in passwords.items()],
        "vhosts": [{"name": vhost, "metadata": {"default_queue_type": "quorum"}} for vhost in declared.vhosts],
        "permissions": permissions(declared, consumers),
        **topology(declared),
    }
    return dumps(content, separators=(",", ":"), sort_keys=True)


def topology(declared: Topology) -> dict[str, Items]:
    """Exchanges, queues, bindings and policies, those that are made for queues among them."""
    exchanges = [_exchange(declared.place(e), e.name, e.type) for e in declared.exchanges]
    queues: Items = []
    bindings = [_declared(declared.place(b), b) for b in declared.bindings]
    policies: Items = []
    for queue in declared.queues:
        made = _Made(declared.place(queue), queue, queue.handling(declared.policies))
        exchanges += made.exchanges()
        queues += made.queues()
        bindings += made.bindings()
        policies += made.policies()
    return {"exchanges": exchanges, "queues": queues, "bindings": bindings, "policies": policies}


def permissions(declared: Topology, consumers: Sequence[str]) -> Items:
    """What each consumer may do in each virtual host; nobody may declare or delete anything."""
    return [
        _permission(user, vhost, written(declared, user, vhost), read(declared, user, vhost))
        for user in consumers
        for vhost in declared.vhosts
    ]


def written(declared: Topology, user: str, vhost: str) -> list[str]:
    """Exchanges of a virtual host that a consumer may publish to."""
    here = (exchange for exchange in declared.exchanges if declared.place(exchange) == vhost)
    return [e.name for e in here if e.publishers is None or user in e.publishers]


def read(declared: Topology, user: str, vhost: str) -> list[str]:
    """Queues of a virtual host that a consumer may consume from."""
    here = (queue for queue in declared.queues if declared.place(queue) == vhost)
    mine = (queue.name for queue in here if queue.consumers is None or user in queue.consumers)
    return [name for queue in mine for name in (queue, names.dead(queue))]


def password_hash(user: str, password: str) -> str:
    """What RabbitMQ keeps of a password: a salt and SHA-256 of both ("Credentials and Passwords").

    The salt is derived from the password, which is random and used once, so that an unchanged `up` changes nothing.
    """
    salt = hmac.digest(password.encode(), f"salt of {user}".encode(), "sha256")[:4]
    return b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class _Made:
    """A queue and everything made for it."""

    def __init__(self, vhost: str, queue: Queue, handling: Handling) -> None:
        self._vhost = vhost
        self._name = queue.name
        self._handling = handling
        self._waits = handling.retry.waits if handling.retry else ()
        self._numbers = range(1, len(self._waits) + 1)

    def exchanges(self) -> Items:
        if not self._waits:
            return []
        otherwise = {"alternate-exchange": names.first(self._name)}
        fanouts = [names.first(self._name), *(names.again(self._name, n) for n in self._numbers)]
        return [
            _exchange(self._vhost, names.failed(self._name), "headers", otherwise),
            *(_exchange(self._vhost, name, "fanout") for name in fanouts),
        ]

    def queues(self) -> Items:
        every = (self._name, *names.made_queues(self._name, len(self._waits)))
        return [
            {"vhost": self._vhost, "name": name, "durable": True, "arguments": {"x-queue-type": "quorum"}}
            for name in every
        ]  # fmt: skip

    def bindings(self) -> Items:
        if not self._waits:
            return []
        failed, queues = names.failed(self._name), [names.wait(self._name, n) for n in self._numbers]
        onward = zip(self._numbers, [*queues[1:], names.dead(self._name)], strict=True)
        returned = [
            ({"x-last-death-exchange": names.again(self._name, n), "x-last-death-reason": "rejected"}, queue)
            for n, queue in onward
        ]
        at_rest = [({"x-last-death-reason": reason}, names.dead(self._name)) for reason in _AT_REST]
        return [
            _binding(self._vhost, names.first(self._name), queues[0]),
            *(_binding(self._vhost, failed, to, "", _headers("all-with-x", h)) for h, to in [*returned, *at_rest]),
            *(_binding(self._vhost, names.again(self._name, n), self._name) for n in self._numbers),
        ]

    def policies(self) -> Items:
        """Settings by policy rather than by argument, since an argument of a queue can't be changed."""
        handling = self._handling
        rest = {"dead-letter-exchange": "", "dead-letter-routing-key": names.dead(self._name)}
        definitions: dict[str, dict[str, Any]] = {
            self._name: {
                **({"dead-letter-exchange": names.failed(self._name)} if self._waits else rest),
                **_full(handling.overflow or "reject-publish"),
                **_bounds(handling),
                "delivery-limit": handling.delivery_limit or _DELIVERY_LIMIT,
            },
            names.dead(self._name): {
                "message-ttl": _milliseconds(handling.keep_dead or _KEEP_DEAD),
                # Whoever only looks gives them back.
                "delivery-limit": _NO_LIMIT,
            },
        }
        for number, seconds in zip(self._numbers, self._waits, strict=True):
            onward = {"dead-letter-exchange": names.again(self._name, number), "message-ttl": seconds * 1000}
            definitions[names.wait(self._name, number)] = {**onward, **_full("reject-publish")}
        return [_policy(self._vhost, name, definition) for name, definition in definitions.items()]


def _full(overflow: str) -> dict[str, str]:
    """What a full queue does. Only where it drops nothing can dead letters stay until the next queue has them."""
    strategy = "at-least-once" if overflow == "reject-publish" else "at-most-once"
    return {"overflow": overflow, "dead-letter-strategy": strategy}


def _bounds(handling: Handling) -> dict[str, int]:
    bounds = {
        "message-ttl": _milliseconds(handling.ttl) if handling.ttl else None,
        "max-length": handling.max_length,
        "max-length-bytes": bytes_of(handling.max_size) if handling.max_size else None,
    }
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _declared(vhost: str, binding: Binding) -> dict[str, Any]:
    arguments = _headers(binding.match, binding.headers) if binding.headers else {}
    return _binding(vhost, binding.exchange, binding.queue, binding.key or "", arguments)


def _headers(match: str, headers: Mapping[str, str]) -> dict[str, str]:
    return {"x-match": match, **headers}


def _exchange(vhost: str, name: str, kind: str, arguments: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"vhost": vhost, "name": name, "type": kind, "durable": True, "arguments": dict(arguments or {})}


def _binding(
    vhost: str, source: str, queue: str, key: str = "", arguments: Mapping[str, str] | None = None
) -> dict[str, Any]:
    to = {"destination": queue, "destination_type": "queue"}
    return {"vhost": vhost, "source": source, **to, "routing_key": key, "arguments": dict(arguments or {})}


def _policy(vhost: str, queue: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    to = {"pattern": f"^{re.escape(queue)}$", "apply-to": "quorum_queues", "priority": _PRIORITY}
    return {"vhost": vhost, "name": queue, **to, "definition": dict(definition)}


def _permission(user: str, vhost: str, writes: Iterable[str], reads: Iterable[str]) -> dict[str, str]:
    rights = {"configure": _NOTHING, "write": _one_of(writes), "read": _one_of(reads)}
    return {"user": user, "vhost": vhost, **rights}


def _one_of(allowed: Iterable[str]) -> str:
    found = "|".join(re.escape(name) for name in allowed)
    return f"^({found})$" if found else _NOTHING


def _user(name: str, password: str) -> dict[str, Any]:
    hashed = {"password_hash": password_hash(name, password), "hashing_algorithm": "rabbit_password_hashing_sha256"}
    return {"name": name, **hashed, "tags": _TAGS.get(name, [])}


def _milliseconds(duration: str) -> int:
    return seconds_of(duration) * 1000
