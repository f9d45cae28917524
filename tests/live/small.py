"""A smaller environment for what takes an environment of its own: a database, a queue, and an app that uses both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.live.environment import SETTINGS, Live, Say, prepare
from tests.support.checkout import Checkout

_USED = ("postgres", "queue")
_SERVICES: dict[str, Any] = {
    "postgres": SETTINGS["postgres"],
    "queue": {**SETTINGS["queue"], "replicas": 1},
    "api": {**SETTINGS["api"], "replicas": 1, "uses": _USED},
}


def small(name: str, folder: Path, host: str, say: Say) -> Live:
    """The smaller environment in a private checkout. Starts nothing."""
    environment = prepare(name, folder, host, say)
    configure(environment.checkout, name)
    return environment


def configure(checkout: Checkout, name: str, generation: int = 1) -> None:
    """Write the settings of the smaller environment, judged as strictly as that of a person's own machine."""
    settings: dict[str, Any] = {
        "profile": "local",
        "target": "docker",
        "placement": {"region": "eu-central-1", "residency": ["eu-central-1"]},
        "owner": "team-platform",
    }
    if generation > 1:
        settings["generation"] = generation
    content = {"config": {"groundwork:environment": settings, "groundwork:services": _SERVICES}}
    (checkout.root / f"Pulumi.{name}.yaml").write_text(json.dumps(content), encoding="utf-8")
    packs = checkout.root / "policies/packs"
    (packs / f"{name}.json").write_bytes((packs / "local.json").read_bytes())
