"""A small tool for tests, a `go` that pretends to build it, and a program that installs it in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from toolchain.tool import Asset, Recipe, Release, Tool

SAMPLE = Tool(
    name="sample",
    version="1.2.3",
    release=Release((Asset("http://127.0.0.1:9/sample", "http://127.0.0.1:9/sums", ("pulumi-resource-sample",)),)),
    recipes=(Recipe("sample", {}, {"pulumi-resource-sample": "."}),),
    minutes=0.1,
    plugin="sample",
)

# Says each build in a log, writes half a file, waits as long as the file `hold` is there, then writes the rest.
GO = """#!/bin/sh
while [ $# -gt 0 ]; do
  if [ "$1" = -o ]; then output=$2; fi
  shift
done
echo built >> "$GO_LOG"
printf '#!/bin/sh\\n' > "$output"
while [ -e "$GO_HOLD" ]; do sleep 0.02; done
echo 'echo sample 1.2.3' >> "$output"
chmod 755 "$output"
"""


def write_module(folder: Path) -> None:
    """The sample's Go module, as far as the toolchain looks at it."""
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text("module sample\n", encoding="utf-8")


def write_go(home: Path) -> None:
    """Put the pretending `go` on PATH."""
    go = home / "bin" / "go"
    go.write_text(GO, encoding="utf-8")
    go.chmod(0o755)


def use_modules(folder: Path) -> None:
    """Let this process take Go modules from `folder` and leave the Python environment alone."""
    from toolchain import paths, venv

    paths.modules = lambda: folder
    venv.is_ready = lambda: True


def main() -> None:
    """Install the sample as `python3 -m toolchain install` would."""
    from toolchain.install import Installer
    from toolchain.progress import Progress

    use_modules(Path(os.environ["SAMPLE_MODULES"]))
    rows = Installer("build", Progress(), (SAMPLE,)).run()
    sys.stdout.write(rows[0].source)


if __name__ == "__main__":
    main()
