"""Errors in what a person wrote: all at once, each with path, value, what is allowed and the edit that fixes it.

Turns pydantic's errors into that form, in plain words. Knows no provider and reads nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import BaseModel, ValidationError

from components.core.fielddocs import field_docstring
from components.core.secrecy import may_be_secret

_LONGEST = 590
_SHOWN = 60
_EXAMINED = 1000
_LISTED = 30
_HIDDEN = "(not shown, it may be a secret)"
_MARKS = ",;:.'\"()"
_NEEDED = {
    "bool": "true or false is needed",
    "date": "a day is needed, such as 2026-12-31",
    "dict": "a mapping is needed, such as {{{fields}}}",
    "finite": "a whole number is needed, such as 3",
    "float": "a number is needed, such as 0.5",
    "greater_than_equal": "at least {ge} is needed",
    "int": "a whole number is needed, such as 3",
    "invalid": "a key is text; put it in quotes",
    "less_than_equal": "at most {le} is allowed",
    "list": "a list is needed, such as [{entries}]",
    "mapping": "a mapping is needed, such as {{{fields}}}",
    "model": "a mapping is needed, such as {{{fields}}}",
    "recursion": "it contains itself, by an anchor (&) and an alias (*); write it out",
    "string": "text is needed",
    "string_too_long": "at most {max_length} characters are allowed",
    "string_too_short": "it must not be empty",
    "too_long": "at most {max_length} entries are allowed",
    "tuple": "a list is needed, such as [{entries}]",
}
"""What to say, by pydantic's type of error, or by its first word."""


@dataclass(frozen=True)
class Problem:
    """One wrong value: `path: given ...; explanation`."""

    path: str
    text: str

    def __str__(self) -> str:
        # Texts name what was given, and a secret may have been given anywhere.
        words = (_HIDDEN if may_be_secret(word.strip(_MARKS)) else word for word in self.text.split(" "))
        line = f"{self.path}: {' '.join(words)}"
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


Wrong = Iterator[tuple[str, str]]
"""What is wrong with a field: its path below the service, and the text of the problem."""


