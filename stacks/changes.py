"""Refuses a change that would lose data, or cut services off from one another, before anything is changed.

What is deployed is what earlier runs have said of it: the facts that each component has registered.
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi

from components import component_of
from components.core.backups.contract import refuse_restore
from components.core.changes import Refusal, grown, refusals, volumes
from components.core.problems import ConfigError, Problem, listed
from components.core.spec import ServiceSpec
from stacks.authority import Authority
from stacks.config import ENVIRONMENT
from stacks.environment import Environment
from stacks.graph import SERVICES
from stacks.previous import Deployed, Facts, read_deployed

_PKI = "pki"
_GIVE_UP = "to lose the data, first run `up` with deletion_protection: false on it"


def refuse_unsafe(environment: Environment) -> frozenset[str]:
    """Compare an environment with what is deployed; returns services that are, or may be, deployed in another shape.

    Raises ConfigError with every change that can't be made so.
    """
    found = read_deployed()
    deployed = found.facts
    problems = [*service_problems(environment, deployed), *place_problems(environment, deployed)]
    problems += root_problems(environment, found)
    problems += _growth_problems(environment, growing_volumes(environment, deployed))
    if problems:
        raise ConfigError(problems)
    for name, spec in environment.services.items():
        if not spec.deletion_protection:
            text = "false given; the next change may delete its data; remove the line to protect it again"
            pulumi.log.warn(f"{SERVICES}.{name}.deletion_protection: {text}")
    return frozenset(
        name
        for name in environment.services
        if name in deployed and (name in found.unfinished or _is_reshaped(environment, name, deployed[name]))
    )


def service_problems(environment: Environment, deployed: Mapping[str, Facts]) -> list[Problem]:
    """Services that would lose what they keep, or could not go on with it."""
    problems = []
    for name, facts in deployed.items():
        spec, path = environment.services.get(name), f"{SERVICES}.{name}"
        if spec is not None:
            problems += [Problem(f"{path}.{r.field}", _text(r)) for r in _refusals(facts, spec)]
        elif _is_protected(facts):
            new = [n for n, s in environment.services.items() if n not in deployed and s.kind == facts["kind"]]
            begins = f"; {listed(new)} would begin empty" if new else ""
            text = f"missing; the data of this {facts['kind']} would be lost{begins}; put it back under this name"
            problems.append(Problem(path, f"{text}; {_GIVE_UP}"))
    return problems


def place_problems(environment: Environment, deployed: Mapping[str, Facts]) -> list[Problem]:
    """Data that would stay behind: the first field that says so, and whose data it is."""
    kept = {name: facts.get("place", {}) for name, facts in deployed.items() if _is_protected(facts)}
    for path, new in environment.place.items():
        left = {name: place[path] for name, place in kept.items() if place.get(path, new) != new}
        if left:
            old = next(iter(left.values())) or "nothing"
            text = f"{new or 'nothing'} given, {old} deployed; the data of {listed(sorted(left))} would stay behind"
            fix = f"put {old} back; to lose the data, first take the environment down: make down ENV={environment.name}"
            return [Problem(f"{ENVIRONMENT}.{path}", f"{text}; {fix}")]
    return []


def root_problems(environment: Environment, deployed: Deployed) -> list[Problem]:
    """Roots that take the place of others without a time in which everybody trusts both.

    Every component has those that it trusts among its facts: after a run that came to its end all have the same.
    """
    path, given = f"{ENVIRONMENT}.certificates", Authority.of(environment.certificates)
    found = sorted({Authority.read(facts) for facts in deployed.facts.values()})
    if not found or (given in found):
        return []
    if len(found) > 1 or _PKI in deployed.unfinished:
        fix = f"first run it again with {' or '.join(map(str, found))}"
        return [Problem(path, f"{given} given; the `up` that changed this last has not come to its end; {fix}")]
    (old,) = found
    if given.overlaps(old):
        return []
    steps = "; ".join(str(step) for step in old.steps(given.issuer) if step != old)
    why = "services would meet certificates of a root that they don't trust"
    return [Problem(path, f"{given} given, {old} deployed; {why}; take these steps, with an `up` after each: {steps}")]


def _refusals(facts: Facts, spec: ServiceSpec) -> list[Refusal]:
    component = component_of(spec.kind)
    version = component.systems(spec).get(spec.kind, "")
    found = list(refusals(facts, spec.kind, version, component.kept(spec)))
    if not found and facts["stateful"]:
        found = [*component.check_change(facts, spec), *refuse_restore(facts, spec)]
    return [refusal for refusal in found if refusal.final or facts.get("deletion_protection", True)]


def _text(refusal: Refusal) -> str:
    return refusal.text if refusal.final else f"{refusal.text}; {_GIVE_UP}"


def _is_protected(facts: Facts) -> bool:
    return bool(facts["stateful"] and facts.get("deletion_protection", True))


def growing_volumes(environment: Environment, deployed: Mapping[str, Facts]) -> list[tuple[str, str, str, str]]:
    """Volumes that are deployed smaller: service, field, the size that they have and the one that they get."""
    return [
        (name, field, old, new)
        for name, spec in environment.services.items()
        if name in deployed
        for field, (old, new) in grown(deployed[name], component_of(spec.kind).kept(spec)).items()
    ]


def _growth_problems(environment: Environment, growing: list[tuple[str, str, str, str]]) -> list[Problem]:
    """Volumes that can't grow, as far as the cluster says so. It is asked only when one shall."""
    reason = _why_not_grown(environment) if growing and environment.target == "kubernetes" else ""
    return [
        Problem(f"{SERVICES}.{name}.{field}", f"{new} given, {old} deployed; {reason}")
        for name, field, old, new in growing
        if reason
    ]


def _is_reshaped(environment: Environment, name: str, facts: Facts) -> bool:
    """Whether it has other volumes, or is one instance instead of several, as far as its facts tell."""
    spec = environment.services[name]
    growing, replicas = component_of(spec.kind).kept(spec).growing, getattr(spec, "replicas", None)
    return (
        volumes(facts.get("growing", growing)) != volumes(growing)
        or facts.get("place", environment.place) != environment.place
        or (isinstance(replicas, int) and (replicas == 1) != (facts["replicas"] == 1))
    )


def _why_not_grown(environment: Environment) -> str:
    from components.targets.kubernetes.kubectl import KubectlError, kubectl
    from stacks.targets import cluster_of

    cluster = cluster_of(environment)
    name = cluster.storage_class or f"groundwork-{environment.name}"
    try:
        found: dict[str, Any] = json.loads(kubectl(cluster, "get", "storageclass", name, "--output=json"))
    except KubectlError as error:
        return f"kubectl, by which volumes grow, says: {error}; make it work or put the size back"
    if found.get("allowVolumeExpansion"):
        return ""
    return f"volumes of storage class {name} can't grow; set allowVolumeExpansion: true in it, or put the size back"
