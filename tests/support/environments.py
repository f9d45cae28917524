"""The committed environments, loaded without an engine."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stacks.config import parse
from stacks.environment import Environment

ROOT = Path(__file__).parents[2]


def committed() -> list[str]:
    """Names of the environments in the checkout."""
    return sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def settings(name: str) -> dict[str, Any]:
    """Raw configuration of a committed environment."""
    config: dict[str, Any] = YAML(typ="safe").load(ROOT / f"Pulumi.{name}.yaml")["config"]
    return config


def load(name: str) -> Environment:
    """A committed environment, validated."""
    config = settings(name)
    return parse(name, config["groundwork:environment"], config["groundwork:services"])