class ConfigError(Exception):
    """Everything that is wrong with an environment's configuration, found in one pass."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(dict.fromkeys(problems), key=lambda p: p.path))
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
    misspelt: set[str] = set()
    for item in error.errors(include_url=False):
        location = [str(part) for part in item["loc"] if part != "[key]"]
        path = dotted(prefix, *location)
        cause = item.get("ctx", {}).get("error")
        below = _model_at(location, model)
        if isinstance(cause, WrongFields):
            problems += [Problem(f"{path}.{field}", text) for field, text in cause.wrong]
        elif isinstance(cause, ValidationError) and below:
            problems += problems_of(cause, below, path)
        else:
            problems.append(Problem(path, _text(dict(item), location, model)))
        if item["type"] == "extra_forbidden" and (owner := _model_at(location[:-1], model)):
            misspelt.add(dotted(prefix, *location[:-1], closest(location[-1], owner.model_fields)))
    return [p for p in problems if not (p.path in misspelt and p.text.startswith("missing; "))]


def dotted(prefix: str, *parts: object) -> str:
    """A path in the YAML, in which an odd key can neither break the line nor fill the screen."""
    return ".".join([prefix, *(shown(part) for part in parts)])


def shown(value: object) -> str:
    """A short form of a value; containers are named, not printed, since they may hold what is not ours to show."""
    if isinstance(value, Mapping | list | tuple | set):
        name = "mapping" if isinstance(value, Mapping) else "list"
        return f"a {name}" if value else f"an empty {name}"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return "a huge number"
    text = str(value)[:_EXAMINED]
    if may_be_secret(text):
        return _HIDDEN
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: _SHOWN + 1])
    text = text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
    return f'"{text}"' if (isinstance(value, str) and text != text.strip()) or not text else text


def strangers(name: str, field: str, named: Iterable[str], consumers: Sequence[str]) -> Iterator[Problem]:
    """Services that a field of service `name` names and that don't use it."""
    for service in named:
        if service not in consumers:
            close = closest(service, consumers)
            hint = f"did you mean {close}?" if close else f"add {name} to its uses or remove it here."
            text = f"{service} given; no such service uses {name}; {hint} Allowed: {listed(consumers)}"
            yield Problem(f"groundwork:services.{name}.{field}", text)


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them, not more than one can take in."""
    found = list(names)
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return (", ".join(map(shown, found[:_LISTED])) or "none") + more


def closest(given: object, options: Iterable[str]) -> str:
    """The option that was probably meant, or nothing."""
    text, known = str(given)[:_SHOWN].strip().lower(), list(options)
    begun = [option for option in known if len(text) > 1 and (option.startswith(text) or text.startswith(option))]
    return next(iter(get_close_matches(text, known, n=1) or begun), "")


def _text(item: Mapping[str, Any], location: Sequence[str], model: type[BaseModel]) -> str:
    kind, given, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(location, model)
    if kind == "missing":
        return f"missing; add `{location[-1]}:`{_meaning(location, model)}"
    if kind == "value_error":
        reason = str(context["error"])
        return f"{_given(given)}; {reason}" if location else reason
    if kind in ("enum", "literal_error"):
        return _choice(given, context["expected"])
    needed = next((_NEEDED[key] for key in (kind, kind.split("_")[0]) if key in _NEEDED), "something else is needed")
    text = f"{_given(given)}; {needed.format(**context, **_examples(given, _model_at(location, model)))}"
    if kind == "string_type" and isinstance(given, int | float) and not isinstance(given, bool):
        text += f'; put it in quotes: "{shown(given)}"'
    if given is None and (owner := _model_at(location[:-1], model)) and location[-1] in owner.model_fields:
        text += "" if owner.model_fields[location[-1]].is_required() else "; or remove the line for the default"
    elif given is None and location[-1:] and location[-1].isdigit():
        text += "; or remove the empty entry"
    return text + _meaning(location, model)


def _examples(given: object, model: type[BaseModel] | None) -> dict[str, str]:
    """What a mapping and a list would look like there, made of what was given where that can be."""
    required = [name for name, field in model.model_fields.items() if field.is_required()] if model else []
    names = required or (list(model.model_fields)[:1] if model else ["name"])
    fields = ", ".join(f"{name}: ..." for name in names)
    words = shown(given).split() if isinstance(given, str | int) and not isinstance(given, bool) else ["a", "b"]
    return {"fields": fields, "entries": f"{{{fields}}}" if model else ", ".join(words)}


def _given(value: object) -> str:
    """The value, in the quotes that make it text where it would read as something else."""
    text = shown(value)
    reads_otherwise = isinstance(value, str) and (text.replace(".", "", 1).lstrip("-").isdigit() or text == "nothing")
    return f'"{text}" (text) given' if reads_otherwise else f"{text} given"


def _unknown_key(location: Sequence[str], model: type[BaseModel]) -> str:
    owner = _model_at(location[:-1], model)
    if owner is None:
        return "unknown key; remove it"
    names, key = sorted(owner.model_fields), location[-1]
    parts = {name: _one_model(field.annotation) for name, field in owner.model_fields.items()}
    under = [name for name, part in parts.items() if _is_model(part) and key in part.model_fields]
    close = closest(key, names)
    hint = f"move it under `{under[0]}:`." if under else f"did you mean `{close}`?" if close else "remove it."
    return f"unknown key; {hint} Allowed: {', '.join(names)}"


def _choice(given: object, expected: str) -> str:
    options = [option.strip(" '") for option in expected.replace(" or ", ", ").split(",")]
    close = closest(given, options) if isinstance(given, str) else ""
    return f"{_given(given)}; allowed: {', '.join(options)}{f'; did you mean {close}?' if close else ''}"


def _meaning(location: Sequence[str], model: type[BaseModel]) -> str:
    owner = _model_at(location[:-1], model)
    described = field_docstring(owner, location[-1]) if owner and location else ""
    if not described:
        return ""
    sentence = " ".join(described.split()).partition(". ")[0]
    return f" ({sentence.rstrip('.')})"


def _model_at(location: Sequence[str], model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that owns the field at `location`, or None where the path leads to no model."""
    found: Any = model
    for part in location:
        if get_origin(found) is tuple:
            found = _one_model(get_args(found)[0])
        elif _is_model(found) and part in found.model_fields:
            found = _one_model(found.model_fields[part].annotation)
        else:
            return None
    if get_origin(found) is tuple:
        found = _one_model(get_args(found)[0])
    return found if _is_model(found) else None


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _one_model(annotation: Any) -> Any:
    """`X` for `X | None`, and the model among the members of a union."""
    if get_origin(annotation) is tuple:
        return annotation
    members = [member for member in get_args(annotation) if member is not NoneType]
    models = [member for member in members if _is_model(member)]
    return models[0] if len(models) == 1 else members[0] if len(members) == 1 else annotation
