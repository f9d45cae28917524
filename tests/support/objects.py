"""What the tests of object storage share."""

from __future__ import annotations

from typing import Any

from components.core.site import Site
from components.objects import Existing, ObjectsSpec
from components.objects.plan import ObjectsPlan, plan_objects
from tests.support.site import NAMES, PLACEMENT, contents


def spec_of(*buckets: dict[str, Any], **fields: Any) -> ObjectsSpec:
    """A valid spec with these buckets and some fields changed."""
    return ObjectsSpec.model_validate({"kind": "objects", "owner": "team-data", "buckets": buckets, **fields})


def existing_of(**fields: Any) -> Existing:
    """A bucket outside with some fields changed."""
    given = {"bucket": "acme-media", "region": "eu-west-1", "credentials": "media", **fields}
    return Existing.model_validate(given)


def plan_of(spec: ObjectsSpec, *consumers: str) -> ObjectsPlan:
    """The plan of service `store` with these consumers."""
    return plan_objects("store", spec, Site("test", PLACEMENT, NAMES, {"store": consumers}))


def files_of(plan: ObjectsPlan) -> dict[str, str]:
    """Content of each configuration file by its name."""
    return contents(plan.workload)
