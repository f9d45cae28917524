"""An environment on a Docker engine, as the engine tells of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.live.deployment import HOLDER, Insider, Inventory, Listener, Process
from toolchain.docker import command

_LABEL = "groundwork.dev"
_NAME_SERVER = "127.0.0.11"


class DockerDeployment:
    """An environment on a Docker engine."""

    target = "docker"

    def __init__(self, environment: str, host: str) -> None:
        self._filter = f"label={_LABEL}/environment={environment}"
        self._command = command(host)
        self._nameless: set[str] = set()

    def processes(self) -> list[Process]:
        """The first process of each container that runs now."""
        return [
            Process(labels["service"], labels["instance"], labels["container"], entry["State"]["Pid"])
            for entry in self._containers()
            if entry["State"]["Running"] and (labels := _labels(entry))
        ]

    def addresses(self) -> dict[str, list[str]]:
        """Addresses of each instance, one on each of its networks."""
        return {
            labels["instance"]: [network["IPAddress"] for network in entry["NetworkSettings"]["Networks"].values()]
            for entry in self._containers()
            if (labels := _labels(entry))["container"] == HOLDER
        }

    def connected(self, inventory: Inventory, source: Process, target: Process, port: int) -> bool:
        """Whether they share a network: one has two ends and no direction, and all instances of a service are on it."""
        one, other = source.service, target.service
        return one == other or other in inventory[one]["uses"] or one in inventory[other]["uses"]

    def names(self, process: Process, service: Sequence[str], *, stateful: bool) -> list[str]:
        """Every name of the service leads to each instance; peers know each other by the instance's name."""
        return [*service, process.instance] if stateful else list(service)

    def declared(self, process: Process, listeners: Sequence[Listener]) -> list[Listener]:
        """All instances are alike."""
        return list(listeners)

    def is_foreign(self, process: Process, address: str, port: int) -> bool:
        """Whether the engine answers there for names; no process of the instance listens."""
        return address == _NAME_SERVER

    def is_operated(self, process: Process) -> bool:
        """There are no operators."""
        return False

    def insider(self, process: Process) -> Insider | None:
        """Nobody: consumers reach every instance."""
        return None

    def published(self) -> set[tuple[str, int]]:
        """Ports of this machine that the engine binds for a container."""
        ports = (ports for entry in self._containers() for ports in entry["NetworkSettings"]["Ports"].values() if ports)
        return {(port["HostIp"], int(port["HostPort"])) for several in ports for port in several}

    def address(self, service: str) -> str:
        """What is published is published here."""
        return "127.0.0.1"

    def told(self) -> Iterator[tuple[str, str]]:
        """What `docker inspect` and `docker logs` print of each container."""
        for entry in self._containers():
            name = entry["Name"].removeprefix("/")
            yield f"docker inspect {name}", json.dumps(entry)
            yield f"docker logs {name}", self._run("logs", name)

    @contextmanager
    def opened(self, source: str, target: str) -> Iterator[None]:
        """Put one instance on a network of the other."""
        network = next(iter(self._holder(target)["NetworkSettings"]["Networks"]))
        name = self._holder(source)["Name"].removeprefix("/")
        self._run("network", "connect", network, name)
        try:
            yield
        finally:
            self._run("network", "disconnect", network, name)

    def lose(self, instance: str) -> None:
        """What `docker kill` ends is not restarted."""
        running = (entry for entry in self._containers() if entry["State"]["Running"])
        self._run("kill", *(entry["Id"] for entry in running if _labels(entry)["instance"] == instance))

    def is_ready(self, service: str) -> bool:
        """Whether every container of it passes its health check."""
        found = [entry["State"] for entry in self._containers() if _labels(entry)["service"] == service]
        # One that only carries files is never started.
        return all(_is_well(state) for state in found if state["Status"] != "created")

    def note(self) -> None:
        """Volumes of files have neither a name nor a label."""
        self._nameless |= {
            mount["Name"] for entry in self._containers() for mount in entry["Mounts"] if "Name" in mount
        }

    def remains(self) -> list[str]:
        """Containers, networks and volumes that bear the environment's label, and volumes noted before."""
        found = [f"volume {name}" for name in self._run("volume", "ls", "--quiet").split() if name in self._nameless]
        for kind, every in (("container", ["--all"]), ("network", []), ("volume", [])):
            listed = self._run(kind, "ls", "--quiet", *every, "--filter", self._filter)
            found += [f"{kind} {name}" for name in listed.split()]
        return found

    def _holder(self, instance: str) -> Any:
        wanted = {"instance": instance, "container": HOLDER}
        return next(entry for entry in self._containers() if wanted.items() <= _labels(entry).items())

    def _containers(self) -> list[Any]:
        """Every container; one that goes between the two questions is left out of the answer."""
        names = self._run("container", "ls", "--all", "--quiet", "--filter", self._filter).split()
        if not names:
            return []
        command = [*self._command, "container", "inspect", *names]
        found: list[Any] = json.loads(subprocess.run(command, text=True, capture_output=True).stdout)
        return found

    def _run(self, *args: str) -> str:
        done = subprocess.run([*self._command, *args], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, f"docker {' '.join(args)}: {done.stdout}"
        return done.stdout


def _is_well(state: Any) -> bool:
    return bool(state["Running"]) and ("Health" not in state or state["Health"]["Status"] == "healthy")


def _labels(entry: Any) -> dict[str, str]:
    return {name.removeprefix(f"{_LABEL}/"): value for name, value in entry["Config"]["Labels"].items()}
