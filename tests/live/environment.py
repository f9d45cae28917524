"""The environment of the live tests: brought up by the real command, known by its stack's outputs, taken down again."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.live.deployment import HOLDER, Deployment, Inventory, Listener, Process
from tests.live.deployment_docker import DockerDeployment
from tests.support.checkout import Checkout
from tests.support.deployed import in_clear
from toolchain import docker, docker_engine, docker_files

Say = Callable[[str], None]
Record = Callable[[str, object], None]
"""What pytest's `record_property` is: a `note` stands in the table."""

DOCKER, NODE = "docker", "node"
"""Where the environment can be."""
FILE = Path(__file__).with_name("environment.yaml")
SETTINGS: dict[str, Any] = YAML(typ="safe").load(FILE)["config"]["groundwork:services"]
SERVICES = tuple(SETTINGS)
MAIN, BROKERS = "main", "brokers"
"""Environments that the file is brought up as, one after the other: all of it at once would overload two cores."""
_BROKERS = ("events", "bus", "log")
_IN_BOTH = ("api", "gateway")
"""Who uses brokers, and who leads to it; what they do with the rest is proved in the main one."""
HOST: str = SETTINGS["gateway"]["hosts"][0]
_STEP = re.compile(r"[^\s@┏┃┡│└].*[^:\n]$")
"""A line about the command as a whole: not of one resource, and no table."""


class Live:
    """A running environment."""

    inventory: Inventory
    """Facts of each service by its name."""
    hosts: dict[str, list[str]]
    """Names by which each service is dialled, those that clients outside use among them."""
    inside: dict[str, list[str]]
    """Those by which other services dial it."""
    address: str
    """Where this machine reaches the gateway."""

    def __init__(self, name: str, checkout: Checkout, deployment: Deployment, port: int, say: Say) -> None:
        self.name = name
        self.checkout = checkout
        self.deployment = deployment
        self.port = port
        """Port at which it does."""
        self.ca_file = checkout.root.parent / "ca.crt"
        """The root that clients outside trust."""
        self._say = say

    @property
    def published(self) -> set[tuple[str, int]]:
        """Ports of this machine that should lead to an instance: a cluster's services need none."""
        return {(self.address, self.port)} if self.deployment.target == "docker" else set()

    @property
    def ca(self) -> str:
        """PEM of the environment's root."""
        return self.ca_file.read_text(encoding="utf-8")

    def up(self) -> None:
        """Make the environment as its file says, by the command that a person uses."""
        self._run("up")
        self.read()

    def read(self) -> None:
        """Take in what the stack says of itself."""
        done = self.checkout.pulumi("stack", "output", "--stack", self.name, "--json")
        assert done.returncode == 0, done.stderr
        outputs = json.loads(done.stdout)
        self.ca_file.write_text(outputs["ca"], encoding="utf-8")
        endpoints = outputs["endpoints"]
        self.inventory = {
            row["name"]: {**row, "ports": {e["port"] for e in endpoints if e["service"] == row["name"]}}
            for row in outputs["inventory"]
            if row["listeners"]
        }
        self.address = self.deployment.address("gateway")
        self.hosts = {name: _hosts(name, endpoints) for name in self.inventory}
        self.inside = {name: _hosts(name, [e for e in endpoints if not e["external"]]) for name in self.inventory}

    def down(self) -> None:
        """Take it away. Raises AssertionError where anything is left."""
        self.deployment.note()
        self._run("down")
        left = self.deployment.remains()
        assert not left, f"left behind: {', '.join(left)}"

    def processes(self, service: str | None = None) -> list[Process]:
        """What serves now, all of it or of one service."""
        found = (p for p in self.deployment.processes() if p.container != HOLDER and service in (None, p.service))
        return sorted(found, key=lambda process: process.place)

    def process(self, instance: str, container: str) -> Process:
        """One process, as it is now."""
        return next(p for p in self.processes() if (p.instance, p.container) == (instance, container))

    def containers(self, service: str, container: str) -> list[Process]:
        """The first process of one container in each instance of a service."""
        return [process for process in self.processes(service) if process.container == container]

    def instances(self, service: str | None = None) -> dict[str, Process]:
        """One process of each instance, by the instance's name."""
        return {process.instance: process for process in self.processes(service)}

    def names(self, process: Process) -> list[str]:
        """Every name that the listeners of an instance must prove: the service's, and its own where peers use it."""
        stateful = self.inventory[process.service]["stateful"]
        return self.deployment.names(process, self.hosts[process.service], stateful=stateful)

    def dialled(self, process: Process) -> list[str]:
        """Those by which other services may dial it."""
        stateful = self.inventory[process.service]["stateful"]
        return self.deployment.names(process, self.inside[process.service], stateful=stateful)

    def declared(self, process: Process) -> dict[int, Listener]:
        """The ports that an instance says it has, and what it says of them."""
        listeners = self.inventory[process.service]["listeners"]
        return {listener["port"]: listener for listener in self.deployment.declared(process, listeners)}

    def server(self, service: str) -> Process:
        """The first process of a service, whatever its instance is called."""
        return self.processes(service)[0]

    def secrets(self) -> dict[str, str]:
        """Every password that was generated, by its name."""
        resources = self.checkout.state(self.name, "--show-secrets")["resources"]
        return {
            resource["urn"].rpartition("::")[2]: in_clear(resource["outputs"]["result"])
            for resource in resources
            if resource["type"] == "random:index/randomPassword:RandomPassword"
        }

    def _run(self, command: str) -> None:
        started = time.monotonic()
        self._say(f"groundwork {command} {self.name}")
        lines = []
        with self.checkout.start(command, self.name) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if _STEP.match(line):
                    self._say(f"  {line.rstrip()}")
        assert process.returncode == 0, "".join(_decisive(lines))
        self._say(f"  {time.monotonic() - started:.0f} s")


