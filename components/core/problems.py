"""Errors in what a person wrote: all at once, each with path, value, what is allowed and the edit that fixes it.

Turns pydantic's errors into that form. Knows no provider and reads nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import BaseModel, ValidationError


@dataclass(frozen=True)
class Problem:
    """One wrong value: `path: given ...; explanation`."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class ConfigError(Exception):
    """Everything that is wrong with an environment's configuration, found in one pass."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: p.path))
        super().__init__("\n".join(str(p) for p in self.problems))


class WrongFields(ValueError):
    """Raised by a spec's model validator for fields that are wrong together: (field, text) pairs.

    Each text reads like any other: `allkeys-lru given; a queue must not evict; set noeviction`.
    """

    def __init__(self, *wrong: tuple[str, str]) -> None:
        self.wrong = wrong
        super().__init__("; ".join(f"{field}: {text}" for field, text in wrong))


def problems_of(error: ValidationError, model: type[BaseModel], prefix: str) -> list[Problem]:
    """The problems in a pydantic error; `prefix` is the dotted path of the model in the YAML."""
    problems: list[Problem] = []
    for item in error.errors(include_url=False):
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, WrongFields):
            path = ".".join([prefix, *(str(part) for part in item["loc"])])
            problems += [Problem(f"{path}.{field}", text) for field, text in cause.wrong]
        else:
            problems.append(_problem(dict(item), model, prefix))
    return problems


def _problem(item: Mapping[str, Any], model: type[BaseModel], prefix: str) -> Problem:
    location = [str(part) for part in item["loc"] if part != "[key]"]
    path = ".".join([prefix, *location])
    kind, given, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(location, model))
    if kind == "missing":
        return Problem(path, f"missing; add `{location[-1]}:`{_meaning(location, model)}")
    if kind == "value_error":
        reason = str(context["error"])
        return Problem(path, reason if not location else f"{_shown(given)} given; {reason}")
    if kind in ("enum", "literal_error"):
        return Problem(
            path, f"{_shown(given)} given; allowed: {context['expected']}{_closest(given, context['expected'])}"
        )
    return Problem(path, f"{_shown(given)} given; {item['msg'][0].lower()}{item['msg'][1:]}{_meaning(location, model)}")


def _unknown_key(location: Sequence[str], model: type[BaseModel]) -> str:
    owner = _model_at(location[:-1], model)
    if owner is None:
        return "unknown key; remove it"
    names = sorted(owner.model_fields)
    close = get_close_matches(location[-1], names, n=1)
    hint = f"did you mean `{close[0]}`?" if close else "remove it."
    return f"unknown key; {hint} Allowed: {', '.join(names)}"


def _closest(given: object, expected: str) -> str:
    options = [option.strip(" '") for option in expected.replace(" or ", ", ").split(",")]
    close = get_close_matches(str(given), options, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _meaning(location: Sequence[str], model: type[BaseModel]) -> str:
    owner = _model_at(location[:-1], model)
    field = owner.model_fields.get(location[-1]) if owner and location else None
    return f" ({field.description.splitlines()[0].rstrip('.')})" if field and field.description else ""


def _model_at(location: Sequence[str], model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that owns the field at `location`, or None where the path leads to no model."""
    found: Any = model
    for part in location:
        if get_origin(found) is tuple:
            found = _without_none(get_args(found)[0])
        elif _is_model(found) and part in found.model_fields:
            found = _without_none(found.model_fields[part].annotation)
        else:
            return None
    return found if _is_model(found) else None


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _without_none(annotation: Any) -> Any:
    """`X` for `X | None`."""
    members = [member for member in get_args(annotation) if member is not NoneType]
    return members[0] if isinstance(annotation, UnionType) and len(members) == 1 else annotation


def _shown(value: object) -> str:
    """A short form of a value; containers are named, not printed, since they may hold what is not ours to show."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, str | int | float | bool):
        text = str(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return "a list" if isinstance(value, list | tuple) else "nothing" if value is None else type(value).__name__
