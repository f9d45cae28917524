"""What Docker Compose asks the engine for, in the engine's own terms (Docker Engine API, "Create a container").

Written from Compose's documentation and not from the export: the tests compare it with what Pulumi asked for, and with
what the engine has.
"""

from __future__ import annotations

import re
from typing import Any

from stacks.export.deployed import Resource

MEBIBYTE = 2**20
_UNITS = {"h": 3600, "m": 60, "s": 1}


def seconds(duration: str) -> int:
    """Of a duration such as 1h10m0s."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def interpolated(value: Any) -> Any:
    """A compose file after interpolation, in which no variable may be left."""
    if isinstance(value, dict):
        return {key: interpolated(item) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolated(item) for item in value]
    if not isinstance(value, str):
        return value
    assert "$" not in value.replace("$$", ""), f"a variable: {value}"
    return value.replace("$$", "$")


def variables(dotenv: str) -> dict[str, str]:
    """Of an `.env`: double quotes, with a backslash before what would mean something."""
    escapes = {"n": "\n", "r": "\r"}
    lines = [re.fullmatch(r'([A-Z][A-Z0-9_]*)="((?:[^"\\$]|\\.)*)"', line) for line in dotenv.splitlines()]
    assert all(lines), "a line that is no variable"
    return {line[1]: re.sub(r"\\(.)", lambda m: escapes.get(m[1], m[1]), line[2]) for line in lines if line}


def labels(inputs: dict[str, Any]) -> dict[str, str]:
    """Labels of a state's object."""
    return {entry["label"]: entry["value"] for entry in inputs["labels"]}


def by_pulumi(inputs: dict[str, Any], resources: list[Resource]) -> dict[str, Any]:
    """What the provider asks the engine for, from the inputs of a container."""
    names = {resource.id: resource.inputs["name"] for resource in resources}
    health = inputs.get("healthcheck", {})
    mode, _, other = inputs.get("networkMode", "").partition(":")
    return {
        "Image": inputs["image"],
        "Hostname": inputs.get("hostname", ""),
        "User": inputs["user"],
        "Entrypoint": inputs.get("entrypoints"),
        "Cmd": inputs.get("command"),
        "Env": sorted(inputs.get("envs", [])),
        "Labels": labels(inputs),
        "StopTimeout": inputs.get("stopTimeout"),
        "Healthcheck": {
            "Test": health.get("tests"),
            "Retries": health.get("retries"),
            **{field: seconds(health.get(field.lower(), "0s")) for field in ("Interval", "Timeout")},
            "StartPeriod": seconds(health.get("startPeriod", "0s")),
        },
        "Init": inputs.get("init", False),
        "ReadonlyRootfs": inputs.get("readOnly", False),
        "CapDrop": inputs.get("capabilities", {}).get("drops", []),
        "SecurityOpt": inputs.get("securityOpts", []),
        "GroupAdd": inputs.get("groupAdds", []),
        "Memory": inputs.get("memory", 0) * MEBIBYTE,
        "MemorySwap": inputs.get("memorySwap", 0) * MEBIBYTE,
        "CpuShares": inputs.get("cpuShares", 0),
        "RestartPolicy": inputs.get("restart", "no"),
        "LogConfig": {"driver": inputs["logDriver"], "options": inputs["logOpts"]} if "logDriver" in inputs else None,
        "Tmpfs": inputs.get("tmpfs", {}),
        "Ports": [(p["ip"], p["external"], p["internal"], p["protocol"]) for p in inputs.get("ports", [])],
        "Dns": inputs.get("dns", []),
        "DnsOptions": inputs.get("dnsOpts", []),
        "DnsSearch": inputs.get("dnsSearches", []),
        "NetworkMode": f"container:{names[other]}" if other else mode,
        "Networks": {joined["name"]: sorted(joined["aliases"]) for joined in inputs.get("networksAdvanced", [])},
        "Mounts": {v["containerPath"]: (v["volumeName"], True) for v in inputs.get("volumes", []) if "volumeName" in v},
    }


