"""Files of an export: their text, and how they get on disk so that a secret is read by its owner alone."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.problems import ConfigError, Problem

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/_.-]*")
_WORDS = frozenset({"y", "yes", "n", "no", "on", "off", "true", "false", "null"})
"""What readers of YAML 1.1 take for something other than text (YAML 1.1, "Language-Independent Types")."""


@dataclass(frozen=True)
class File:
    """Text of one file. A secret one is readable by its owner alone, and so is its folder."""

    text: str
    secret: bool = False


def yaml_text(document: Any, comment: str = "") -> str:
    """A document as YAML that readers of version 1.1 and of 1.2 understand alike; kubectl and Compose differ there."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 10_000
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    yaml.dump(_scalars(document), stream)
    return "".join(f"# {line}\n" for line in comment.splitlines()) + stream.getvalue()


def write(folder: Path, files: Mapping[str, File]) -> None:
    """Write files by their paths below `folder`, which must be new or empty. Raises ConfigError where it is neither."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            text = f"{folder} given; it is not empty; remove it, or name another folder"
            raise ConfigError([Problem("--out", text)])
        private = {(folder / path).parent for path, file in files.items() if file.secret}
        for path, file in files.items():
            target = folder / path
            if not target.parent.exists():
                target.parent.parent.mkdir(parents=True, exist_ok=True)
                target.parent.mkdir(mode=0o700 if target.parent in private else 0o777)
            _create(target, file.text, 0o600 if file.secret else 0o666)
    except OSError as error:
        raise ConfigError([Problem("--out", f"{folder} given; {error.filename}: {error.strerror}")]) from None


def _create(path: Path, text: str, mode: int) -> None:
    """Whoever may not read it never could: the mode is there from the beginning."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as stream:
        stream.write(text)


def _scalars(value: Any) -> Any:
    """The same value, with text in quotes wherever a reader could take it for something else."""
    from ruamel.yaml.scalarstring import LiteralScalarString, SingleQuotedScalarString

    if isinstance(value, Mapping):
        return {_scalars(key): _scalars(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_scalars(item) for item in value]
    if not isinstance(value, str):
        return value
    if "\n" in value:
        return LiteralScalarString(value)
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else SingleQuotedScalarString(value)
