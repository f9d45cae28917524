"""What the tests of Redis share."""

from __future__ import annotations

from typing import Any

from components.core.site import Site
from components.redis import RedisSpec
from components.redis.plan import RedisPlan, plan_redis
from tests.support.site import NAMES, PLACEMENT, contents


def spec_of(role: str, **fields: Any) -> RedisSpec:
    """A valid spec for a role with some fields changed."""
    disk = {"storage": "1Gi"} if role in ("queue", "session") else {}
    return RedisSpec.model_validate({"kind": "redis", "owner": "team-data", "role": role, **disk, **fields})


def plan_of(role: str, *consumers: str, **fields: Any) -> RedisPlan:
    """The plan of service `store` with these consumers."""
    return plan_redis("store", spec_of(role, **fields), Site("test", PLACEMENT, NAMES, {"store": consumers}))


def files_of(plan: RedisPlan) -> dict[str, str]:
    """Content of each configuration file by its name."""
    return contents(plan.workload)
