"""What the tests of PostgreSQL share."""

from __future__ import annotations

from typing import Any

from components.core.site import Placement, Site
from components.postgres import PostgresSpec
from components.postgres.plan import PostgresPlan, plan_postgres
from tests.support.site import NAMES

PLACEMENT = Placement(region="eu-central-1", zones=3, residency=("eu-central-1", "eu-west-1"))


def spec_of(**fields: Any) -> PostgresSpec:
    """A valid spec with some fields changed."""
    return PostgresSpec.model_validate({"kind": "postgres", "owner": "team-data", **fields})


def plan_of(*consumers: str, placement: Placement = PLACEMENT, **fields: Any) -> PostgresPlan:
    """The plan of service `postgres` with these consumers."""
    return plan_postgres("postgres", spec_of(**fields), Site("test", placement, NAMES, {"postgres": consumers}))
