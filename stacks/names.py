"""Names of environments and services: what a person may choose, given all that is named after it. Pure.

Knows the names that the platform itself has; what a service's own parts are called, its component says.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from components import component_of
from components.core.problems import Problem, dotted, shown
from components.core.spec import ServiceSpec
from components.core.types import DnsLabel
from stacks.graph import SERVICES, consumers

RESERVED = {
    "default": "Kubernetes has an account of that name in every namespace, and Redis a user",
    "default-deny": "the environment's own network policy has that name",
    "kubernetes": "Kubernetes gives every pod variables that begin with it",
    "localhost": "in every pod it means the pod itself",
    "pki": "the environment's certificate authority has that name",
    "tls": "every pod has its own certificate in a directory of that name",
}
"""Names no service can have, and who has them."""
_TOGETHER = 48
"""A certificate's common name has at most 64 characters (RFC 5280, appendix A.1): `<service>.groundwork-<env>.svc`."""
_LABEL: TypeAdapter[str] = TypeAdapter(DnsLabel)


def environment_name_problems(path: str, name: object) -> list[Problem]:
    """What is wrong with the name of a stack, which becomes part of a namespace's name."""
    if wrong := _wrong(name):
        text = f"{shown(name)} given as the name of the stack, which names its namespace too; {wrong}"
        return [Problem(path, f"{text}; name stack and file anew{_such_as(name)}")]
    return []


def service_name_problems(name: object, environment: str) -> list[Problem]:
    """What is wrong with one service's name by itself."""
    path = dotted(SERVICES, name)
    if isinstance(name, str) and "--" in name:
        return [Problem(path, f"{shown(name)} given; two hyphens in a row divide the ends of an edge; rename it")]
    if wrong := _wrong(name):
        return [Problem(path, f"{shown(name)} given; {wrong}; rename it{_such_as(name)}")]
    if name in RESERVED:
        return [Problem(path, f"{name} given; it is reserved: {RESERVED[str(name)]}; rename it")]
    if not _wrong(environment) and len(str(name)) + len(environment) > _TOGETHER:
        longest = _TOGETHER - len(environment)
        text = f"{name} given; a certificate has room for {longest} characters beside {environment}; shorten it"
        return [Problem(path, text)]
    return []


def name_collisions(services: Mapping[str, ServiceSpec]) -> list[Problem]:
    """Services whose parts would have the same name: each such pair once."""
    owners: dict[str, str] = {}
    pairs: dict[tuple[str, str], str] = {}
    users = consumers(services)
    for name, spec in services.items():
        for taken in component_of(spec.kind).occupies(name, spec, users[name]):
            owner = owners.setdefault(taken, name)
            if owner != name:
                shorter, longer = sorted((owner, name), key=lambda n: (len(n), n))
                pairs.setdefault((longer, shorter), taken)
    return [
        Problem(f"{SERVICES}.{longer}", _same(longer, shorter, taken)) for (longer, shorter), taken in pairs.items()
    ]


def _same(longer: str, shorter: str, taken: str) -> str:
    family, _, name = taken.partition("/")
    return f"{longer} given; it and {shorter} would both make the {family} {name}; rename one of the two"


def _wrong(name: object) -> str:
    """Why it is no DNS label, in words; empty where it is one."""
    try:
        _LABEL.validate_python(name, strict=True)
    except ValidationError as error:
        cause = error.errors(include_url=False)[0].get("ctx", {}).get("error")
        return str(cause) if cause else "a name is text; put it in quotes and begin it with a letter"
    return ""


def _such_as(name: Any) -> str:
    """A name close to it that may be had, where it can be shown."""
    if name != shown(name):
        return ""
    label = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789").rstrip("-")
    return "" if _wrong(label) else f", for example {label}"
