"""A bucket outside of the environment, as its consumers see it. Pure."""

from typing import Any

from components.core.bindings import Endpoint, Reach
from components.objects.spec import Existing


def endpoint_of(name: str, existing: Existing) -> Endpoint:
    """Where consumers of store `name` connect."""
    return Endpoint(name, existing.host, existing.port, "s3", "server")


def reach_of(name: str, existing: Existing) -> Reach:
    """The way out that each of them needs."""
    return Reach(name, (existing.port,), outside=True)


def settings_of(existing: Existing, environment: str, consumer: str) -> dict[str, str]:
    """Settings of one consumer. Its keys begin with PREFIX, so that services of one bucket don't meet by accident."""
    return {
        "ENDPOINT": existing.address,
        "REGION": existing.region,
        "BUCKET": existing.bucket,
        "PREFIX": f"{existing.prefix or environment}/{consumer}/",
        "ADDRESSING": existing.style,
    }


def facts_of(existing: Existing) -> dict[str, Any]:
    """What is to be said of it to policies and the inventory. Its region is where its data is."""
    return {"region": existing.region, "existing": {"address": existing.address, "bucket": existing.bucket}}
