"""What a person may write about RabbitMQ, and the answer to each mistake."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.core.problems import ConfigError, problems_of
from components.rabbitmq import RabbitmqSpec
from components.rabbitmq.topology import Policy, Queue, Retry
from tests.support.rabbitmq import TOPOLOGY, fields_of, plan_of, spec_of

EXCHANGES, QUEUES, BINDINGS = TOPOLOGY["exchanges"], TOPOLOGY["queues"], TOPOLOGY["bindings"]
EVENTS, MAIL = EXCHANGES[0], QUEUES[0]


def answers(**fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        RabbitmqSpec.model_validate(fields_of(**fields))
    prefix = "services.broker."
    return [str(problem).removeprefix(prefix) for problem in problems_of(caught.value, RabbitmqSpec, prefix[:-1])]


def queue(**fields: Any) -> dict[str, Any]:
    return {"queues": [{**MAIL, **fields}]}


def bound(**fields: Any) -> dict[str, Any]:
    return {"bindings": [{**BINDINGS[0], **fields}]}


def also(name: str) -> dict[str, Any]:
    return {"exchanges": [EVENTS, {"name": name, "type": "fanout"}]}


def exchange(kind: str) -> list[dict[str, Any]]:
    return [{**EVENTS, "type": kind}]


MISTAKES: list[tuple[dict[str, Any], str]] = [
    (
        bound(queue="mial"),
        ("bindings.0.queue: mial given; no queue of the virtual host groundwork; allowed: mail; did you mean mail?"),
    ),
    (
        bound(exchange="other"),
        (
            "bindings.0.exchange: other given; no exchange of the virtual host groundwork; allowed: events; set "
            "one of them or declare the exchange"
        ),
    ),
    (
        {"bindings": BINDINGS * 2},
        "bindings.1: events to mail given; bindings.0 is the same; remove one",
    ),
    (
        {"queues": QUEUES * 2},
        "queues.1.name: mail given; queues.0 has this name already; remove one of the two",
    ),
    (
        {"exchanges": EXCHANGES * 2},
        "exchanges.1.name: events given; exchanges.0 has this name already; remove one of the two",
    ),
    (
        {"vhosts": ["a", "a"]},
        "vhosts.1: a given; vhosts.0 has this name already; remove one of the two",
    ),
    (
        {"vhosts": ["a b"]},
        "vhosts.0: a b given; allowed: /, or 1 to 100 of A-Z, a-z, 0-9, '_', '.' and '-'",
    ),
    (
        queue(name="amq.mail"),
        "queues.0.name: amq.mail given; RabbitMQ reserves names that begin with amq.; choose another name",
    ),
    (
        queue(name="a mail"),
        "queues.0.name: a mail given; allowed: 1 to 100 of A-Z, a-z, 0-9, '_', '.' and '-'",
    ),
    (
        queue(max_priority=10),
        (
            "queues.0.max_priority: 10 given; a quorum queue has the priorities 0 to 31, 4 where a message names "
            "none; remove it"
        ),
    ),
    (
        queue(ttl="0s"),
        "queues.0.ttl: 0s given; allowed: a time such as 30s, 15m, 12h or 90d",
    ),
    (
        queue(ttl="99999d"),
        "queues.0.ttl: 99999d given; at most 3650d is allowed",
    ),
    (
        queue(max_length=0),
        "queues.0.max_length: 0 given; at least 1 is needed (Messages that the queue may hold)",
    ),
    (
        queue(overflow="drop"),
        "queues.0.overflow: drop given; allowed: reject-publish, drop-head; did you mean drop-head?",
    ),
    (
        queue(retry={"attempts": 1}),
        (
            "queues.0.retry.attempts: 1 given; at least 2 is needed (Deliveries until a rejected message is a "
            "dead letter, the first one included)"
        ),
    ),
    (
        queue(retry={"first": "2m"}),
        "queues.0.retry.longest: 1m given; the first wait is 2m; set 2m or more",
    ),
    (
        queue(vhost="other"),
        "queues.0.vhost: other given; allowed: groundwork; set one of them or add other to vhosts",
    ),
    (
        bound(key=None),
        ("bindings.0.key: missing; a topic exchange chooses by it; add `key:`, such as #, which takes everything"),
    ),
    (
        bound(key="mail.a#"),
        (
            "bindings.0.key: mail.a# given; * and # stand for whole words between dots and mean themselves "
            "elsewhere; write words and * or # apart, as in mail.#"
        ),
    ),
    (
        bound(key="k" * 256),
        f"bindings.0.key: {'k' * 57}... given; at most 255 bytes are allowed",
    ),
    (
        bound(headers={"a": "b"}),
        "bindings.0.headers: a mapping given; a topic exchange does not look at headers; remove it",
    ),
    (
        {"exchanges": exchange("direct"), **bound(key=None)},
        "bindings.0.key: missing; a direct exchange chooses by it; add `key:`, such as the messages' own",
    ),
    (
        {"exchanges": exchange("fanout")},
        "bindings.0.key: mail.# given; a fanout exchange does not look at it; remove it",
    ),
    (
        {"exchanges": exchange("headers"), **bound(key=None)},
        ("bindings.0.headers: missing; a headers exchange chooses by them; add `headers:`, such as {kind: mail}"),
    ),
    (
        {"exchanges": exchange("stream")},
        "exchanges.0.type: stream given; allowed: topic, direct, fanout, headers",
    ),
    (
        {"policies": [{"queues": "post*", "ttl": "1h"}]},
        "policies.0.queues: post* given; no queue has such a name; allowed: a pattern for mail; correct it",
    ),
    (
        {"queues": [MAIL, {"name": "post"}]},
        "queues.1.name: post given; no binding leads to it, so that nothing arrives; add one under bindings",
    ),
    (
        {"exchanges": [EVENTS, {"name": "more", "type": "fanout"}]},
        ("exchanges.1.name: more given; no binding leads on, so that messages would be lost; add one under bindings"),
    ),
    (
        {"queues": []},
        "queues: an empty list given; without one nothing can be sent; add one",
    ),
    (
        {"replicas": 2},
        "replicas: 2 given; a quorum needs an odd number, set 3",
    ),
    (
        {"resources": {"memory": "256Mi"}},
        "resources.memory: 256Mi given; a RabbitMQ needs at least 512Mi; set 512Mi",
    ),
    (
        {"storage": "1Gi"},
        (
            "storage: 1Gi given; publishers are stopped where less than the memory (1Gi) is free on the disk; "
            "set 2048Mi or more"
        ),
    ),
]


@pytest.mark.parametrize(("fields", "expected"), MISTAKES, ids=[answer.partition(":")[0] for _, answer in MISTAKES])
def test_a_mistake_is_answered_with_path_value_and_fix(fields: dict[str, Any], expected: str) -> None:
    assert answers(**fields) == [expected]


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        ({"queues": [MAIL, {"name": "mail.dead"}]}, "queues.1.name: mail.dead"),
        ({"queues": [{**MAIL, "retry": {}}, {"name": "mail.wait.2"}]}, "queues.1.name: mail.wait.2"),
        ({**queue(retry={}), **also("mail.again.1")}, "exchanges.1.name: mail.again.1"),
        ({**queue(retry={}), **also("mail.failed")}, "exchanges.1.name: mail.failed"),
    ],
)
def test_names_that_are_made_for_a_queue_are_taken(declared: dict[str, Any], name: str) -> None:
    assert f"{name} given; it is made for the queue mail; choose another name" in answers(**declared)


def test_all_mistakes_are_answered_at_once() -> None:
    assert len(answers(**bound(queue="x", exchange="y"), storage="1Gi", replicas=3)) == 3


def test_names_belong_to_a_virtual_host() -> None:
    both: dict[str, Any] = {
        field: [{**TOPOLOGY[field][0], "vhost": vhost} for vhost in ("one", "two")] for field in TOPOLOGY
    }
    assert spec_of(**both, vhosts=["one", "two"])
    crossing = {**both, "bindings": [both["bindings"][0], {**both["bindings"][0], "vhost": "two", "queue": "gone"}]}
    assert answers(**crossing, vhosts=["one", "two"])[0].startswith(
        "bindings.1.queue: gone given; no queue of the virtual host two"
    )


def test_the_virtual_host_has_a_name_that_fits_into_an_address() -> None:
    assert spec_of().vhosts == ("groundwork",)


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        ({}, (1, 2)),
        ({"attempts": 2}, (1,)),
        ({"attempts": 3, "first": "5s", "factor": 1}, (5, 5)),
        ({"attempts": 9, "first": "1s", "factor": 2, "longest": "1m"}, (1, 2, 4, 8, 16, 32, 60, 60)),
    ],
)
def test_waits_grow_until_the_longest(retry: dict[str, Any], waits: tuple[int, ...]) -> None:
    assert Retry.model_validate(retry).waits == waits


@given(attempts=st.integers(2, 20), first=st.integers(1, 600), factor=st.integers(1, 10), more=st.integers(0, 10**6))
def test_any_waits_are_ordered_and_bounded(attempts: int, first: int, factor: int, more: int) -> None:
    longest = first + more
    waits = Retry(attempts=attempts, first=f"{first}s", factor=factor, longest=f"{longest}s").waits
    assert len(waits) == attempts - 1
    assert waits[0] == first
    assert list(waits) == sorted(waits)
    assert all(later in (earlier * factor, longest) for earlier, later in pairwise(waits))


def test_a_queue_says_more_than_a_policy_and_the_first_policy_more_than_the_next() -> None:
    policies = tuple(
        Policy.model_validate(policy)
        for policy in (
            {"queues": "other", "ttl": "9m"},
            {"queues": "ma*", "ttl": "2m"},
            {"queues": "*", "max_length": 7},
        )
    )
    handling = Queue.model_validate({"name": "mail", "retry": {}}).handling(policies)
    assert (handling.ttl, handling.max_length, handling.retry) == ("2m", 7, Retry())
    assert Queue(name="mail", ttl="1m").handling(policies).ttl == "1m"
    assert Queue(name="post").handling(policies).ttl is None


def refusal(*consumers: str, **fields: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan_of(*consumers, **fields)
    return [str(problem) for problem in caught.value.problems]


def test_who_is_named_must_use_it() -> None:
    named = {"exchanges": [{**EVENTS, "publishers": ["api", "web"]}], **queue(consumers=["worker"])}
    wrong = (("exchanges.0.publishers", "web"), ("queues.0.consumers", "worker"))
    assert refusal("api", **named) == [
        f"groundwork:services.broker.{field}: {name} given; it does not use broker; allowed: api; "
        f"add broker to the uses of {name}, or remove it here"
        for field, name in wrong
    ]


def test_who_uses_it_must_have_something_to_do() -> None:
    rights = {"exchanges": [{**EVENTS, "publishers": ["api"]}], **queue(consumers=["api"])}
    assert refusal("api", "web", **rights) == [
        "groundwork:services.web.uses: broker given; web may neither publish nor consume there; name it under "
        "publishers or consumers of broker, or remove broker from uses"
    ]


def test_a_service_can_not_have_the_name_of_the_user_that_is_let_in_locally() -> None:
    assert refusal("guest") == [
        "groundwork:services.guest: RabbitMQ lets the user guest in from its own host only; give the service another "
        "name"
    ]
