"""What a person may write about Kafka, and the answer to each mistake."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from components.core.problems import ConfigError, problems_of
from components.kafka import KafkaSpec
from tests.support.kafka import ORDERS, plan_of, spec_of


def answers(*topics: dict[str, Any], **fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        spec_of(*topics, **fields)
    return [str(problem) for problem in problems_of(caught.value, KafkaSpec, "services.log")]


def topic(**fields: Any) -> dict[str, Any]:
    return {"name": "orders", **fields}


MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (
        topic(name="__transaction_state"),
        [
            "services.log.topics.0.name: __transaction_state given; the server's own topics begin with two "
            "underscores; choose a name without them"
        ],
    ),
    (
        topic(name="a b"),
        [
            "services.log.topics.0.name: a b given; allowed: 1 to 200 letters, digits, '.', '_' and '-', such as "
            "orders.created"
        ],
    ),
    (
        topic(partitions=0),
        [
            "services.log.topics.0.partitions: 0 given; at least 1 is needed (Parts that are read side by side; as "
            "many consumers of a group can share the work)"
        ],
    ),
    (
        topic(cleanup="compact", retention_bytes="2Gi"),
        [
            "services.log.topics.0.retention_bytes: 2Gi given; cleanup: compact keeps the newest record of each key, "
            "however old; remove it, or set cleanup: delete"
        ],
    ),
    (
        topic(retention_bytes="100Mi"),
        [
            "services.log.topics.0.retention_bytes: 100Mi given; records go by whole segments, of 1Gi; "
            "set 1Gi or more, or a smaller segment"
        ],
    ),
    (
        topic(segment="2Gi"),
        ["services.log.topics.0.segment: 2Gi given; at most 1Gi is allowed; set 1Gi"],
    ),
    (
        topic(max_message="32Mi"),
        [
            "services.log.topics.0.max_message: 32Mi given; servers hold whole batches in memory; set 16Mi or less",
        ],
    ),
    (
        topic(max_message="2Mi", segment="1Mi"),
        ["services.log.topics.0.max_message: 2Mi given; it has to fit into a segment; set 1Mi or less"],
    ),
]


@pytest.mark.parametrize(("fields", "expected"), MISTAKES, ids=lambda value: str(value)[:40])
def test_a_wrong_topic_is_answered(fields: dict[str, Any], expected: list[str]) -> None:
    assert answers(fields) == expected


def test_names_that_the_server_takes_for_one_are_refused() -> None:
    assert answers(topic(name="a.b"), topic(name="a_b"), topic(name="a.b"), topic(name="a-b")) == [
        "services.log.topics.1.name: a_b given; it counts as the same name as a.b; choose another",
        "services.log.topics.2.name: a.b given; topics.0 has that name; choose another",
    ]


def test_a_kafka_has_a_topic() -> None:
    with pytest.raises(ValidationError) as caught:
        KafkaSpec.model_validate({"kind": "kafka", "storage": "1Gi", "topics": [], "resources": {"memory": "1Gi"}})
    assert [str(problem) for problem in problems_of(caught.value, KafkaSpec, "services.log")] == [
        "services.log.topics: an empty list given; nobody but this list makes topics; add one with name and partitions"
    ]


@pytest.mark.parametrize(("replicas", "copies"), [(1, 1), (3, 3), (4, 3), (9, 3)])
def test_there_is_one_copy_or_three(replicas: int, copies: int) -> None:
    spec = spec_of(replicas=replicas)
    assert (spec.copies, spec.replicated) == (copies, copies > 1)


def test_two_servers_are_refused() -> None:
    assert answers(replicas=2) == ["services.log.replicas: 2 given; two can't lose one and go on; set 1, or 3 or more"]


def test_too_little_memory_is_refused() -> None:
    assert answers(resources={"memory": "256Mi"}) == [
        "services.log.resources.memory: 256Mi given; a Kafka needs at least 512Mi; set 512Mi"
    ]


BOUNDED = topic(partitions=4, retention_bytes="1Gi")


def test_topics_that_may_hold_more_than_the_disk_are_refused() -> None:
    wrong = (
        "services.log.storage: {} given; by their retention_bytes its topics may hold {}Mi, and a fifth of the disk is "
        "for more; set {}Mi or more, or lower a retention_bytes"
    )
    assert answers(BOUNDED, storage="5119Mi") == [wrong.format("5119Mi", 4096, 5120)]
    assert spec_of(BOUNDED, storage="5Gi")
    assert answers(BOUNDED, storage="3Gi", replicas=4) == [wrong.format("3Gi", 3072, 3840)]
    assert spec_of(BOUNDED, storage="3840Mi", replicas=4), "each server holds three quarters of the partitions"


@pytest.mark.parametrize(
    ("fields", "kept"), [({}, "7d"), ({"retention": "1h"}, "1h"), ({"cleanup": "compact"}, None)], ids=str
)
def test_records_go_after_a_week_or_never(fields: dict[str, Any], kept: str | None) -> None:
    assert spec_of(topic(**fields)).topics[0].kept == kept


def test_a_topic_for_a_service_that_is_no_consumer_is_refused() -> None:
    spec = spec_of(ORDERS, topic(producers=["apy"], consumers=["billing", "api"]))
    with pytest.raises(ConfigError) as caught:
        plan_of(spec, "api", "worker")
    assert [str(problem) for problem in caught.value.problems] == [
        "groundwork:services.log.topics.1.consumers: billing given; no such service uses log; "
        "add log to its uses or remove it here. Allowed: api, worker",
        "groundwork:services.log.topics.1.producers: apy given; no such service uses log; "
        "did you mean api? Allowed: api, worker",
    ]
