"""ClickHouse's engine, as the library chdb holds it: clickhouse-local, which can listen.

It takes over the process that it is loaded into, and answers there once. ClickHouse documentation, "clickhouse-local",
"SYSTEM START LISTEN".
"""

from __future__ import annotations

import importlib
import os
import sys
import types

FOLDER = "/usr/lib/clickhouse/chdb"
"""Where the image has the library."""
_DONE = "-- every statement was answered --"


def answer(statements: str, path: str) -> str | None:
    """What the engine says to statements that end in `;`, as tab-separated text; its tables are in the folder `path`.

    None where one of them failed, which it has said on standard error by then.
    """
    said: str = _load().query(f"{statements}\n;SELECT '{_DONE}' FORMAT TSVRaw", "TSV", path=path).bytes().decode()
    return said.removesuffix(f"{_DONE}\n") if said.endswith(f"{_DONE}\n") else None


def _load() -> types.ModuleType:
    """The library without the rest of its package, which would begin an engine of its own."""
    package = types.ModuleType("chdb")
    package.__path__ = [FOLDER]
    sys.modules["chdb"] = package
    # It brings its own allocator, which must not mix with Python's.
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    return importlib.import_module("chdb._chdb")
