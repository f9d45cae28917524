"""A private copy of this checkout with its own state and its own embedded cluster, driven by the real commands."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
UP_SECONDS = 600


class Checkout:
    """A working copy that tests may edit; nothing in it reaches the user's state, cluster or files."""

    def __init__(self, root: Path, state: Path, **variables: str) -> None:
        self.root = root
        self.state_home = state
        self._originals: dict[str, str] = {}
        private = {"XDG_STATE_HOME": str(state), "NO_COLOR": "1", **variables}
        self._base = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "XDG_STATE"))} | private

    @classmethod
    def copy(cls, root: Path, state: Path, **variables: str) -> Checkout:
        """Copy every file that belongs to the project, edited or not."""
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
        for name in names:
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)
        for settings in root.glob("Pulumi.*.yaml"):
            # The salt of the user's own stack, if there is one, has no meaning here.
            lines = settings.read_text().splitlines(keepends=True)
            settings.write_text("".join(line for line in lines if not line.startswith("encryptionsalt:")))
        (root / ".venv").symlink_to((ROOT / ".venv").resolve())
        return cls(root, state, **variables)

    @property
    def env(self) -> dict[str, str]:
        """What `eval "$(make -s env)"` gives a shell in this checkout."""
        code = "import json, toolchain.environment as e; print(json.dumps(e.environment()))"
        found = subprocess.run(
            [sys.executable, "-c", code], cwd=self.root, env=self._base, check=True, capture_output=True, text=True
        )
        return {**self._base, **json.loads(found.stdout)}

    def groundwork(self, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The commands behind `make up` and `make down`."""
        return self._run([sys.executable, "-m", "stacks.cli", *args], {**self._base, **variables})

    def pulumi(self, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Plain `pulumi`."""
        return self._run(["pulumi", *args], {**self.env, **variables})

    def preview(self, stack: str, *args: str) -> subprocess.CompletedProcess[str]:
        """`pulumi preview` gated by the policies."""
        return self.pulumi("preview", "--stack", stack, "--policy-pack", "policies", *args)

    def init(self, stack: str) -> None:
        """Make the stack known to the backend if it is not."""
        code = f"from stacks.cli import _pulumi as p; p('{stack}').ensure()"
        done = self._run([sys.executable, "-c", code], self._base)
        assert done.returncode == 0, done.stderr

    def start(self, *args: str, **variables: str) -> subprocess.Popen[str]:
        """Start a groundwork command in a process group of its own and return at once."""
        return subprocess.Popen(
            [sys.executable, "-m", "stacks.cli", *args], cwd=self.root, env={**self._base, **variables}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def run_toolchain(self, *args: str) -> subprocess.CompletedProcess[str]:
        """`python3 -m toolchain`."""
        return self._run([sys.executable, "-m", "toolchain", *args], self._base)

    def kubectl(self, *args: str, stdin: str | None = None, node: bool = False) -> str:
        """kubectl against the embedded cluster, or that with a real `node`; raises where it fails."""
        which = ["--node"] if node else []
        command = [sys.executable, "-m", "toolchain", "cluster", "kubectl", *which, "--", *args]
        done = subprocess.run(command, cwd=self.root, env=self._base, input=stdin, capture_output=True, text=True)
        assert done.returncode == 0, f"kubectl {' '.join(args)}: {done.stderr}"
        return done.stdout

    def objects(self, *args: str) -> list[dict[str, Any]]:
        """Objects of the cluster, by the arguments of `kubectl get`."""
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", *args, "-o", "json"))["items"]
        return found

    def state(self, stack: str, *args: str) -> dict[str, Any]:
        """The stack's exported deployment."""
        done = self.pulumi("stack", "export", "--stack", stack, *args)
        assert done.returncode == 0, done.stderr
        deployment: dict[str, Any] = json.loads(done.stdout)["deployment"]
        return deployment

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text that must be there, once."""
        path = self.root / file
        text = path.read_text()
        self._originals.setdefault(file, text)
        assert text.count(old) >= 1, f"{file} does not contain {old!r}"
        path.write_text(text.replace(old, new, 1))

    def keep(self, stack: str, *services: str) -> None:
        """Leave only these services in an environment, with the edges among them and no backups."""
        file = f"Pulumi.{stack}.yaml"
        path = self.root / file
        self._originals.setdefault(file, path.read_text())
        settings = YAML(typ="safe").load(path)
        # The state has the salt too; written anew, its line would be two.
        settings.pop("encryptionsalt", None)
        given = settings["config"]["groundwork:services"]
        settings["config"]["groundwork:services"] = {name: given[name] for name in services}
        for service in (given[name] for name in services):
            service.pop("backup", None)
            if "uses" in service:
                service["uses"] = [used for used in service["uses"] if used in services]
        YAML().dump(settings, path)

    def restore(self, file: str) -> None:
        """Take every edit of a file back."""
        (self.root / file).write_text(self._originals.pop(file))

    def _run(self, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.root,
            env=env,
            text=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=UP_SECONDS,
        )


def kill_all(process: subprocess.Popen[str]) -> None:
    """SIGKILL to everything the command started, plugins in process groups of their own too: the machine is gone."""
    for number in [*_descendants(process.pid), process.pid]:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()


def _descendants(parent: int) -> list[int]:
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = [parent]
    for number in found:
        found += [child for child, its_parent in parents.items() if its_parent == number]
    return found[1:]
