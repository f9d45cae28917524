"""What the tests of ClickHouse share."""

from __future__ import annotations

from typing import Any

from components.clickhouse import ClickhouseSpec
from components.clickhouse.plan import ClickhousePlan, plan_clickhouse
from components.core.site import Site
from tests.support.site import NAMES, PLACEMENT

METRICS: dict[str, Any] = {
    "name": "metrics",
    "columns": {
        "workspace_id": "LowCardinality(String)",
        "tenant_id": "UInt32",
        "metric_name": "LowCardinality(String)",
        "timestamp": "DateTime64(3)",
        "value": "Float64 CODEC(Gorilla, ZSTD)",
        "labels": "Map(LowCardinality(String), String)",
    },
    "partition_by": ["tenant_id", "toYYYYMM(timestamp)"],
    "order_by": ["workspace_id", "tenant_id", "metric_name", "timestamp"],
    "ttl": {"column": "timestamp", "after": "90d"},
}
"""The telemetry that every environment keeps."""


def fields_of(**fields: Any) -> dict[str, Any]:
    """Everything a person writes, with some fields changed."""
    base = {"kind": "clickhouse", "owner": "team-data", "storage": "10Gi", "resources": {"memory": "2Gi"}}
    return {**base, "tables": [METRICS], **fields}


def spec_of(**fields: Any) -> ClickhouseSpec:
    """A valid spec with some fields changed."""
    return ClickhouseSpec.model_validate(fields_of(**fields))


def plan_of(*consumers: str, **fields: Any) -> ClickhousePlan:
    """The plan of service `store` with these consumers."""
    return plan_clickhouse("store", spec_of(**fields), Site("test", PLACEMENT, NAMES, {"store": consumers}))
