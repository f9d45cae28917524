"""Build a tool from its pinned Go modules. Knows Go, not the cache: the caller names the destination.

A `Recipe` (tool.py) describes one folder below `toolchain/go/`:

- `module`: the folder's name; `requires`: the module versions its go.mod must pin (a test compares them).
- `binaries`: file name -> package, a folder of the module ("./cmd/x") or an import path.
- `variables`: string variables set by the linker (`-X name=value`); `tags`: build tags.
- `inputs`: files of a dependency copied into the build folder before the build; a `schema.json` among them gets the
  tool's version.
- `scripts`: files of a dependency copied beside the binaries and made executable.
- `bridge`: name of a bridged provider: `{}` is put into schema.json and bridge-metadata.json of
  `cmd/pulumi-resource-NAME`, `cmd/pulumi-tfgen-NAME` is built and run there, then the binaries are built.

Fixed for all: the module folder is copied, so generated files never appear in the checkout; CGO_ENABLED=0 (one value,
else everything is compiled twice), -trimpath, no debug information, no version control stamp, go.sum is authoritative.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import deque
from collections.abc import Callable
from pathlib import Path

from toolchain import paths
from toolchain.errors import ToolchainError
from toolchain.tool import Copy, Recipe, Tool

Note = Callable[[str], None]


def build(tool: Tool, destination: Path, note: Note) -> None:
    """Fill `destination` with the tool's binaries; raises ToolchainError with the compiler's last words."""
    for recipe in tool.recipes:
        work = destination / ".work" / recipe.module
        shutil.copytree(paths.modules() / recipe.module, work)
        _Builder(go_command(tool), recipe, work, note).run(tool.version, destination)
    shutil.rmtree(destination / ".work")


def go_command(tool: Tool) -> str:
    """The `go` on PATH, or an error that says what to install."""
    found = shutil.which("go")
    if found is None:
        raise ToolchainError(
            f"{tool.name} {tool.version}: no official release could be downloaded and Go is not installed, so it can "
            "not be built either. Install Go 1.26 or newer (package golang, or golang's own archive), put `go` on "
            "PATH and run the same command again; on an open network no Go is needed"
        )
    return found


class _Builder:
    """The steps of one recipe in one build folder."""

    def __init__(self, go: str, recipe: Recipe, work: Path, note: Note) -> None:
        self.go = go
        self.recipe = recipe
        self.work = work
        self.note = note

    def run(self, version: str, destination: Path) -> None:
        for copy in self.recipe.inputs:
            self._copy(copy, self.work, 0o644)
        schema = self.work / "schema.json"
        if schema.exists():
            _stamp(schema, version)
        if self.recipe.bridge:
            self._generate_schema()
        for name, package in self.recipe.binaries.items():
            self._compile(package, destination / name)
        for copy in self.recipe.scripts:
            self._copy(copy, destination, 0o755)

    def _generate_schema(self) -> None:
        folder = self.work / "cmd" / f"pulumi-resource-{self.recipe.bridge}"
        for name in ("schema.json", "bridge-metadata.json"):
            (folder / name).write_text("{}", encoding="utf-8")
        generator = self.work / "tfgen"
        self._compile(f"./cmd/pulumi-tfgen-{self.recipe.bridge}", generator)
        self.note("schema")
        self._command([str(generator), "schema", "--out", ".", "--skip-docs"], folder)

    def _compile(self, package: str, output: Path) -> None:
        links = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in self.recipe.variables.items())])
        command = [self.go, "build", "-v", "-trimpath", "-ldflags", links, "-o", str(output)]
        if self.recipe.tags:
            command += ["-tags", ",".join(self.recipe.tags)]
        self.note(output.name)
        self._command([*command, package], self.work, self._count(output.name))

    def _count(self, name: str) -> Note:
        seen = 0

        def line(text: str) -> None:
            nonlocal seen
            if not text.startswith("go: "):
                seen += 1
                self.note(f"{name}, {seen} packages compiled")
            elif text.startswith("go: downloading"):
                self.note(f"{name}, {text.removeprefix('go: ')}")

        return line

    def _copy(self, copy: Copy, target: Path, mode: int) -> None:
        folder = self._module_folder(copy.module)
        files = sorted(folder.glob(copy.pattern))
        if not files:
            raise ToolchainError(f"{self.recipe.module}: {copy.module} has no file {copy.pattern}")
        for file in files:
            shutil.copyfile(file, target / file.name)
            (target / file.name).chmod(mode)

    def _module_folder(self, module: str) -> Path:
        """The unpacked module in Go's own cache; downloads it when it is not there yet."""
        self._command([self.go, "mod", "download", module], self.work)
        return Path(self._command([self.go, "list", "-m", "-f", "{{.Dir}}", module], self.work).splitlines()[-1])

    def _command(self, command: list[str], folder: Path, line: Note | None = None) -> str:
        """Run a command; its messages go to `line` one by one. Returns its standard output."""
        with subprocess.Popen(
            command, cwd=folder, env=go_environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdout is not None
            output: list[str] = []
            tail: deque[str] = deque(maxlen=20)
            for text in process.stdout:
                tail.append(text.rstrip())
                if line is None:
                    output.append(text)
                else:
                    line(text.rstrip())
        if process.returncode != 0:
            shown = " ".join(Path(part).name if Path(part).is_absolute() else part for part in command)
            words = "\n    ".join(tail)
            raise ToolchainError(f"{self.recipe.module}: `{shown}` failed ({process.returncode}):\n    {words}")
        return "".join(output)


def go_environment() -> dict[str, str]:
    """The user's environment (proxies and module sources stay) with the fixed build settings."""
    fixed = {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly", "GOWORK": "off"}
    return {**os.environ, **fixed}


def _stamp(schema: Path, version: str) -> None:
    """Put the version into a provider's schema and drop its white space."""
    content = json.loads(schema.read_text(encoding="utf-8"))
    schema.write_text(json.dumps({**content, "version": version}, separators=(",", ":")), encoding="utf-8")
