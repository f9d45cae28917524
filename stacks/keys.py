"""Key pairs for services outside of the environment: secret configuration of a stack, which a person gives.

What a pair holds is never shown. Pulumi documentation, "pulumi config set", on structured configuration.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.core.problems import Problem, closest, dotted, listed
from components.core.spec import ServiceSpec
from stacks.graph import SERVICES

KEYS = "groundwork:keys"
_PARTS = {"access_key_id": r"[!#-9;-\[\]-~]{1,200}", "secret_access_key": r"[!#-\[\]-~]{1,200}"}
"""What each part of a pair looks like: printable, and such that curl's configuration takes it as it is."""


@dataclass(frozen=True)
class Keys:
    """What stands under `groundwork:keys`, of any shape."""

    given: Any = field(default=None, repr=False)
    secret: bool = False
    """Whether the stack's configuration keeps it encrypted."""

    @property
    def pairs(self) -> dict[str, dict[str, pulumi.Output[str]]]:
        """Every pair by its name, secret."""
        written = self.given or {}
        return {name: {part: pulumi.Output.secret(pair[part]) for part in _PARTS} for name, pair in written.items()}


def key_problems(services: Mapping[str, ServiceSpec], keys: Keys) -> Iterator[Problem]:
    """What is wrong with the pairs, and those that services name though nobody has given them."""
    written = keys.given if keys.given is not None else {}
    if not isinstance(written, Mapping):
        yield Problem(KEYS, f"needs a mapping of names to key pairs; remove it, and {_run('NAME')}")
        return
    if written and not keys.secret:
        names = ", then ".join(_run(name) for name in written)
        yield Problem(KEYS, f"given in plain text, where many can read it; make new keys, remove these, and {names}")
    for name, pair in written.items():
        if text := _wrong_pair(pair):
            yield Problem(dotted(KEYS, name), f"{text}; {_run(name)}")
    for name, spec in services.items():
        existing = getattr(spec, "existing", None)
        if existing and existing.credentials not in written:
            wanted = existing.credentials
            close = closest(wanted, written)
            hint = f"did you mean {close}? Allowed: {listed(written)}" if close else _run(wanted)
            text = f"{wanted} given; no key pair has that name; {hint}"
            yield Problem(f"{SERVICES}.{name}.existing.credentials", text)


def _wrong_pair(pair: Any) -> str:
    """Why it is no key pair; empty where it is one."""
    if not isinstance(pair, Mapping) or set(pair) != set(_PARTS):
        return f"a key pair is {' and '.join(_PARTS)}, and nothing else"
    odd = [
        part for part, form in _PARTS.items() if not (isinstance(pair[part], str) and re.fullmatch(form, pair[part]))
    ]
    return f"{' and '.join(odd)} (not shown) can't be one; a key is printable, without spaces and quotes" if odd else ""


def _run(name: object) -> str:
    """The commands that give a pair. They ask for the values, which are then in no shell's history."""
    commands = (f"pulumi config set --secret --path '{dotted(KEYS, name)}.{part}'" for part in _PARTS)
    return f"run {' and '.join(commands)}"
