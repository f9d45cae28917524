"""The exported compose file asks the engine for what the running environment is made of, file by file."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from posixpath import dirname, join
from typing import Any

import pytest
import yaml

from tests.export.asked import Asked, interpolated, variables
from tests.live.environment import Live
from toolchain.docker import command

NANOSECONDS = 10**9
NAMELESS = 64
"""Length of the number that the engine gives to a volume without a name."""
HOLDS_FILES = "-files"
OF_HOLDERS = ("User", "CapDrop", "SecurityOpt", "LogConfig")
"""Where those that hold files differ: in a compose file they run, for a moment."""


class Engine:
    """What the engine has of an environment."""

    def __init__(self, host: str, environment: str) -> None:
        self._command = command(host)
        label = f"label=groundwork.dev/environment={environment}"
        listed = self._run("container", "ls", "--all", "--quiet", "--filter", label).decode().split()
        entries = json.loads(self._run("inspect", *listed))
        self.containers: dict[str, Any] = {entry["Name"].removeprefix("/"): entry for entry in entries}
        self._names = {entry["Id"]: name for name, entry in self.containers.items()}

    def container(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        """One container in the terms of a request; what that leaves to the image is as it says."""
        entry = self.containers[name]
        config, host = entry["Config"], entry["HostConfig"]
        mode, _, other = host["NetworkMode"].partition(":")
        variable_names = {variable.partition("=")[0] for variable in request["Env"]}
        named = not other and mode != "none"
        return {
            **{field: config[field] for field in ("Image", "User")},
            "Labels": {label: value for label, value in config["Labels"].items() if label in request["Labels"]},
            **{field: request[field] and config[field] for field in ("Entrypoint", "Cmd")},
            "Hostname": config["Hostname"] if named else "",
            "Env": sorted(v for v in config["Env"] or [] if v.partition("=")[0] in variable_names),
            "StopTimeout": config.get("StopTimeout"),
            "Healthcheck": _health(config.get("Healthcheck") or {}),
            "Init": bool(host.get("Init")),
            **{field: host[field] for field in ("ReadonlyRootfs", "Memory", "MemorySwap", "CpuShares")},
            **{f: host[f] or [] for f in ("CapDrop", "SecurityOpt", "GroupAdd", "Dns", "DnsOptions", "DnsSearch")},
            "RestartPolicy": host["RestartPolicy"]["Name"],
            "LogConfig": {"driver": host["LogConfig"]["Type"], "options": host["LogConfig"]["Config"]},
            "Tmpfs": host.get("Tmpfs") or {},
            "Ports": [
                (binding["HostIp"], int(binding["HostPort"]), int(port.partition("/")[0]), port.partition("/")[2])
                for port, bindings in (host["PortBindings"] or {}).items()
                for binding in bindings
            ],
            "NetworkMode": f"container:{self._names[other]}" if other else ("" if named else mode),
            "Networks": _networks(entry) if named else {},
            "Mounts": _mounts(entry, request["Mounts"]),
        }

    def files(self, name: str, places: list[str]) -> dict[str, tuple[int, int, int, str]]:
        """Mode, owner, group and content of each file below these directories of a container."""
        found = {}
        for place in places:
            with tarfile.open(fileobj=io.BytesIO(self._run("cp", f"{name}:{place}", "-"))) as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isfile() else None
                    if content:
                        path = join(dirname(place), member.name)
                        found[path] = (member.mode & 0o777, member.uid, member.gid, content.read().decode())
        return found

    def _run(self, *args: str) -> bytes:
        done = subprocess.run([*self._command, *args], capture_output=True)
        assert done.returncode == 0, f"docker {' '.join(args)}: {done.stderr.decode()}"
        return done.stdout


@pytest.fixture(scope="module")
def asked(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    if live.deployment.target != "docker":
        pytest.skip("a compose file is made of what is deployed on Docker")
    folder: Path = tmp_path_factory.mktemp("export") / "out"
    done = live.checkout.groundwork("export", "compose", live.name, "--out", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    document = interpolated(yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8")))
    return Asked(document, variables((folder / ".env").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def engine(live: Live, asked: Asked) -> Engine:
    return Engine(live.checkout.env["DOCKER_HOST"], live.name)


def test_every_container_is_as_the_compose_file_asks(engine: Engine, asked: Asked) -> None:
    requests = asked.containers()
    assert set(engine.containers) == set(requests)
    for name, request in requests.items():
        there = engine.container(name, request)
        for field in OF_HOLDERS if name.endswith(HOLDS_FILES) else ():
            del there[field], request[field]
        assert there == request, name


def test_every_file_is_as_the_compose_file_brings_it(engine: Engine, asked: Asked) -> None:
    requests = asked.containers()
    for name, files in asked.files().items():
        wanted = {path: (mode, 0, 0, content) for path, (mode, content) in files.items()}
        assert engine.files(name, list(requests[name]["Mounts"]) if files else []) == wanted, name


def _health(check: dict[str, Any]) -> dict[str, Any]:
    durations = {field: check.get(field, 0) // NANOSECONDS for field in ("Interval", "Timeout", "StartPeriod")}
    return {"Test": check.get("Test"), "Retries": check.get("Retries"), **durations}


def _networks(entry: Any) -> dict[str, list[str]]:
    """Names on each network that were asked for; the engine adds the container's own and its number."""
    own = (entry["Name"].removeprefix("/"), entry["Id"][:12])
    joined = entry["NetworkSettings"]["Networks"].items()
    return {name: sorted(alias for alias in network["Aliases"] if alias not in own) for name, network in joined}


def _mounts(entry: Any, requested: dict[str, tuple[str, bool]]) -> dict[str, tuple[str, bool]]:
    """Volumes by their place. Those of files have names in a compose file alone."""
    found = {mount["Destination"]: (mount["Name"], mount["RW"]) for mount in entry["Mounts"]}
    names = {place: name for place, (name, _) in requested.items() if HOLDS_FILES in name}
    nameless = {place for place, (name, _) in found.items() if len(name) == NAMELESS}
    return {place: (names.get(place, n) if place in nameless else n, rw) for place, (n, rw) in found.items()}
