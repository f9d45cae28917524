"""Runs the policy pack on a compliant environment with something changed, by requests as the engine sends them.

Properties go through the wire format: numbers are floats, unknown values are sentinels, secrets are marked. Nothing
here knows a rule.
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
from pulumi.runtime import proto

from policies.kit.analyzer import Analyzer
from policies.kit.exceptions import Exemptions, load_exemptions
from policies.kit.gate import Gate
from policies.kit.packs import Packs
from policies.kit.rule import Rule
from policies.kit.wire import SECRET, SIGNATURE
from policies.rules import RULES

HERE = Path(__file__).parent
PACK = HERE.parent.parent / "policies"
TODAY = date(2026, 11, 21)
TARGETS = ("docker", "kubernetes")
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine sends in place of a text that only `up` will know."""
DELETE = "(deleted)"
Resources = dict[str, dict[str, Any]]
Findings = dict[str, list[str]]


def secret(value: Any) -> dict[str, Any]:
    """A value as the engine marks a secret."""
    return {SIGNATURE: SECRET, "value": value}


@cache
def _baseline(environment: str, target: str) -> str:
    text = (HERE / f"baseline-{target}.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("groundwork-prod", f"groundwork-{environment}"),
        ("environment: prod", f"environment: {environment}"),
        ("environment, value: prod", f"environment, value: {environment}"),
    ):
        text = text.replace(old, new)
    return json.dumps(yaml.safe_load(text)["resources"])


def baseline(environment: str = "prod", target: str = "kubernetes") -> Resources:
    """The compliant environment on a target, fresh for each caller."""
    resources: Resources = json.loads(_baseline(environment, target))
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
    """What each policy reports, in order; what does not block is apart. `only` judges just these resources and all
    components, not the stack."""
    analyzer = Analyzer("groundwork", Gate(rules, Packs(PACK / "packs"), exemptions or Exemptions(), TODAY))
    given = {name: proto.PolicyConfig(properties=_wire(values)) for name, values in (config or {}).items()}
    for one in given.values():
        one.enforcementLevel = proto.EnforcementLevel.MANDATORY
    analyzer.Configure(proto.ConfigureAnalyzerRequest(policyConfig=given), None)
    found: Findings = {}
    for name, resource in resources.items():
        if not only or name in only or name.startswith("Component"):
            request = proto.AnalyzeRequest(**_fields(name, resource, environment))
            _collect(found, analyzer.Analyze(request, None))
    if not only:
        stack = [_in_stack(name, resources, environment) for name in resources]
        _collect(found, analyzer.AnalyzeStack(proto.AnalyzeStackRequest(resources=stack), None))
    return found


def _collect(found: Findings, response: Any) -> None:
    for diagnostic in response.diagnostics:
        blocks = diagnostic.enforcementLevel == proto.EnforcementLevel.MANDATORY
        policy = diagnostic.policyName if blocks else f"{diagnostic.policyName} (notice)"
        message = diagnostic.message.removeprefix(f"{diagnostic.description}\n")
        found.setdefault(policy, []).append(message)


def _wire(value: Mapping[str, Any]) -> struct_pb2.Struct:
    """The wire format, where every number is a float."""
    return json_format.ParseDict(dict(value), struct_pb2.Struct())


def _urn(name: str, resource: Mapping[str, Any], environment: str) -> str:
    return f"urn:pulumi:{environment}::groundwork::{resource['type']}::{_logical(name)}"


def _logical(name: str) -> str:
    return re.sub(r"^Component ", "", name)


def _fields(name: str, resource: Mapping[str, Any], environment: str) -> dict[str, Any]:
    return {
        "type": resource["type"],
        "properties": _wire(resource["props"]),
        "urn": _urn(name, resource, environment),
        "name": _logical(name),
        "options": proto.AnalyzerResourceOptions(protect=bool(resource.get("protect"))),
    }


def _in_stack(name: str, resources: Resources, environment: str) -> Any:
    """A resource as the engine sends the whole stack: with the resources that each of its properties comes from."""
    message = proto.AnalyzerResource(**_fields(name, resources[name], environment))
    for field, source in resources[name].get("sources", {}).items():
        urn = _urn(source, resources[source], environment)
        message.propertyDependencies[field].urns.append(urn)
    return message


def exemptions_of(folder: Path, *entries: Mapping[str, Any]) -> Exemptions:
    """Exceptions as they would be read from the pack's file today."""
    path = folder / "exceptions.json"
    path.write_text(json.dumps({"exceptions": entries}), encoding="utf-8")
    return load_exemptions(path, [rule.name for rule in RULES], TODAY)
