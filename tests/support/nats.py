"""What the tests of NATS share."""

from __future__ import annotations

from typing import Any

from components.core.site import Site
from components.nats import NatsSpec
from components.nats.plan import NatsPlan, plan_nats
from tests.support.site import NAMES, PLACEMENT, contents

ORDERS: dict[str, Any] = {
    "name": "ORDERS",
    "subjects": ["orders.>"],
    "max_bytes": "100Mi",
    "durables": [{"name": "billing", "filter": "orders.*.paid"}],
}
JOBS: dict[str, Any] = {
    "name": "JOBS",
    "subjects": ["jobs.*"],
    "max_bytes": "100Mi",
    "retention": "workqueue",
    "durables": [{"name": "work"}],
}


def spec_of(*streams: dict[str, Any], **fields: Any) -> NatsSpec:
    """A valid spec with these streams, ORDERS where none is given, and some fields changed."""
    base = {"kind": "nats", "owner": "team-data", "storage": "1Gi", "streams": streams or (ORDERS,)}
    return NatsSpec.model_validate({**base, **fields})


def plan_of(spec: NatsSpec, *consumers: str) -> NatsPlan:
    """The plan of service `bus` with these consumers."""
    return plan_nats("bus", spec, Site("test", PLACEMENT, NAMES, {"bus": consumers}))


def files_of(plan: NatsPlan) -> dict[str, str]:
    """Content of each configuration file by its name."""
    return contents(plan.workload)
