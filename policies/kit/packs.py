"""Levels and parameters of each environment, from `packs/<environment>.json`.

An environment without a file of its own gets `prod.json`, the strictest. The files have the shape of Pulumi's policy
configuration, so one of them can also be handed to `--policy-pack-config`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STRICTEST = "prod"
LEVELS = ("mandatory", "advisory", "disabled")
"""The strictest first."""
Schemas = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""JSON schema of each parameter of each rule."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


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

        A rule the pack does not name is mandatory; a level that does not exist is too. The engine gives every policy an
        `enforcementLevel`, asked or not, so that one can only weaken."""
        own: Mapping[str, Any] = (self._packs.get(stack) or self._packs[STRICTEST]).get(rule, {})
        merged = {**own, **given}
        levels = [merged.get("level") or own.get("enforcementLevel"), given.get("enforcementLevel")]
        params = {key: value for key, value in merged.items() if key not in ("level", "enforcementLevel")}
        return Settings(max((_known(level) for level in levels), key=LEVELS.index), params)


def check_packs(folder: Path, schemas: Schemas) -> None:
    """Raises ValueError that says of each pack what is wrong in it. A slip must not change what a rule looks at."""
    problems = [problem for path in sorted(folder.glob("*.json")) for problem in _problems(path, schemas)]
    if problems:
        raise ValueError("\n".join(problems))


def _problems(path: Path, schemas: Schemas) -> Iterator[str]:
    where = f"{path.parent.name}/{path.name}"
    try:
        pack = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        yield _problem(where, f"can't be read ({error})", "JSON", "correct it there")
        return
    if not isinstance(pack, dict):
        yield _problem(where, "is no mapping", "rules with their levels and parameters", "write {rule: {...}}")
        return
    yield from _names(f"{where}: ", pack, schemas, "rule")
    for rule in pack.keys() & schemas.keys():
        yield from _settings(f"{where}: {rule}", pack[rule], schemas[rule])


def _settings(where: str, settings: Any, schema: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not isinstance(settings, dict):
        yield _problem(where, "is no mapping", "a level and parameters", "write {enforcementLevel: mandatory, ...}")
        return
    wanted = {"enforcementLevel": {"enum": LEVELS}, **schema}
    yield from _names(f"{where}.", settings, wanted, "parameter")
    for name in settings.keys() & wanted.keys():
        value, types = settings[name], _TYPES.get(str(wanted[name].get("type")))
        if types is None:
            if value not in LEVELS:
                yield _problem(f"{where}.{name}", f"is {value!r}", ", ".join(LEVELS), "use one of these levels")
        elif not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            what, kind = f"is {value!r}", wanted[name]["type"]
            yield _problem(f"{where}.{name}", what, f"a value of type {kind}", "correct the value")


def _names(prefix: str, given: Mapping[str, Any], wanted: Mapping[str, Any], kind: str) -> Iterator[str]:
    for name in sorted(given.keys() - wanted.keys()):
        yield _problem(f"{prefix}{name}", f"is no {kind}", ", ".join(sorted(wanted)), "correct the name or remove it")
    for name in sorted(wanted.keys() - given.keys()):
        yield _problem(f"{prefix}{name}", "is not given", f"every {kind}", "add it, as another pack has it")


def _problem(where: str, what: str, allowed: str, fix: str) -> str:
    return f"{where} {what}; allowed: {allowed}; fix: {fix}"


def _known(level: Any) -> str:
    return level if level in LEVELS else LEVELS[0]
