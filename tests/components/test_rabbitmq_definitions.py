"""What the server is told to be: routes of messages through retries to rest, rights, and passwords as hashes."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.rabbitmq.definitions import password_hash, render_definitions
from tests.support.rabbitmq import TOPOLOGY, spec_of

Definitions = dict[str, list[dict[str, Any]]]
LONGEST = 20
"""Most deliveries that a person may ask for."""
PASSWORDS = {"api": "first", "worker": "second", "gw_monitor": "third"}
RETRIES = st.builds(
    lambda attempts, first, factor: {"attempts": attempts, "first": f"{first}s", "factor": factor, "longest": "1h"},
    st.integers(2, LONGEST), st.integers(1, 60), st.integers(1, 4),
)  # fmt: skip


def definitions(*consumers: str, **fields: Any) -> Definitions:
    passwords = {user: PASSWORDS[user] for user in ("gw_monitor", *consumers)}
    found: Definitions = json.loads(render_definitions(spec_of(**fields), consumers, passwords))
    return found


class Broker:
    """Routes dead letters as RabbitMQ does; its documentation, "Dead Letter Exchanges" and "Alternate Exchanges"."""

    def __init__(self, declared: Definitions) -> None:
        self.declared = declared
        self.policies = {policy["name"]: policy["definition"] for policy in declared["policies"]}
        for queue in declared["queues"]:
            fitting = [p["name"] for p in declared["policies"] if re.search(p["pattern"], queue["name"])]
            assert fitting == [queue["name"]], "one policy counts, whatever others there are"

    def dies(self, queue: str, came_by: str, reason: str) -> tuple[str, str]:
        """The queue that a dead letter goes to, and the exchange by which it comes there."""
        policy = self.policies[queue]
        exchange = policy["dead-letter-exchange"]
        if not exchange:
            return policy["dead-letter-routing-key"], ""
        headers = {"x-last-death-exchange": came_by, "x-last-death-reason": reason, "x-last-death-queue": queue}
        (found,) = self._routes(exchange, headers)
        return found, exchange

    def _routes(self, exchange: str, headers: dict[str, str]) -> set[str]:
        (kind,) = (e for e in self.declared["exchanges"] if e["name"] == exchange)
        bindings = [binding for binding in self.declared["bindings"] if binding["source"] == exchange]
        if kind["type"] == "headers":
            bindings = [binding for binding in bindings if fits(dict(binding["arguments"]), headers)]
        found = {binding["destination"] for binding in bindings}
        return found or self._routes(kind["arguments"]["alternate-exchange"], headers)

    def waits(self, came_by: str) -> list[int]:
        """Milliseconds that a message in the queue `mail` waits after each rejection, until it rests."""
        found: list[int] = []
        queue = "mail"
        while queue != "mail.dead":
            assert len(found) < LONGEST, "it never rests"
            queue, came_by = self.dies("mail", came_by, "rejected")
            if queue != "mail.dead":
                found.append(self.policies[queue]["message-ttl"])
                back, came_by = self.dies(queue, came_by, "expired")
                assert back == "mail"
        return found


def fits(wanted: dict[str, str], headers: dict[str, str]) -> bool:
    assert wanted.pop("x-match") == "all-with-x"
    return wanted.items() <= headers.items()


@given(retry=RETRIES, came_by=st.sampled_from(["events", "", "other", "mail.again.99"]))
def test_a_rejected_message_waits_as_declared_and_then_rests(retry: dict[str, Any], came_by: str) -> None:
    spec = spec_of(queues=[{"name": "mail", "retry": retry}])
    assert spec.queues[0].retry
    broker = Broker(definitions("api", queues=[{"name": "mail", "retry": retry}]))
    assert broker.waits(came_by) == [seconds * 1000 for seconds in spec.queues[0].retry.waits]


@pytest.mark.parametrize("came_by", ["events", "mail.again.1", "mail.again.2"])
@pytest.mark.parametrize("reason", ["expired", "maxlen", "delivery_limit"])
def test_what_dies_otherwise_rests_at_once(came_by: str, reason: str) -> None:
    broker = Broker(definitions("api", queues=[{"name": "mail", "retry": {}}]))
    assert broker.dies("mail", came_by, reason)[0] == "mail.dead"


def test_without_retries_every_dead_letter_rests_and_nothing_else_is_made() -> None:
    declared = definitions("api")
    assert Broker(declared).dies("mail", "events", "rejected")[0] == "mail.dead"
    assert [exchange["name"] for exchange in declared["exchanges"]] == ["events"]
    assert [queue["name"] for queue in declared["queues"]] == ["mail", "mail.dead"]


def test_dead_letters_leave_no_queue_before_the_next_has_them() -> None:
    declared = definitions("api", queues=[{"name": "mail", "retry": {}}])
    dying = {name: policy for name, policy in Broker(declared).policies.items() if name != "mail.dead"}
    assert {policy["dead-letter-strategy"] for policy in dying.values()} == {"at-least-once"}
    assert {policy["overflow"] for policy in dying.values()} == {"reject-publish"}, "it needs that"


def test_every_queue_is_replicated_and_every_setting_can_be_changed() -> None:
    declared = definitions("api", queues=[{"name": "mail", "retry": {}, "ttl": "1m", "max_length": 5}])
    assert {json.dumps(queue["arguments"]) for queue in declared["queues"]} == {'{"x-queue-type": "quorum"}'}
    assert all(item["durable"] for item in (*declared["queues"], *declared["exchanges"]))


def test_a_policy_says_what_a_person_did() -> None:
    queue = {"name": "mail", "ttl": "90s", "max_length": 5, "max_size": "1Mi", "overflow": "drop-head"}
    policies = Broker(definitions("api", queues=[{**queue, "delivery_limit": 3, "keep_dead": "1h"}])).policies
    assert policies["mail"] == {
        "dead-letter-exchange": "",
        "dead-letter-routing-key": "mail.dead",
        "dead-letter-strategy": "at-most-once",
        "delivery-limit": 3,
        "max-length": 5,
        "max-length-bytes": 2**20,
        "message-ttl": 90_000,
        "overflow": "drop-head",
    }
    assert policies["mail.dead"] == {"delivery-limit": -1, "message-ttl": 3_600_000}


def test_bindings_are_as_declared() -> None:
    fields = {
        "exchanges": [*TOPOLOGY["exchanges"], {"name": "kinds", "type": "headers"}, {"name": "all", "type": "fanout"}],
        "bindings": [
            *TOPOLOGY["bindings"],
            {"exchange": "kinds", "queue": "mail", "headers": {"kind": "mail"}, "match": "any"},
            {"exchange": "all", "queue": "mail"},
        ],
    }
    found = {binding["source"]: binding for binding in definitions("api", **fields)["bindings"]}
    assert found["events"]["routing_key"] == "mail.#"
    assert found["kinds"]["arguments"] == {"x-match": "any", "kind": "mail"}
    assert (found["all"]["routing_key"], found["all"]["arguments"]) == ("", {})


def rights(declared: Definitions, user: str, vhost: str = "groundwork") -> dict[str, str]:
    (found,) = (p for p in declared["permissions"] if (p["user"], p["vhost"]) == (user, vhost))
    return found


def allowed(declared: Definitions, user: str, right: str) -> set[str]:
    every = {item["name"] for field in ("exchanges", "queues") for item in declared[field]} | {"", "amq.default", "new"}
    return {name for name in every if re.search(rights(declared, user)[right], name)}


def test_by_default_who_uses_it_publishes_and_consumes_and_declares_nothing() -> None:
    declared = definitions("api", "worker", queues=[{"name": "mail", "retry": {}}])
    for user in ("api", "worker"):
        assert allowed(declared, user, "write") == {"events"}
        assert allowed(declared, user, "read") == {"mail", "mail.dead"}
        assert allowed(declared, user, "configure") <= {""}


def test_only_those_who_are_named_publish_and_consume() -> None:
    declared = definitions(
        "api",
        "worker",
        exchanges=[{**TOPOLOGY["exchanges"][0], "publishers": ["api"]}],
        queues=[{"name": "mail", "consumers": ["worker"]}],
    )
    assert allowed(declared, "api", "write") == {"events"}
    assert allowed(declared, "api", "read") <= {""}
    assert allowed(declared, "worker", "write") <= {""}
    assert allowed(declared, "worker", "read") == {"mail", "mail.dead"}


def test_a_dot_in_a_name_stands_for_itself() -> None:
    fields = {"queues": [{"name": "a.b"}], "bindings": [{**TOPOLOGY["bindings"][0], "queue": "a.b"}]}
    assert not re.search(rights(definitions("api", **fields), "api")["read"], "axb")


def test_rights_end_at_the_virtual_host() -> None:
    places = {field: [{**TOPOLOGY[field][0], "vhost": "two"}] for field in TOPOLOGY}
    declared = definitions("api", vhosts=["one", "two"], **places)
    assert rights(declared, "api", "one")["read"] == "^$"
    assert rights(declared, "api", "two")["write"] == "^(events)$"
    assert [vhost["name"] for vhost in declared["vhosts"]] == ["one", "two"]


def test_the_file_holds_no_password() -> None:
    text = json.dumps(definitions("api", "worker"))
    assert not [password for password in PASSWORDS.values() if password in text]


def test_a_password_is_kept_as_the_server_keeps_it() -> None:
    """RabbitMQ documentation, "Credentials and Passwords": base64 of a salt of four bytes and SHA-256 of both."""
    kept = base64.b64decode(password_hash("api", "first"))
    assert kept[4:] == hashlib.sha256(kept[:4] + b"first").digest()
    assert password_hash("api", "first") == password_hash("api", "first"), "an unchanged `up` changes nothing"
    assert password_hash("api", "first")[:4] != password_hash("web", "first")[:4]


def test_only_people_see_everything_and_they_may_do_nothing() -> None:
    declared = definitions("api")
    assert {user["name"]: user["tags"] for user in declared["users"]} == {"api": [], "gw_monitor": ["monitoring"]}
    assert {permission["user"] for permission in declared["permissions"]} == {"api"}
