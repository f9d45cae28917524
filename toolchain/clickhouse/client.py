"""clickhouse-client --config-file=FILE [--host=HOST] (--query=TEXT | --queries-file=FILE): asks a server of this image.

It asks by HTTP, which the server takes at the port for its own protocol too. ClickHouse documentation, "HTTP
Interface", "SSL X.509 Certificate Authentication", "INTO OUTFILE Clause".
"""

from __future__ import annotations

import json
import re
import shutil
import ssl
import sys
import uuid
from collections.abc import Iterator
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

_PIECE = re.compile(r"--[^\n]*|'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|;|[^-'`\";]+|.", re.DOTALL)
_INTO = re.compile(r"\s+INTO\s+OUTFILE\s+'(?P<file>[^']*)'(?P<packed>\s+COMPRESSION\s+'zstd')?(?=\s|$)", re.IGNORECASE)
_HOUR = 3600


class Failed(Exception):
    """What the server, or the way to it, has against a statement."""


def statements(text: str) -> Iterator[str]:
    """The statements of a text: what `;` parts, where it is in no literal, identifier or comment."""
    statement = ""
    for piece in _PIECE.findall(text):
        if piece == ";":
            yield statement.strip()
            statement = ""
        elif not piece.startswith("--"):
            statement += piece
    yield statement.strip()


class Server:
    """A server, asked in one session."""

    def __init__(self, settings: dict[str, Any], host: str) -> None:
        tls = settings["openSSL"]["client"]
        context = ssl.create_default_context(cafile=tls["caConfig"])
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(tls["certificateFile"], tls["privateKeyFile"])
        self._connection = HTTPSConnection(host, int(settings["port"]), timeout=_HOUR, context=context)
        self._user = settings["user"]
        self._session = {"session_id": str(uuid.uuid4()), "session_timeout": str(_HOUR), "default_format": "TSV"}

    def ask(self, statement: str) -> None:
        """Answer a statement: on standard output, or into the file that it names. Raises Failed."""
        found = _INTO.search(statement)
        packed = bool(found and found["packed"])
        text = statement[: found.start()] + statement[found.end() :] if found else statement
        # An error in the middle of the rows comes instead of them, and not behind those that were sent already.
        options = {**self._session, "wait_end_of_query": "1", **({"enable_http_compression": "1"} if packed else {})}
        headers = {"X-ClickHouse-User": self._user, "X-ClickHouse-SSL-Certificate-Auth": "on"}
        if packed:
            headers["Accept-Encoding"] = "zstd"
        try:
            self._connection.request("POST", f"/?{urlencode(options)}", text.encode(), headers)
            with self._connection.getresponse() as response:
                if response.status != 200:
                    raise Failed(response.read().decode(errors="replace").strip() or f"HTTP {response.status}")
                if found:
                    # One that is there already is somebody's.
                    with Path(found["file"]).open("xb") as file:
                        shutil.copyfileobj(response, file)
                else:
                    shutil.copyfileobj(response, sys.stdout.buffer)
                    sys.stdout.flush()
        except (OSError, HTTPException) as error:
            raise Failed(f"{self._connection.host}:{self._connection.port}: {error}") from error


def main(words: list[str]) -> int:
    """Answer every statement, in their order; the first that fails is the last."""
    given = dict(word[2:].partition("=")[::2] for word in words if word.startswith("--"))
    settings = json.loads(Path(given["config-file"]).read_text(encoding="utf-8"))
    text = given["query"] if "query" in given else Path(given["queries-file"]).read_text(encoding="utf-8")
    try:
        server = Server(settings, given.get("host") or settings["host"])
        for statement in filter(None, statements(text)):
            server.ask(statement)
    except (Failed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
