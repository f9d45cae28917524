"""What the tests of RabbitMQ share."""

from __future__ import annotations

from typing import Any

from components.core.site import Site
from components.rabbitmq import RabbitmqSpec
from components.rabbitmq.plan import RabbitmqPlan, plan_rabbitmq
from tests.support.site import NAMES, PLACEMENT, contents

TOPOLOGY: dict[str, Any] = {
    "exchanges": [{"name": "events", "type": "topic"}],
    "queues": [{"name": "mail"}],
    "bindings": [{"exchange": "events", "queue": "mail", "key": "mail.#"}],
}


def fields_of(**fields: Any) -> dict[str, Any]:
    """Everything a person writes, with some fields changed."""
    base = {"kind": "rabbitmq", "owner": "team-data", "storage": "2Gi", "resources": {"memory": "1Gi"}}
    return {**base, **TOPOLOGY, **fields}


def spec_of(**fields: Any) -> RabbitmqSpec:
    """A valid spec with some fields changed."""
    return RabbitmqSpec.model_validate(fields_of(**fields))


def plan_of(*consumers: str, **fields: Any) -> RabbitmqPlan:
    """The plan of service `broker` with these consumers."""
    return plan_rabbitmq("broker", spec_of(**fields), Site("test", PLACEMENT, NAMES, {"broker": consumers}))


def files_of(plan: RabbitmqPlan) -> dict[str, str]:
    """Content of each configuration file by its name."""
    return contents(plan.workload)
