"""What the toolchain's own Docker engine is made of: its folder, packages, programs and settings. Starts nothing.

It listens on a unix socket that only its owner may use. Nothing is taken from, or left in, the system's own Docker.
"""

from __future__ import annotations

import ipaddress
import json
import platform
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

from toolchain import debian, paths
from toolchain.errors import ToolchainError

BRIDGE = "groundwork0"
POOLS = ("10.201.0.0/16", "172.30.0.0/16", "10.77.0.0/16", "192.168.192.0/18", "198.18.0.0/16")
"""Addresses of the engine's networks: the first that no route of this machine overlaps is taken, and kept."""
NETWORK_BITS = 26
"""Size of one network: 62 containers, and 1024 networks in a pool (256 in the smallest), one for each edge."""
SOCKET_BYTES = 107
"""sun_path of unix(7), without the zero at its end."""
LONGEST_SOCKET = "run/containerd/containerd-debug.sock"
ROUTES = Path("/proc/net/route")


def folder() -> Path:
    """Everything of the engine, images and volumes included."""
    # The engine resolves links in its mounts; without links both see the same path.
    return (paths.state_folder() / "docker").resolve()


def url() -> str:
    """Where the engine listens."""
    return f"unix://{folder() / 'docker.sock'}"


def log_file() -> Path:
    """What the engine said since its last start."""
    return folder() / "dockerd.log"


def settings_file() -> Path:
    """The engine's daemon.json."""
    return folder() / "daemon.json"


def marker() -> Path:
    """Written once the engine has answered for the first time: from then on it is the one to use."""
    return folder() / "made"


def packages() -> tuple[str, ...]:
    """The Debian packages that hold the engine, its command line and what it calls."""
    # Until Debian 12 the command line is in docker.io itself.
    release = platform.freedesktop_os_release() if Path("/etc/os-release").is_file() else {}
    apart = release.get("ID") == "debian" and release.get("VERSION_ID", "13").split(".")[0] not in ("11", "12")
    return ("docker.io", "iptables", "iproute2", *(["docker-cli"] if apart else []))


def programs(log: debian.Log) -> debian.Programs:
    """The engine's programs; fetched when they are not in the cache."""
    return debian.programs(packages(), log)


def require_short_paths() -> None:
    """Raises ToolchainError when a unix socket of the engine could not be opened, since its path is too long."""
    room = SOCKET_BYTES - len(LONGEST_SOCKET) - 1
    length = len(str(folder()).encode())
    if length > room:
        raise ToolchainError(
            f"{folder()}: {length} bytes; at most {room}, since the paths of unix sockets have at most {SOCKET_BYTES}; "
            "set XDG_STATE_HOME to a shorter folder"
        )


def write_settings(taken: Sequence[IPv4Network]) -> None:
    """Write daemon.json once; the addresses that were free then stay. dockerd(8), "Daemon configuration file"."""
    if settings_file().is_file():
        return
    settings = {
        "data-root": str(folder() / "data"),
        "exec-root": str(folder() / "run"),
        "pidfile": str(folder() / "run" / "dockerd.pid"),
        "hosts": [url()],
        "group": "root",
        "bridge": BRIDGE,
        "default-address-pools": [{"base": str(choose_pool(taken)), "size": NETWORK_BITS}],
        # With forwarding on, the engine would make this machine a router and close FORWARD for everybody else. Neither
        # containers on one network nor ports published on 127.0.0.1 need it.
        "ip-forward": False,
        "ip6tables": False,
        # An engine that was killed has no say over its containers and no names for them: it ends them and starts anew
        # those that are to be restarted, so that `stop` and `delete` know that nothing is left.
        "live-restore": False,
        "log-driver": "json-file",
        "log-opts": {"max-size": "10m", "max-file": "2"},
    }
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = settings_file().with_suffix(".new")
    fresh.write_text(json.dumps(settings, indent=1), encoding="utf-8")
    fresh.replace(settings_file())


def pool() -> IPv4Network:
    """The addresses of all networks of the engine; raises ToolchainError when its settings are lost."""
    try:
        return IPv4Network(json.loads(settings_file().read_text(encoding="utf-8"))["default-address-pools"][0]["base"])
    except (OSError, ValueError, LookupError) as error:
        raise ToolchainError(
            f"Docker engine: {settings_file()} is damaged ({error}); run `python3 -m toolchain docker delete`, then "
            "`python3 -m toolchain docker start`"
        ) from error


def bridge_address() -> str:
    """Address and prefix length of the default bridge: the first host of the first network."""
    first = next(pool().subnets(new_prefix=NETWORK_BITS))
    return f"{next(first.hosts())}/{first.prefixlen}"


def choose_pool(taken: Sequence[IPv4Network]) -> IPv4Network:
    """The first pool that overlaps with none of `taken`; raises ToolchainError when each does."""
    for text in POOLS:
        candidate = IPv4Network(text)
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise ToolchainError(
        f"Docker engine: this machine has routes into each of {', '.join(POOLS)}, so no addresses are left for its "
        "networks; remove a route, or use an engine of your own: set DOCKER_HOST"
    )


def routes(table: Path = ROUTES) -> list[IPv4Network]:
    """The networks that this machine has routes to, but for the default route."""
    if not table.is_file():
        return []
    found = []
    for line in table.read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        address, mask = (socket.inet_ntoa(struct.pack("=L", int(words[column], 16))) for column in (1, 7))
        found.append(ipaddress.IPv4Network(f"{address}/{mask}"))
    return [network for network in found if network.prefixlen]