def _decisive(lines: list[str]) -> list[str]:
    """What a failed command says of the failure: a list of all that it was to make goes before that."""
    at = max((number for number, line in enumerate(lines) if line.startswith("Diagnostics:")), default=0)
    return lines[at:]


def stage_of(service: str) -> str:
    """The environment in which a service is looked at."""
    return BROKERS if service in _BROKERS else MAIN


def content_of(stage: str) -> dict[str, Any]:
    """What the file says of one environment: its services, and edges among them."""
    content: dict[str, Any] = YAML(typ="safe").load(FILE)
    config = content["config"]
    services = config["groundwork:services"]
    kept = {name: one for name, one in services.items() if stage_of(name) == stage or name in _IN_BOTH}
    for one in kept.values():
        if "uses" in one:
            one["uses"] = [used for used in one["uses"] if used in kept]
    config["groundwork:services"] = kept
    return content


def prepare(name: str, folder: Path, host: str, say: Say, stage: str = MAIN) -> Live:
    """A private checkout with the environment's file in it, and the gateway on a free port. Starts nothing."""
    checkout = Checkout.copy(folder / "groundwork", folder / "state", DOCKER_HOST=host)
    content, port = content_of(stage), _free_port()
    content["config"]["groundwork:services"]["gateway"]["publish"] = port
    (checkout.root / f"Pulumi.{name}.yaml").write_text(json.dumps(content), encoding="utf-8")
    judge_as_local(checkout, name)
    return Live(name, checkout, DockerDeployment(name, host), port, say)


def configure_on_docker(checkout: Checkout, name: str, services: dict[str, Any], **environment: Any) -> None:
    """Write the settings of an environment of a test's own, on Docker."""
    settings = {
        "profile": "local",
        "target": DOCKER,
        "placement": {"region": "eu-central-1", "residency": ["eu-central-1"]},
        "owner": "team-platform",
        **environment,
    }
    content = {"config": {"groundwork:environment": settings, "groundwork:services": services}}
    (checkout.root / f"Pulumi.{name}.yaml").write_text(json.dumps(content), encoding="utf-8")
    judge_as_local(checkout, name)


def judge_as_local(checkout: Checkout, name: str) -> None:
    """Have an environment judged as strictly as that of a person's own machine."""
    packs = checkout.root / "policies/packs"
    (packs / f"{name}.json").write_bytes((packs / "local.json").read_bytes())


@contextmanager
def brought_up(environment: Live) -> Iterator[Live]:
    """The environment, once it is up; at the end nothing of it is left."""
    try:
        environment.up()
        yield environment
    finally:
        environment.down()


@contextmanager
def engine(say: Say) -> Iterator[str]:
    """Address of the user's engine. One that had to be started is stopped again."""
    before = docker_engine.state()
    host = docker.ensure(say)
    try:
        yield host
    finally:
        if host == docker_files.url() and before != docker_engine.RUNNING:
            docker_engine.stop(say)


def _hosts(service: str, endpoints: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(endpoint["host"] for endpoint in endpoints if endpoint["service"] == service))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
