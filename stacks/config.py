"""Configuration -> Environment. The only reader of pulumi.Config and of the world: below it nobody asks either.

`parse` is pure and finds every mistake in one pass; `load` adds what only the machine knows.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import pulumi
from pydantic import ValidationError

from components import KINDS, component_of
from components.core.problems import ConfigError, Problem, problems_of
from components.core.spec import ServiceSpec
from stacks.environment import Environment, EnvironmentSpec
from stacks.graph import SERVICES, deploy_order, edge_problems
from stacks.profiles import PROFILES

ENVIRONMENT = "groundwork:environment"


def load() -> Environment:
    """The environment of the current stack. Raises ConfigError with every mistake in its configuration."""
    config = pulumi.Config("groundwork")
    return parse(pulumi.get_stack(), config.get_object("environment"), config.get_object("services"))


def parse(name: str, environment: Any, services: Any) -> Environment:
    """Validate raw configuration. Raises ConfigError with every mistake, before anything is created."""
    base, problems = _parse_environment(environment)
    specs: dict[str, ServiceSpec] = {}
    if not isinstance(services, Mapping) or not services:
        problems.append(Problem(SERVICES, f"{_shape(services)} given; needs a mapping of service names to settings"))
        services = {}
    defaults = environment if isinstance(environment, Mapping) else {}
    for service, raw in services.items():
        spec, wrong = _parse_service(str(service), raw, defaults)
        problems += wrong
        if spec:
            specs[str(service)] = spec
    problems += edge_problems(specs, services)
    if base:
        problems += _placement_problems(base, specs)
    if problems or not base:
        raise ConfigError(problems)
    ordered = {service: specs[service] for service in deploy_order(specs)}
    return Environment(
        name=name, services=ordered, **{field: getattr(base, field) for field in EnvironmentSpec.model_fields}
    )


def _parse_environment(raw: Any) -> tuple[EnvironmentSpec | None, list[Problem]]:
    if not isinstance(raw, Mapping):
        return None, [
            Problem(ENVIRONMENT, f"{_shape(raw)} given; needs a mapping with profile, cluster, placement, owner")
        ]
    try:
        return EnvironmentSpec.model_validate(raw), []
    except ValidationError as error:
        return None, problems_of(error, EnvironmentSpec, ENVIRONMENT)


def _parse_service(name: str, raw: Any, environment: Mapping[str, Any]) -> tuple[ServiceSpec | None, list[Problem]]:
    path = f"{SERVICES}.{name}"
    if raw is not None and not isinstance(raw, Mapping):
        return None, [Problem(path, f"{_shape(raw)} given; needs a mapping of settings, or nothing for the defaults")]
    written = dict(raw or {})
    kind = written.get("kind", name)
    if kind not in KINDS:
        return None, [Problem(f"{path}.kind", _unknown_kind(kind, "kind" in written))]
    profile = PROFILES.get(str(environment.get("profile")), {})
    inherited = {"kind": kind, **({"owner": environment["owner"]} if "owner" in environment else {})}
    model = component_of(kind).spec_type
    try:
        return model.model_validate(_merge(_merge(inherited, profile.get(kind, {})), written)), []
    except ValidationError as error:
        return None, problems_of(error, model, path)


def _unknown_kind(kind: Any, written: bool) -> str:
    close = get_close_matches(str(kind), KINDS, n=1)
    hint = f"did you mean {close[0]}?" if close else "set one of them." if written else "add `kind:` with one of them."
    return f"{kind} given; there is no such kind of service; {hint} Allowed: {', '.join(KINDS)}"


def _placement_problems(base: EnvironmentSpec, services: Mapping[str, ServiceSpec]) -> list[Problem]:
    """Combinations of service and environment that can't work."""
    return [
        Problem(f"{SERVICES}.{name}.{field}", text)
        for name, spec in services.items()
        for field, text in component_of(spec.kind).check(spec, base.target, base.placement)
    ]


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`; nested mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _shape(value: Any) -> str:
    return "nothing" if value is None else "a list" if isinstance(value, list) else f"{value!r}"[:60]
