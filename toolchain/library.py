"""Layers of a library from the project's Python environment, and of this project's programs around it.

The environment has exactly what `requirements.lock` names, so nothing is fetched here.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

from toolchain import debian, paths, venv
from toolchain.errors import ToolchainError
from toolchain.image_layers import Layer, as_root, cached
from toolchain.recipe import Library

Log = Callable[[str], None]

_PROGRAM = """#!/usr/bin/python3
import sys

sys.path.insert(0, {path!r})
from {module} import main

sys.exit(main(sys.argv[1:]))
"""


def library_layer(library: Library, log: Log) -> Layer:
    """The library's files, the folder of each program and, in /usr/bin, what calls it.

    Raises ToolchainError where the environment has not that version.
    """
    programs = dict(_programs(library))

    def fill(folder: Path) -> dict[str, str]:
        found = _installed(library)
        root = library.path.lstrip("/")
        with tarfile.open(folder / "layer.tar", "w", format=tarfile.GNU_FORMAT) as layer:
            for file in found.files or ():
                if any(file.match(pattern) for pattern in library.files):
                    layer.add(Path(str(file.locate())), f"{root}/{file}", filter=as_root)
            for name, content in programs.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), 0o755
                layer.addfile(member, io.BytesIO(content))
        return {library.package: library.version}

    sums = [hashlib.sha256(content).hexdigest() + name for name, content in sorted(programs.items())]
    key = debian.key(repr(library), *sums)
    return cached(f"python-{library.package}-{key}", f"Python package {library.package}", fill, log)


def _programs(library: Library) -> Iterator[tuple[str, bytes]]:
    """This project's files, by their place in the image."""
    for name, module in library.programs.items():
        yield f"usr/bin/{name}", _PROGRAM.format(path=library.path, module=module).encode()
        folder = Path(*module.split(".")[:-1])
        for file in sorted((paths.checkout() / folder).glob("*.py")):
            yield f"{library.path.lstrip('/')}/{folder / file.name}", file.read_bytes()


def _installed(library: Library) -> Distribution:
    places = [str(path) for path in (venv.folder() / "lib").glob("python*/site-packages")]
    for found in distributions(name=library.package, path=places):
        if found.version == library.version:
            return found
    raise ToolchainError(
        f"{library.package} {library.version}: not in the project's Python environment ({venv.folder()}); run "
        "`make toolchain`"
    )
