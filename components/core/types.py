"""The vocabulary of specs: one validated type per idea, so that a spec reads like a glossary.

Values stay the strings a person wrote (`512Mi`, `30m`); the helpers at the end turn them into numbers. Nothing here
knows a provider.
"""

import re
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_BINARY = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_LARGE = 10**9
_LAST_PORT = 65535
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def matching(pattern: str, allowed: str, longest: int = 253) -> Callable[[str], str]:
    """A check that a text is `allowed` in words, by a regular expression and its greatest length in characters."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if len(value) > longest or not compiled.fullmatch(value):
            raise ValueError(f"allowed: {allowed}")
        return value

    return check


def _number_as_text(value: object) -> object:
    """YAML reads `cpu: 2` as a number; where that is wrong, it is not for want of quotes."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(value) if abs(value) < _LARGE else value


def _version_as_text(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("put it in quotes, since YAML takes 8.10 for the number 8.1")
    return _number_as_text(value)


def _second_as_text(value: object) -> object:
    """YAML reads a time without quotes as one, in UTC where it ends in Z."""
    if isinstance(value, datetime) and not value.utcoffset():
        return f"{value.replace(tzinfo=None).isoformat()}Z"
    return value


def _port_exists(address: str) -> str:
    port = address.removeprefix("https://").partition(":")[2]
    if port and not 0 < int(port) <= _LAST_PORT:
        raise ValueError(f"allowed: a port from 1 to {_LAST_PORT}, or none for 443")
    return address


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError("allowed: a network such as 10.0.0.0/8 or 2001:db8::/32") from None


DnsLabel = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(
        matching(
            r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?",
            "1 to 40 of a-z, 0-9 and '-', starting with a letter, with no '-' at the end",
        )
    ),
]
Fqdn = Annotated[
    str,
    AfterValidator(
        matching(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", "a lower-case DNS name such as api.example.com")
    ),
]
Region = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(matching(r"[a-z]{2,}(-[a-z0-9]+)+", "a region name such as eu-central-1", longest=40)),
]
Port = Annotated[int, Field(ge=1024, le=65535)]
Owner = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(
        matching(
            r"([a-z][a-z0-9]*([.-][a-z0-9]+)*)?",
            "a team or person such as team-data, at most 63 characters",
            longest=63,
        )
    ),
]
ImageRef = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(
        matching(
            r"[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+(:[A-Za-z0-9._-]+)?(@sha256:[0-9a-f]{64})?",
            "registry/name:version or registry/name@sha256:digest",
        )
    ),
]
Cpu = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(
        matching(
            r"[1-9][0-9]{0,5}m|[1-9][0-9]{0,3}(\.[0-9]{1,3})?|0\.(?=[0-9]*[1-9])[0-9]{1,3}",
            "cores such as 2, 0.5 or 250m",
        )
    ),
]
Memory = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(matching(r"[1-9][0-9]{0,6}(Mi|Gi)", "a size such as 512Mi or 4Gi")),
]
Storage = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(matching(r"[1-9][0-9]{0,6}(Mi|Gi|Ti)", "a size such as 10Gi or 1Ti")),
]
Duration = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(matching(r"[1-9][0-9]{0,6}[sm]|[1-9][0-9]{0,4}[hd]", "a time such as 30s, 15m, 12h or 90d")),
]
Days = Annotated[str, AfterValidator(matching(r"[1-9][0-9]{0,3}d", "days such as 30d"))]
Second = Annotated[
    str,
    BeforeValidator(_second_as_text),
    AfterValidator(
        matching(
            r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z",
            "a second in UTC such as 2026-11-21T12:00:00Z",
        )
    ),
]
UrlPath = Annotated[
    str,
    AfterValidator(
        matching(r"/|(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+", "a path such as / or /api/v1, no slash at its end")
    ),
]
HttpsAddress = Annotated[
    str,
    AfterValidator(matching(r"https://[a-z0-9.-]+(:[0-9]{1,9})?", "an address such as https://s3.example.com")),
    AfterValidator(_port_exists),
]
S3Bucket = Annotated[
    str, AfterValidator(matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket name such as acme-backups"))
]
Version = Annotated[
    str,
    BeforeValidator(_version_as_text),
    AfterValidator(matching(r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}", 'a version such as "17" or "8.10"')),
]
Cidr = Annotated[str, AfterValidator(_network)]
EnvName = Annotated[str, AfterValidator(matching(r"[A-Z_][A-Z0-9_]*", "an upper-case name such as LOG_LEVEL"))]


class DataClass(StrEnum):
    """How sensitive the data is that a service stores or handles."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class Lifecycle(StrEnum):
    """Where a service stands between its first use and its end."""

    EXPERIMENTAL = "experimental"
    PRODUCTION = "production"
    DEPRECATED = "deprecated"


def bytes_of(size: str) -> int:
    """Bytes of a Memory or Storage value: `512Mi` is 536870912."""
    number, unit = re.fullmatch(r"([0-9]+)([KMGT]i)?", size).groups("")  # type: ignore[union-attr]
    return int(number) * _BINARY[unit]


def shortest(size: str) -> str:
    """A size in the largest unit that it is a whole number of, as Kubernetes keeps it: `1024Mi` is `1Gi`."""
    count = bytes_of(size)
    unit = max((unit for unit in _BINARY if count % _BINARY[unit] == 0), key=lambda unit: _BINARY[unit])
    return f"{count // _BINARY[unit]}{unit or ''}"


def seconds_of(duration: str) -> int:
    """Seconds of a Duration: `30m` is 1800."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def hours_of(duration: str) -> int:
    """Whole hours of a Duration, rounded down: `90d` is 2160."""
    return seconds_of(duration) // 3600
