"""Subjects of NATS as sets of names: which are valid, and which cover or overlap others. Pure.

NATS documentation, "Subject-Based Messaging": tokens between dots, where `*` stands for one token and `>`, at the end,
for one or more.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.([A-Za-z0-9_-]+|\*))*(\.>)?")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_LONGEST = 200


def _subject(value: str) -> str:
    """The first token is a word: `>` would capture the server's own subjects, which begin with `$` and `_INBOX`."""
    if len(value) > _LONGEST or not _SUBJECT.fullmatch(value):
        allowed = "words of letters, digits, '_' and '-' between dots; after the first, * for one word, > for the rest"
        raise ValueError(f"allowed: {allowed}, such as orders.*.paid")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("allowed: 1 to 64 letters, digits, '_' and '-', starting with a letter, such as ORDERS")
    return value


Subject = Annotated[str, AfterValidator(_subject)]
AssetName = Annotated[str, AfterValidator(_name)]
"""Name of a stream or of a durable consumer."""


def covers(wider: str, narrower: str) -> bool:
    """Whether every name that `narrower` stands for is one of `wider`."""
    outer, inner = wider.split("."), narrower.split(".")
    for index, word in enumerate(outer):
        if word == ">":
            return len(inner) > index
        if index == len(inner) or inner[index] == ">" or word not in ("*", inner[index]):
            return False
    return len(outer) == len(inner)


def overlap(one: str, other: str) -> bool:
    """Whether some name is one of both."""
    ones, others = one.split("."), other.split(".")
    for pair in zip(ones, others, strict=False):
        if ">" in pair:
            return True
        if pair[0] != pair[1] and "*" not in pair:
            return False
    return len(ones) == len(others)
