"""Levels and parameters of each environment, from `packs/<environment>.json`.

An environment without a file of its own gets `prod.json`, the strictest. The files have the shape of Pulumi's policy
configuration, so one of them can also be handed to `--policy-pack-config`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.kit.node import plain

STRICTEST = "prod"
LEVELS = ("mandatory", "advisory", "disabled")


@dataclass(frozen=True)
class Settings:
    """Level and parameters of one rule in one environment."""

    level: str
    params: Mapping[str, Any]


class Packs:
    """The packs of a folder, read once."""

    def __init__(self, folder: Path) -> None:
        self._packs = {
            path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
        }

    def settings(self, stack: str, rule: str, given: Mapping[str, Any]) -> Settings:
        """Level and parameters of a rule; `given` (from `--policy-pack-config`) goes before the pack's own.

        A rule the pack does not name is mandatory; a level that does not exist is too."""
        pack: Mapping[str, Any] = self._packs.get(stack) or self._packs[STRICTEST]
        own = pack.get(rule, {})
        merged = {**own, **{key: plain(value) for key, value in given.items()}}
        level = merged.get("level") or merged.get("enforcementLevel")
        params = {key: value for key, value in merged.items() if key not in ("level", "enforcementLevel")}
        return Settings(level if level in LEVELS else "mandatory", params)
