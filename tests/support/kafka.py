"""What the tests of Kafka share."""

from __future__ import annotations

from typing import Any

from components.core.site import Site
from components.kafka import KafkaSpec
from components.kafka.plan import KafkaPlan, plan_kafka
from tests.support.site import NAMES, PLACEMENT, contents

ORDERS: dict[str, Any] = {"name": "orders.created", "partitions": 6, "retention": "30d"}
PRICES: dict[str, Any] = {"name": "prices", "cleanup": "compact", "producers": ["api"], "consumers": ["worker"]}


def spec_of(*topics: dict[str, Any], **fields: Any) -> KafkaSpec:
    """A valid spec with these topics, orders.created where none is given, and some fields changed."""
    base = {"kind": "kafka", "owner": "team-data", "storage": "10Gi", "resources": {"memory": "1Gi"}}
    return KafkaSpec.model_validate({**base, "topics": topics or (ORDERS,), **fields})


def plan_of(spec: KafkaSpec, *consumers: str) -> KafkaPlan:
    """The plan of service `log` with these consumers."""
    return plan_kafka("log", spec, Site("test", PLACEMENT, NAMES, {"log": consumers}))


def files_of(plan: KafkaPlan) -> dict[str, str]:
    """Content of each configuration file by its name."""
    return contents(plan.workload)


def settings(text: str) -> dict[str, str]:
    """Settings of a properties file; a name that occurs twice is an error."""
    pairs = [line.split("=", 1) for line in text.splitlines()]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)
