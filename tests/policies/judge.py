"""Runs the policy pack on a compliant environment with something changed, on arguments as the engine makes them.

Properties go through the wire format and the SDK's own reader and proxies: numbers are floats, unknown values are
sentinels, secrets are marked. Nothing here knows a rule.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format, struct_pb2
from pulumi_policy import (
    PolicyResource,
    PolicyResourceOptions,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY, deserialize_properties
from pulumi_policy.policy import PolicyCustomTimeouts
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from policies.kit.exceptions import Exemptions, load_exemptions
from policies.kit.gate import Gate
from policies.kit.packs import Packs
from policies.kit.rule import Rule
from policies.rules import RULES

HERE = Path(__file__).parent
PACK = HERE.parent.parent / "policies"
TODAY = date(2026, 11, 21)
UNKNOWN = UNKNOWN_STRING_VALUE
DELETE = "(deleted)"
Resources = dict[str, dict[str, Any]]
Findings = dict[str, list[str]]


def secret(value: Any) -> dict[str, Any]:
    """A value as the engine marks a secret."""
    return {SPECIAL_SIG_KEY: SPECIAL_SECRET_SIG, "value": value}


@cache
def _baseline(environment: str) -> str:
    text = (HERE / "baseline.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("groundwork-prod", f"groundwork-{environment}"),
        ("environment: prod", f"environment: {environment}"),
    ):
        text = text.replace(old, new)
    return json.dumps(yaml.safe_load(text)["resources"])


def baseline(environment: str = "prod") -> Resources:
    """The compliant environment, fresh for each caller."""
    resources: Resources = json.loads(_baseline(environment))
    return resources


def change(resources: Resources, path: str, value: Any) -> None:
    """Change one place, written `Kind name > field > field`. `{replace, by}` edits a text, `(deleted)` removes."""
    name, *keys = path.split(" > ")
    if not keys:
        if value == DELETE:
            del resources[name]
        else:
            resources[name] = value
        return
    owner: Any = resources[name]["props"]
    for key in keys[:-1]:
        owner = owner[_index(owner, key)]
    last = _index(owner, keys[-1])
    if value == DELETE:
        del owner[last]
    elif isinstance(value, Mapping) and "replace" in value:
        assert value["replace"] in owner[last], f"{path}: nothing to replace"
        owner[last] = owner[last].replace(value["replace"], value["by"])
    else:
        owner[last] = value


def _index(owner: Any, key: str) -> Any:
    return int(key) if isinstance(owner, list) and key.isdigit() else key


def judge(
    resources: Resources,
    *,
    environment: str = "prod",
    rules: Sequence[Rule] = RULES,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    exemptions: Exemptions | None = None,
    only: Collection[str] = (),
) -> Findings:
    """What each policy reports, in order. `only` judges just these resources and all components, not the stack."""
    policies = Gate(rules, Packs(PACK / "packs"), exemptions or Exemptions(), TODAY).policies()
    found: Findings = {}
    single = [policy for policy in policies if isinstance(policy, ResourceValidationPolicy)]
    whole = [policy for policy in policies if isinstance(policy, StackValidationPolicy)]
    for name, resource in resources.items():
        if only and name not in only and not name.startswith("Component"):
            continue
        props = _props(resource)
        for policy in single:
            given = _resource(name, resource, props, environment, _config(config, policy.name))
            policy.validate(given, _collector(found, policy.name))
    stack = [_stack_resource(name, one, environment) for name, one in resources.items()]
    for stack_policy in whole if not only else []:
        arguments = StackValidationArgs(stack, _config(config, stack_policy.name))
        stack_policy.validate(arguments, _collector(found, stack_policy.name))
    return found


def _collector(found: Findings, policy: str) -> ReportViolation:
    def report(message: str, urn: str | None = None) -> None:
        found.setdefault(policy, []).append(message)

    return report


def _config(config: Mapping[str, Mapping[str, Any]] | None, policy: str) -> dict[str, Any]:
    return _wire(dict((config or {}).get(policy, {})))


def _wire(value: dict[str, Any]) -> dict[str, Any]:
    """Through the wire format, where every number is a float."""
    struct = struct_pb2.Struct()
    json_format.ParseDict(value, struct)
    result: dict[str, Any] = json_format.MessageToDict(struct)
    return result


def _props(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    return unknown_checking_proxy(deserialize_properties(_wire(resource["props"])))


def _urn(name: str, resource: Mapping[str, Any], environment: str) -> str:
    return f"urn:pulumi:{environment}::groundwork::{resource['type']}::{_logical(name)}"


def _logical(name: str) -> str:
    return re.sub(r"^Component ", "", name)


def _options(resource: Mapping[str, Any]) -> PolicyResourceOptions:
    timeouts = PolicyCustomTimeouts(0, 0, 0)
    return PolicyResourceOptions(bool(resource.get("protect")), [], None, [], timeouts, [], None)


def _resource(
    name: str, resource: Mapping[str, Any], props: Mapping[str, Any], environment: str, config: dict[str, Any]
) -> ResourceValidationArgs:
    urn = _urn(name, resource, environment)
    options = _options(resource)
    return ResourceValidationArgs(resource["type"], props, urn, _logical(name), options, None, config)


def _stack_resource(name: str, resource: Mapping[str, Any], environment: str) -> PolicyResource:
    urn = _urn(name, resource, environment)
    options = _options(resource)
    return PolicyResource(resource["type"], _props(resource), urn, _logical(name), options, None, None, [], {})


def exemptions_of(folder: Path, *entries: Mapping[str, Any]) -> Exemptions:
    """Exceptions as they would be read from the pack's file today."""
    path = folder / "exceptions.json"
    path.write_text(json.dumps({"exceptions": entries}), encoding="utf-8")
    return load_exemptions(path, [rule.name for rule in RULES], TODAY)
