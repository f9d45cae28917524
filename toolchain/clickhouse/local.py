"""clickhouse local --path=FOLDER --queries-file=FILE: statements to the engine, without a server."""

from __future__ import annotations

import sys
from pathlib import Path

from toolchain.clickhouse.engine import answer


def main(words: list[str]) -> int:
    """Answer on standard output."""
    if words[:1] != ["local"]:
        print("clickhouse: this image has `clickhouse local` alone", file=sys.stderr)
        return 2
    given = dict(word[2:].partition("=")[::2] for word in words[1:])
    said = answer(Path(given["queries-file"]).read_text(encoding="utf-8"), given["path"])
    if said is None:
        return 1
    sys.stdout.write(said)
    return 0
