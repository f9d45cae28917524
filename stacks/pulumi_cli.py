"""The official `pulumi` command, run for one stack: live output, and a second try where a dead process left its lock.

Nothing here replaces what `pulumi` does; whoever prefers it plain calls it plain.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from toolchain.environment import environment
from toolchain.processes import program

_LOCK = re.compile(r"(?P<url>\S+): created by \S+@(?P<host>\S+) \(pid (?P<pid>\d+)\)")
_LOCK_GONE = re.compile(r"\.pulumi/locks/.*\(code=NotFound\)")


class PulumiError(Exception):
    """`pulumi` ended with an error; it has said why itself. Bears its exit code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"pulumi ended with {code}")


@dataclass(frozen=True)
class Preview:
    """What a preview has found."""

    changes: bool
    """Whether an `up` would change anything, outputs of the stack included."""
    images: tuple[str, ...]
    """Images of the containers that there will be."""


class _Locked(PulumiError):
    """Somebody else's lock stood in the way."""


class _Freed(_Locked):
    """The lock was a dead process's, and is removed."""


class Pulumi:
    """`pulumi` for one stack of the project in `root`."""

    def __init__(self, stack: str, root: Path, say: Callable[[str], None]) -> None:
        self.stack = stack
        self._root = root
        self._settings = root / f"Pulumi.{stack}.yaml"
        self.say = say
        # The option `--event-log` is hidden without this variable.
        self._env: Mapping[str, str] = {**os.environ, **environment(), "PULUMI_DEBUG_COMMANDS": "true"}

    def run(self, *args: str) -> None:
        """Run with live output and the environment's settings."""
        with self._settings_copy() as settings:
            self._insist(self._command(*args, "--config-file", str(settings)), self._root)

    def _insist(self, command: list[str], folder: Path, on: type[_Locked] = _Locked) -> None:
        """Try again where a lock stood in the way that is gone or can be removed.

        A lock of a process that no longer exists here is removed. Of two that begin at once, both may find the other's
        lock and give up, or look for one that has just gone: then one of them gets through. `on`: what to try again.
        """
        from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

        attempts = Retrying(
            stop=stop_after_attempt(4), wait=wait_random(0.5, 3), retry=retry_if_exception_type(on), reraise=True
        )
        attempts(self._attempt, command, folder)

    def _attempt(self, command: list[str], folder: Path) -> None:
        code, errors = self._stream(command, folder)
        if not code:
            return
        holders = list(_LOCK.finditer(errors))
        if self._are_dead(holders):
            self.say("The lock was left by a process that no longer exists; removing it and trying again.")
            self._remove(holders)
            raise _Freed(code)
        raise _Locked(code) if holders or _LOCK_GONE.search(errors) else PulumiError(code)

    def _remove(self, locks: list[re.Match[str]]) -> None:
        """Remove the locks of dead processes: those in folders by name, for `pulumi cancel` would remove a living
        one that came meanwhile too, and it refuses where the stack is not made yet."""
        urls = [urlsplit(lock["url"]) for lock in locks]
        for url in urls:
            if url.scheme == "file":
                Path(unquote(url.path)).unlink(missing_ok=True)
        if any(url.scheme != "file" for url in urls):
            # Where it refuses, the lock may have gone with the run that could not make the stack: trying again tells.
            subprocess.run(self._command("cancel", "--yes"), cwd=self._root, env=self._env, check=False)

    def preview(self, *args: str) -> Preview:
        """Preview with live output; what is to be known of it before an `up`."""
        with tempfile.TemporaryDirectory() as scratch:
            log = Path(scratch) / "events.json"
            self.run("preview", "--event-log", str(log), *args)
            events = [json.loads(line) for line in log.read_text().splitlines()]
        images = dict.fromkeys(image for event in events for image in _images(event))
        return Preview(any(_changes(event) for event in events), tuple(images))

    def read(self, *args: str) -> Any:
        """The JSON that a command prints. Raises PulumiError after showing its errors."""
        done = subprocess.run(
            self._command(*args), cwd=self._root, env=self._env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.stderr.write(done.stderr)
            raise PulumiError(done.returncode)
        return json.loads(done.stdout)

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replace the stack's state by what `stack export` has just given, changed.

        Raises PulumiError where somebody is at work on it, at once: what was read would be old when they are done.
        """
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "state.json"
            file.write_text(json.dumps(state), encoding="utf-8")
            self._insist(self._command("stack", "import", "--file", str(file)), self._root, on=_Freed)

    def exists(self) -> bool:
        """Whether the stack is known to the backend."""
        listed = self.read("stack", "ls", "--json")
        return any(entry["name"].split("/")[-1] == self.stack for entry in listed)

    def ensure(self) -> None:
        """Create the stack if it is not known. What protects its secrets is in state, not in the settings file."""
        if self.exists():
            return
        provider = os.environ.get("GROUNDWORK_SECRETS_PROVIDER", "default")
        command = ["pulumi", "stack", "init", self.stack, "--no-select", "--secrets-provider", provider]
        with self._settings_copy() as settings:
            shutil.copy(self._root / "Pulumi.yaml", settings.parent)
            try:
                self._insist(command, settings.parent)
            except PulumiError:
                if not self.exists():
                    self.say(
                        "`pulumi cancel` needs the stack: delete the lock that is named above where its run is dead."
                    )
                    raise
                self.say(f"Another run has just made the stack {self.stack}.")

    @contextmanager
    def _settings_copy(self) -> Iterator[Path]:
        """A copy of the settings for one run. Pulumi writes the salt of a stack's key into the file it is given, in
        place: killed meanwhile, it leaves an empty one. The salt is in state too; unless the file holds a secret, what
        a plain `pulumi` has noted is left out, for it may belong to somebody else's stack of the same name."""
        text = self._settings.read_text(encoding="utf-8")
        if "secure:" not in text:
            text = re.sub(r"^(encryptionsalt|encryptedkey|secretsprovider):.*\n?", "", text, flags=re.MULTILINE)
        with tempfile.TemporaryDirectory() as scratch:
            settings = Path(scratch) / self._settings.name
            settings.write_text(text, encoding="utf-8")
            yield settings

    def _command(self, *args: str) -> list[str]:
        stack = [] if args[:2] == ("stack", "ls") else ["--stack", self.stack]
        return ["pulumi", *args, *stack]

    def _stream(self, command: list[str], folder: Path) -> tuple[int, str]:
        """Run with standard output untouched, so that progress stays live; errors are shown and kept."""
        kept: list[str] = []
        process = subprocess.Popen(
            command, cwd=folder, env=self._env, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            kept.append(line)
        return process.wait(), "".join(kept)

    @staticmethod
    def _are_dead(holders: list[re.Match[str]]) -> bool:
        """Whether each lock is of a `pulumi` on this machine that no longer runs."""
        here = socket.gethostname()
        return bool(holders) and all(h["host"] == here and program(int(h["pid"])) != "pulumi" for h in holders)


def _images(event: Mapping[str, Any]) -> Iterator[str]:
    """Images of the containers that an engine event tells of: on a Docker engine, or of pods and what makes them."""
    new = event.get("resourcePreEvent", {}).get("metadata", {}).get("new") or {}
    kind = str(new.get("type", ""))
    if kind == "docker:index/container:Container":
        yield str(new["inputs"]["image"])
    elif kind.startswith("kubernetes:"):
        yield from _named_images(new["inputs"].get("spec"))


def _named_images(value: Any) -> Iterator[str]:
    """`image` is the field of a container and of a Pooler, `imageName` that of a Cluster of CloudNativePG."""
    if isinstance(value, list):
        for item in value:
            yield from _named_images(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key in ("image", "imageName") and isinstance(item, str):
                yield item
            else:
                yield from _named_images(item)


def _changes(event: Mapping[str, Any]) -> bool:
    """Whether an engine event tells of a change: a step other than `same`, or another output of the stack."""
    counts = event.get("summaryEvent", {}).get("resourceChanges", {})
    if any(count for step, count in counts.items() if step != "same"):
        return True
    state = event.get("resOutputsEvent", {}).get("metadata", {})
    if state.get("type") != "pulumi:pulumi:Stack":
        return False
    return bool((state.get("old") or {}).get("outputs") != (state.get("new") or {}).get("outputs"))
