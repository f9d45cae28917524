"""Configuration -> Environment. The only reader of pulumi.Config and of the world: below it nobody asks either.

`parse` is pure and finds every mistake in one pass; `load` adds what only the machine knows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pydantic import ValidationError

from components import KINDS, component_of
from components.core.problems import ConfigError, Problem, closest, dotted, problems_of, shown
from components.core.spec import ServiceSpec
from stacks.environment import Environment, EnvironmentSpec, place_problems
from stacks.graph import SERVICES, deploy_order, edge_problems
from stacks.keys import Keys, key_problems
from stacks.names import environment_name_problems, name_collisions, service_name_problems
from stacks.profiles import PROFILES
from stacks.versions import version_problems

ENVIRONMENT = "groundwork:environment"
_FIELDS = "profile, cluster, placement and owner"


@dataclass(frozen=True)
class _Inherited:
    """What services get from their environment. Its mistakes are reported there and not once per service."""

    owner: Mapping[str, Any]
    profiles: Sequence[Mapping[str, Mapping[str, Any]]]
    """The chosen profile; all of them where none was chosen, and then only what is wrong with each is reported."""


def load() -> Environment:
    """The environment of the current stack. Raises ConfigError with every mistake in its configuration."""
    config = pulumi.Config("groundwork")
    return parse(pulumi.get_stack(), config.get_object("environment"), config.get_object("services"), keys())


def keys() -> Keys:
    """Key pairs for services outside of the environment, as a person has given them; perhaps with mistakes."""
    config = pulumi.Config("groundwork")
    try:
        return Keys(config.get_object("keys"), pulumi.runtime.is_config_secret(config.full_key("keys")))
    except pulumi.ConfigTypeError:
        return Keys("text", secret=True)


def backup_key() -> pulumi.Output[str] | None:
    """The key of the backups, where a person has given one: another environment's, so as to restore what it kept."""
    return pulumi.Config("groundwork").get_secret("backup_key")


def parse(name: str, environment: Any, services: Any, keys: Keys | None = None) -> Environment:
    """Validate raw configuration of any shape. Raises ConfigError with every mistake, before anything is created.

    `keys`: None where they can't be read, as without the stack's passphrase; then nobody looks for them.
    """
    base, problems = _parse_environment(environment)
    problems += environment_name_problems(ENVIRONMENT, name)
    problems += _shape_problems(environment, services)
    written = services if isinstance(services, Mapping) else {}
    specs, wrong = _parse_services(name, written, _inherited(environment, problems))
    problems += wrong
    problems += edge_problems(specs, {str(service): raw for service, raw in written.items()})
    problems += name_collisions(specs)
    problems += version_problems(specs)
    problems += key_problems(specs, keys) if keys else []
    if base:
        problems += _placement_problems(base, specs)
    if problems or not base:
        raise ConfigError(problems)
    ordered = {service: specs[service] for service in deploy_order(specs)}
    return Environment(name=name, services=ordered, **{field: getattr(base, field) for field in base.model_fields_set})


def _parse_environment(raw: Any) -> tuple[EnvironmentSpec | None, list[Problem]]:
    if not isinstance(raw, Mapping):
        return None, [Problem(ENVIRONMENT, f"{shown(raw)} given; needs a mapping with {_FIELDS}")]
    own = {key: value for key, value in raw.items() if key != "services"}
    misplaced = [
        Problem(f"{ENVIRONMENT}.services", f"services stand beside the environment; move them to `{SERVICES}:`")
        for _ in range(len(raw) - len(own))
    ]
    misplaced += [Problem(f"{ENVIRONMENT}.{field}", text) for field, text in place_problems(own)]
    try:
        base = EnvironmentSpec.model_validate(own)
    except ValidationError as error:
        return None, problems_of(error, EnvironmentSpec, ENVIRONMENT) + misplaced
    return (None if misplaced else base), misplaced


def _inherited(environment: Any, problems: Sequence[Problem]) -> _Inherited:
    raw = environment if isinstance(environment, Mapping) else {}
    right = "owner" in raw and all(problem.path != f"{ENVIRONMENT}.owner" for problem in problems)
    profile = raw.get("profile")
    chosen = PROFILES.get(profile) if isinstance(profile, str) else None
    return _Inherited({"owner": raw["owner"]} if right else {}, [chosen] if chosen else [*PROFILES.values()])


def _shape_problems(environment: Any, services: Any) -> list[Problem]:
    if isinstance(services, Mapping) and services:
        return []
    if services is None and isinstance(environment, Mapping) and "services" in environment:
        return []  # said there
    text = f"{shown(services)} given; needs a mapping of service names to settings, such as `postgres:`"
    return [Problem(SERVICES, text)]


def _parse_services(
    environment: str, written: Mapping[Any, Any], inherited: _Inherited
) -> tuple[dict[str, ServiceSpec], list[Problem]]:
    specs: dict[str, ServiceSpec] = {}
    problems: list[Problem] = []
    for name, raw in written.items():
        misnamed = service_name_problems(name, environment)
        problems += misnamed
        if misnamed and not (isinstance(raw, Mapping) and "kind" in raw):
            continue  # the name stands for the kind too: one mistake, not two
        spec, wrong = _parse_service(name, raw, inherited)
        problems += wrong
        if spec and not misnamed:
            specs[name] = spec
    return specs, problems


def _parse_service(name: Any, raw: Any, inherited: _Inherited) -> tuple[ServiceSpec | None, list[Problem]]:
    path = dotted(SERVICES, name)
    if raw is not None and not isinstance(raw, Mapping):
        return None, [Problem(path, f"{shown(raw)} given; needs a mapping of settings, or nothing for the defaults")]
    written = dict(raw or {})
    kind = written.get("kind", name)
    if not isinstance(kind, str) or kind not in KINDS:
        return None, [Problem(f"{path}.kind", _unknown_kind(kind, written="kind" in written))]
    model = component_of(kind).spec_type
    found: list[Problem] | None = None
    for profile in inherited.profiles:
        try:
            # A profile says how large servers are; with `existing` there is none.
            base = {"kind": kind, **inherited.owner}
            sizes = {} if written.get("existing") else profile.get(kind, {})
            return model.model_validate(_merge(_merge(base, sizes), written)), []
        except ValidationError as error:
            wrong = problems_of(error, model, path)
            found = wrong if found is None else [problem for problem in found if problem in wrong]
    return None, found or []


def _unknown_kind(kind: Any, *, written: bool) -> str:
    allowed = ", ".join(KINDS)
    close = closest(kind, KINDS) if isinstance(kind, str) else ""
    if written or close:
        hint = f"did you mean {close}?" if close else "set one of them."
        return f"{shown(kind)} given; there is no such kind of service; {hint} Allowed: {allowed}"
    if kind in EnvironmentSpec.model_fields:
        return f"missing; {kind} belongs under `{ENVIRONMENT}:`; a service needs `kind:` with one of: {allowed}"
    return f"missing; {shown(kind)} is not the name of a kind itself; add `kind:` with one of: {allowed}"


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
