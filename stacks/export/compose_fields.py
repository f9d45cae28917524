"""What each property of an engine's object is called in a compose file. Compose Specification. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from components.core.problems import ConfigError, Problem
from stacks.export.deployed import Resource

Convert = Callable[[Any], Any]
Table = Mapping[str, tuple[str, Convert]]

_SILENT = frozenset(
    (
        "containerReadRefreshTimeoutMilliseconds",
        "destroyGraceSeconds",
        "ipamDriver",
        "mustRun",
        "removeVolumes",
        "start",
        "wait",
        "waitTimeout",
    )
)
"""How the provider goes about it."""
_ELSEWHERE = frozenset({"networkMode", "networksAdvanced", "uploads", "volumes"})
"""What can't be said of a container without the others; `compose.py` does."""


def translated(resource: Resource) -> dict[str, Any]:
    """An object in the words of a compose file. Raises ConfigError for a property that has no word in it."""
    table = _TABLES[resource.kind]
    given = {field: value for field, value in _flat(resource.inputs) if value not in ("", [], {})}
    unknown = given.keys() - table.keys() - _SILENT - _ELSEWHERE
    if unknown:
        text = "has no counterpart in a compose file that is known here; add it to stacks/export/compose_fields.py"
        raise ConfigError([Problem(f"{resource.inputs['name']}.{field}", text) for field in unknown])
    found: dict[str, Any] = {}
    for field in (field for field in table if field in given):
        path, convert = table[field]
        *above, last = path.split(".")
        into = found
        for part in above:
            into = into.setdefault(part, {})
        into[last] = convert(given[field])
    return found


def _flat(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Properties by name; what is dropped of the capabilities and what is added have words of their own."""
    for field, value in inputs.items():
        if field == "capabilities":
            yield from ((f"{field}.{part}", names) for part, names in value.items())
        else:
            yield field, value


def _same(value: Any) -> Any:
    return value


def _megabytes(value: float) -> str:
    return f"{int(value)}m"


def _seconds(value: float) -> str:
    return f"{int(value)}s"


def _labels(value: list[dict[str, str]]) -> dict[str, str]:
    return {label["label"]: label["value"] for label in value}


def _environment(value: list[str]) -> dict[str, str]:
    return {name: text for name, _, text in (entry.partition("=") for entry in value)}


def _tmpfs(value: dict[str, str]) -> list[str]:
    return [f"{path}:{options}" for path, options in value.items()]


def _healthcheck(value: dict[str, Any]) -> dict[str, Any]:
    names = {"tests": "test", "startPeriod": "start_period", "startInterval": "start_interval"}
    # Zero stands for the engine's default; a start interval that is given at all needs an engine of version 25.
    return {names.get(field, field): item for field, item in value.items() if item != "0s"}


def _ports(value: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "host_ip": port["ip"],
            "published": str(int(port["external"])),
            "target": int(port["internal"]),
            "protocol": port.get("protocol", "tcp"),
        }
        for port in value
    ]


_COMMON: Table = {"name": ("name", _same), "driver": ("driver", _same), "labels": ("labels", _labels)}
_TABLES: Mapping[str, Table] = {
    "Network": {**_COMMON, "internal": ("internal", _same)},
    "Volume": {**_COMMON, "driverOpts": ("driver_opts", _same)},
    "Container": {
        "name": ("container_name", _same),
        "hostname": ("hostname", _same),
        "image": ("image", _same),
        "init": ("init", _same),
        "entrypoints": ("entrypoint", _same),
        "command": ("command", _same),
        "envs": ("environment", _environment),
        "user": ("user", _same),
        "groupAdds": ("group_add", _same),
        "readOnly": ("read_only", _same),
        "capabilities.drops": ("cap_drop", _same),
        "securityOpts": ("security_opt", _same),
        "cpuShares": ("cpu_shares", int),
        "memory": ("mem_limit", _megabytes),
        "memorySwap": ("memswap_limit", _megabytes),
        "tmpfs": ("tmpfs", _tmpfs),
        "ports": ("ports", _ports),
        "dns": ("dns", _same),
        "dnsOpts": ("dns_opt", _same),
        "dnsSearches": ("dns_search", _same),
        "healthcheck": ("healthcheck", _healthcheck),
        "restart": ("restart", _same),
        "stopTimeout": ("stop_grace_period", _seconds),
        "logDriver": ("logging.driver", _same),
        "logOpts": ("logging.options", _same),
        "labels": ("labels", _labels),
    },
}
