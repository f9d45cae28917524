"""A Docker engine as the commands see it: images before `up`, health after it, and what an interrupted run left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from stacks.places import Say, await_all
from stacks.places.hints import call_hints
from toolchain.docker import command, ensure
from toolchain.images import ensure_images

_LAST_LINES = 5
_SHARED = "container:"
_EVER = datetime.min.replace(tzinfo=UTC)


def left_behind(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Names of running containers in a network that is gone, from what `docker inspect` tells of all.

    A container that the engine restarts by itself gets a new network; who shared the old one stays in that.
    """
    started = {entry["Id"]: datetime.fromisoformat(entry["State"]["StartedAt"]) for entry in containers}
    return [
        entry["Name"].removeprefix("/")
        for entry in containers
        if entry["State"]["Running"]
        and started[entry["Id"]] < started.get(entry["HostConfig"]["NetworkMode"].removeprefix(_SHARED), _EVER)
    ]


class Engine:
    """One environment on one engine."""

    def __init__(self, stack: str, docker: object, say: Say) -> None:
        self._stack = stack
        self._say = say
        named = docker.get("host") if isinstance(docker, Mapping) else None
        self._host = str(named) if named else ""

    def start(self) -> bool:
        """Start the toolchain's own engine where no other is named or answers. Its containers outlive it."""
        self._host = self._host or ensure(self._say)
        return False

    def provide(self, images: Sequence[str]) -> None:
        """Fetch the images, or make them where no registry can be reached."""
        ensure_images(images, self._host, self._say)

    def mend(self) -> None:
        """Restart the containers in a network that is gone."""
        deaf = left_behind(self._inspected())
        if deaf:
            self._say(f"restarting {', '.join(deaf)}: the container whose network they share was started anew")
            self._run("restart", *deaf)

    def is_missing_any(self, names: Mapping[str, bool]) -> bool:
        """Whether a container of state is gone, or has been stopped by hand."""
        found = {entry["Names"]: entry["State"] == "running" for entry in self._containers()}
        return any(name not in found or (runs and not found[name]) for name, runs in names.items())

    def remove(self, kind: str, name: str) -> None:
        """Remove a container, network or volume that is being made; it holds nothing yet."""
        self._run(kind, "rm", *(["--force", "--volumes"] if kind == "container" else []), name, check=False)

    def await_ready(self) -> None:
        """Wait until every health check passes. Raises ToolchainError that shows what the others said last."""
        await_all("every container to be healthy", self._unready, self.last_words, self._say)

    def last_words(self) -> str:
        """The last lines of each container that should serve and doesn't."""
        try:
            unready = self._unready()
        except subprocess.CalledProcessError as error:
            return f"the engine does not answer: {error.stdout.strip()}"
        said = []
        for name in unready:
            lines = self._run("logs", "--tail", str(_LAST_LINES), name, check=False).splitlines()
            said += [f"{name}:", *(f"  {line}" for line in lines[-_LAST_LINES:])]
        return "\n".join(said)

    def await_gone(self) -> None:
        """`pulumi` has waited for each of them."""

    def hints(self, endpoints: Sequence[Mapping[str, Any]]) -> list[str]:
        """How to call what is published on this machine."""
        return call_hints(self._stack, endpoints, "127.0.0.1")

    def _containers(self) -> list[dict[str, str]]:
        label = f"label=groundwork.dev/environment={self._stack}"
        listed = self._run("ps", "--all", "--no-trunc", "--filter", label, "--format", "{{json .}}")
        return [json.loads(line) for line in listed.splitlines()]

    def _inspected(self) -> list[dict[str, Any]]:
        names = [entry["Names"] for entry in self._containers()]
        found: list[dict[str, Any]] = json.loads(self._run("inspect", *names)) if names else []
        return found

    def _unready(self) -> list[str]:
        """Containers that should serve and don't: those that don't run, and those whose health check does not pass."""
        return sorted(
            entry["Names"]
            for entry in self._containers()
            if entry["State"] not in ("running", "created")
            or any(w in entry["Status"] for w in ("starting", "unhealthy"))
        )

    def _run(self, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            [*command(self._host), *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=check
        )
        return done.stdout
