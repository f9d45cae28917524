"""What a person may write about Redis, and the answer to each mistake."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from components.core.problems import ConfigError, problems_of
from components.redis import RedisSpec
from tests.support.redis import plan_of, spec_of


def answers(**fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        RedisSpec.model_validate({"kind": "redis", "owner": "team-data", **fields})
    return [str(problem) for problem in problems_of(caught.value, RedisSpec, "services.store")]


EVICTING = "allkeys-lru, allkeys-lfu, volatile-lru, volatile-lfu, volatile-ttl"
MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"role": "queue", "storage": "1Gi", "eviction": "allkeys-lru"},
        [
            "services.store.eviction: allkeys-lru given; a queue must not evict (BullMQ would lose jobs); "
            "allowed: noeviction; set eviction: noeviction or role: cache"
        ],
    ),
    (
        {"role": "session", "storage": "1Gi", "eviction": "volatile-ttl"},
        [
            "services.store.eviction: volatile-ttl given; sessions must not be evicted (users would be signed out); "
            "allowed: noeviction; set eviction: noeviction or role: cache"
        ],
    ),
    (
        {"role": "pubsub", "eviction": "allkeys-lfu"},
        [
            "services.store.eviction: allkeys-lfu given; pub/sub keeps no keys to evict; allowed: noeviction; "
            "set eviction: noeviction or role: cache"
        ],
    ),
    (
        {"role": "cache", "eviction": "noeviction"},
        [
            "services.store.eviction: noeviction given; a full cache must evict (writes would fail); "
            f"allowed: {EVICTING}; set eviction: allkeys-lru or role: queue"
        ],
    ),
    (
        {"role": "queue", "persistence": "none"},
        [
            "services.store.persistence: none given; a queue must keep its jobs over a restart; allowed: aof; "
            "set persistence: aof or role: cache"
        ],
    ),
    (
        {"role": "session", "persistence": "rdb", "storage": "1Gi"},
        [
            "services.store.persistence: rdb given; sessions must survive a restart; allowed: aof; "
            "set persistence: aof or role: cache"
        ],
    ),
    (
        {"role": "pubsub", "persistence": "aof", "storage": "1Gi"},
        [
            "services.store.persistence: aof given; pub/sub keeps no keys to write to disk; allowed: none; "
            "set persistence: none or role: queue"
        ],
    ),
    (
        {"role": "cache", "persistence": "aof", "storage": "1Gi"},
        [
            "services.store.persistence: aof given; a cache can be filled again, a snapshot at most keeps it warm; "
            "allowed: none, rdb; set persistence: none or role: session"
        ],
    ),
    (
        {"role": "queue", "ttl": "30m"},
        [
            "services.store.storage: missing; persistence: aof needs a disk; add storage: 256Mi or more",
            "services.store.ttl: 30m given; jobs must not expire; remove ttl or set role: cache",
        ],
    ),
    (
        {"role": "pubsub", "ttl": "30m"},
        ["services.store.ttl: 30m given; messages are not kept; remove ttl or set role: cache"],
    ),
    (
        {"role": "cache", "storage": "1Gi"},
        ["services.store.storage: 1Gi given; nothing is written to disk with persistence: none; remove storage"],
    ),
    (
        {"role": "session", "storage": "100Mi"},
        [
            "services.store.storage: 100Mi given; rewriting the file on disk needs room for twice the memory (128Mi); "
            "set 256Mi or more"
        ],
    ),
    (
        {"role": "cache", "resources": {"memory": "32Mi"}},
        ["services.store.resources.memory: 32Mi given; a Redis needs at least 64Mi; set 64Mi"],
    ),
    (
        {"role": "cache", "replicas": 2},
        ["services.store.replicas: 2 given; a Sentinel quorum needs an odd number, set 3"],
    ),
    (
        {"role": "cahce"},
        ["services.store.role: cahce given; allowed: cache, queue, session, pubsub; did you mean cache?"],
    ),
    (
        {},
        [
            "services.store.role: missing; add `role:` "
            "(What it is used for: cache, queue (back end of BullMQ), session or pubsub)"
        ],
    ),
]


@pytest.mark.parametrize(("fields", "expected"), MISTAKES, ids=lambda value: str(value)[:60])
def test_each_mistake_names_value_reason_and_fix(fields: dict[str, Any], expected: list[str]) -> None:
    assert sorted(answers(**fields)) == expected


@pytest.mark.parametrize(
    ("role", "policy", "written", "durable", "ttl"),
    [
        ("cache", "allkeys-lru", "none", False, 1800),
        ("queue", "noeviction", "aof", True, None),
        ("session", "noeviction", "aof", True, 604800),
        ("pubsub", "noeviction", "none", False, None),
    ],
)
def test_a_role_decides_what_is_not_said(role: str, policy: str, written: str, durable: bool, ttl: int | None) -> None:
    spec = spec_of(role)
    assert (spec.policy, spec.written, spec.durable, spec.ttl_seconds) == (policy, written, durable, ttl)


def test_a_role_can_be_fitted() -> None:
    spec = spec_of("cache", eviction="volatile-ttl", persistence="rdb", storage="2Gi", ttl="5m")
    assert (spec.policy, spec.written, spec.durable, spec.ttl_seconds) == ("volatile-ttl", "rdb", False, 300)


def test_a_consumer_may_not_take_the_name_of_a_user_that_redis_reserves() -> None:
    with pytest.raises(ConfigError, match=r"services\.default: Redis reserves the user name default; give the service"):
        plan_of("cache", "default")
