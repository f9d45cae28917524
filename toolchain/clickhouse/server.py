"""clickhouse-server --config-file=FILE: the engine behind HAProxy, until it is told to end."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from toolchain.clickhouse.configuration import (
    HTTP_PORT,
    STOPPER,
    NotHere,
    engine_settings,
    haproxy_settings,
    resolved,
    signers,
)
from toolchain.clickhouse.engine import answer

_SERVE = """
SYSTEM START LISTEN HTTP;
SYSTEM START LISTEN TCP;
SELECT sleepEachRow(1) FROM numbers(10000000000)
SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0 FORMAT Null
"""
"""It listens while it answers."""
_END = (
    "SYSTEM FLUSH ASYNC INSERT QUEUE",
    "KILL QUERY WHERE query LIKE '%sleepEachRow%' AND user != currentUser() ASYNC",
)


def main(words: list[str]) -> int:
    """Serve. What can't be served is said, and nothing begun."""
    file = Path(words[0].removeprefix("--config-file="))
    try:
        settings = _read(file)
        users = _read(file.with_name(settings["users_config"]))
        secret = secrets.token_hex()
        content = engine_settings(settings, users, secret)
    except (NotHere, OSError, ValueError, KeyError, ET.ParseError) as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 1
    _enter(Path(settings["path"]), content)
    with _haproxy(haproxy_settings(settings, signers(users["users"]), secret)) as haproxy:
        ends = threading.Event()
        for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(asked, lambda *_: ends.set())
        engine = threading.Thread(target=_serve, args=(settings["path"], ends))
        engine.start()
        ends.wait()
        failed = haproxy.poll() is not None or not engine.is_alive()
        haproxy.terminate()
        _end(secret)
        engine.join(settings["shutdown_wait_unfinished"])
    # A thread of the library may still be at work, and would be waited for.
    os._exit(int(failed))


def _read(file: Path) -> Any:
    """A file of settings in JSON, with what it includes."""
    settings = json.loads(file.read_text(encoding="utf-8"))
    included = ET.parse(settings["include_from"]).getroot() if "include_from" in settings else ()  # noqa: S314 (our own file)
    return resolved(settings, {one.tag: one.text or "" for one in included}, os.environ)


def _enter(folder: Path, content: str) -> None:
    """Write the engine's settings where it looks for them: in the folder that it is started in."""
    os.chdir(folder)
    os.umask(0o077)
    Path("config.xml").write_text(content, encoding="utf-8")


def _haproxy(content: str) -> subprocess.Popen[bytes]:
    """HAProxy, with settings that are in no file: they have the secret in them."""
    number = os.memfd_create("haproxy.cfg")
    os.write(number, content.encode())
    return subprocess.Popen(["haproxy", "-db", "-f", f"/proc/self/fd/{number}"], pass_fds=[number])


def _serve(path: str, ends: threading.Event) -> None:
    answer(_SERVE, path)
    ends.set()


def _end(secret: str) -> None:
    """Have the engine write what it holds, and leave its last statement."""
    headers = {"X-ClickHouse-User": STOPPER, "X-ClickHouse-Key": secret}
    for statement in _END:
        connection = http.client.HTTPConnection("127.0.0.1", HTTP_PORT, timeout=30)
        try:
            connection.request("POST", "/", statement, headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            print(f"at the end: {error}", file=sys.stderr)
        finally:
            connection.close()
