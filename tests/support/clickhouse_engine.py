"""A ClickHouse that the scripts of its image can talk to: the engine, which chdb has in a library, behind programs of
the names that the image has. Servers are folders, and each call is a session of its own.

It knows no Keeper and no cluster: tables of several replicas are made as plain ones here, `ON CLUSTER` is said to every
server, and what is noted for all is kept in one folder.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

SERVE = """
import json, socket, sys
from contextlib import suppress
import chdb

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
print("ready", flush=True)
while True:
    caller, _ = listener.accept()
    # Who asks may be killed meanwhile.
    with suppress(OSError, ValueError), caller, caller.makefile("rw") as stream:
        folder, text = json.loads(stream.readline())
        connection = chdb.connect(folder)
        try:
            for quiet in ("STOP MERGES", "STOP TTL MERGES", "STOP VIEWS"):
                connection.query("SYSTEM " + quiet)
            answer = [connection.query(text, "TSV").bytes().decode(), ""]
        except Exception as error:
            answer = ["", str(error)]
        finally:
            connection.close()
        stream.write(json.dumps(answer) + "\\n")
"""
"""In a process of its own: the engine takes over a process that it is loaded into."""

PROGRAM = '''#!{python}
"""clickhouse-client, and clickhouse local, for folders that stand for servers."""
import json, os, pathlib, re, socket, sys

said = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--"))
text = said["query"] if "query" in said else pathlib.Path(said["queries-file"]).read_text()
root = pathlib.Path({root!r})
own = os.environ.get("SERVER") or {hosts!r}.get(said.get("host"), "none")
folders = [root / own]
with open(root / "asked", "a") as asked:
    asked.write("-- %s %s\\n%s\\n\\n" % (own, os.environ.get("INDEX", "0"), text.rstrip()))
if "path" in said:
    folders = [pathlib.Path(said["path"])]
elif "gw_restore.notes" in text:
    folders = [root / "notes"]
elif " ON CLUSTER groundwork" in text:
    folders = [root / one for one in {hosts!r}.values()]
if "path" not in said:
    text = re.sub(r"ENGINE = Replicated(\\w*MergeTree)\\('[^']*', '[^']*'(, )?", r"ENGINE = \\1(", text)
    text = text.replace(" ON CLUSTER groundwork", "").replace("SYSTEM SYNC REPLICA gw_restore.notes;", "")
dying = root / "dies"
dies = dying.exists() and "INSERT INTO" in text and dying.read_text() in text
if dies:
    text = re.sub("'zstd'\\\\);\\n$", "'zstd') LIMIT 2;\\n", text)
for folder in folders:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as engine, engine.makefile("rw") as stream:
        engine.connect({address!r})
        stream.write(json.dumps([str(folder), text]) + "\\n")
        stream.flush()
        answer, error = json.loads(stream.readline())
    sys.stdout.write(answer)
    if error:
        sys.exit(error)
if dies:
    dying.unlink()
    sys.exit("it was killed while it gave rows")
'''


@dataclass(frozen=True)
class Engine:
    """Where the engine is asked."""

    address: str

    def ask(self, server: Path, text: str) -> str:
        """What it answers; statements end in `;`."""
        server.parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX) as engine, engine.makefile("rw") as stream:
            engine.connect(self.address)
            stream.write(f"{json.dumps([str(server), text])}\n")
            stream.flush()
            answer, error = json.loads(stream.readline())
        assert not error, error
        return str(answer)

    def write_programs(self, folder: Path, root: Path, hosts: dict[str, str]) -> None:
        """Put the image's programs into `folder`. `root`: of the servers' folders; `hosts`: their names by host."""
        folder.mkdir(parents=True)
        text = PROGRAM.format(python=sys.executable, root=str(root), hosts=hosts, address=self.address)
        for name in ("clickhouse", "clickhouse-client"):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)


@contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine, until it is left."""
    with TemporaryDirectory() as folder:
        address = f"{folder}/engine"
        process = subprocess.Popen([sys.executable, "-c", SERVE, address], stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield Engine(address)
        finally:
            process.kill()
            process.communicate()