class Asked:
    """The requests that follow from a compose file, already interpolated, and its variables."""

    def __init__(self, document: dict[str, Any], environment: dict[str, str]) -> None:
        self._document = document
        self._environment = environment

    def containers(self) -> dict[str, dict[str, Any]]:
        """What is asked for each container, by its name."""
        return {service["container_name"]: self.container(service) for service in self._document["services"].values()}

    def files(self) -> dict[str, dict[str, tuple[int, str]]]:
        """Mode and content of each file that is put into a container, by container and path."""
        return {service["container_name"]: self._files(service) for service in self._document["services"].values()}

    def container(self, service: dict[str, Any]) -> dict[str, Any]:
        """One container."""
        health = service.get("healthcheck", {})
        return {
            "Image": service["image"],
            "Hostname": service.get("hostname", ""),
            "User": service["user"],
            "Entrypoint": service.get("entrypoint"),
            "Cmd": service.get("command"),
            "Env": sorted(f"{name}={value}" for name, value in service.get("environment", {}).items()),
            "Labels": service["labels"],
            "StopTimeout": seconds(service["stop_grace_period"]) if "stop_grace_period" in service else None,
            "Healthcheck": {
                "Test": health.get("test"),
                "Retries": health.get("retries"),
                **{field: seconds(health.get(field.lower(), "0s")) for field in ("Interval", "Timeout")},
                "StartPeriod": seconds(health.get("start_period", "0s")),
            },
            "Init": service.get("init", False),
            "ReadonlyRootfs": service.get("read_only", False),
            "CapDrop": service.get("cap_drop", []),
            "SecurityOpt": service.get("security_opt", []),
            "GroupAdd": service.get("group_add", []),
            "Memory": self._bytes(service.get("mem_limit")),
            "MemorySwap": self._bytes(service.get("memswap_limit")),
            "CpuShares": service.get("cpu_shares", 0),
            "RestartPolicy": service.get("restart", "no"),
            "LogConfig": service.get("logging"),
            "Tmpfs": dict(mount.split(":", 1) for mount in service.get("tmpfs", [])),
            "Ports": [
                (p["host_ip"], int(p["published"]), p["target"], p["protocol"]) for p in service.get("ports", [])
            ],
            "Dns": service.get("dns", []),
            "DnsOptions": service.get("dns_opt", []),
            "DnsSearch": service.get("dns_search", []),
            "NetworkMode": self._network_mode(service),
            "Networks": self._networks(service),
            "Mounts": self._mounts(service),
        }

    def _network_mode(self, service: dict[str, Any]) -> str:
        mode, _, other = service.get("network_mode", "").partition(":")
        return f"container:{self._document['services'][other]['container_name']}" if other else str(mode)

    def _networks(self, service: dict[str, Any]) -> dict[str, list[str]]:
        names = {key: network["name"] for key, network in self._document.get("networks", {}).items()}
        return {names[key]: sorted(joined["aliases"]) for key, joined in service.get("networks", {}).items()}

    def _mounts(self, service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
        """Volume, and whether it can be written to, by its place."""
        names = {key: volume["name"] for key, volume in self._document["volumes"].items()}
        return {m["target"]: (names[m["source"]], not m.get("read_only")) for m in service.get("volumes", [])}

    def _files(self, service: dict[str, Any]) -> dict[str, tuple[int, str]]:
        found = {}
        for mount in service.get("configs", []):
            found[mount["target"]] = (int(mount["mode"], 8), self._document["configs"][mount["source"]]["content"])
        for mount in service.get("secrets", []):
            variable = self._document["secrets"][mount["source"]]["environment"]
            found[mount["target"]] = (int(mount["mode"], 8), self._environment[variable])
        return found

    @staticmethod
    def _bytes(limit: str | None) -> int:
        return int(limit.removesuffix("m")) * MEBIBYTE if limit else 0
