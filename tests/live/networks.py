"""What listens in the network of a process, and what can be reached from there. Linux, proc(5): /proc/PID/net/tcp."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_BRIEF = 1
"""Seconds for a connection: the kernel takes it at once, and a packet that is dropped is never answered."""
_PATIENT = 5
"""Seconds for a name that should be known: a busy engine may be slow to say."""
_LISTEN = "0A"
_AT_ONCE = 256


@dataclass(frozen=True, order=True)
class Listening:
    """A TCP socket that takes connections."""

    port: int
    address: str
    """Where it does; 0.0.0.0 and :: are everywhere."""

    @property
    def alone(self) -> bool:
        """Whether only processes in the same network reach it."""
        return ipaddress.ip_address(self.address).is_loopback

    @property
    def dialled(self) -> tuple[str, ...]:
        """Addresses at which the same network may reach it."""
        return ("127.0.0.1", "::1") if ipaddress.ip_address(self.address).is_unspecified else (self.address,)


def listening(pid: int) -> list[Listening]:
    """Every listening socket in the network of process `pid`."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if state == _LISTEN:
                address, port = local.split(":")
                found.add(Listening(int(port, 16), _address(address)))
    return sorted(found)


def reached(targets: Iterable[tuple[str, int]], names: Collection[str] = ()) -> set[tuple[str, int]]:
    """The hosts and ports that take a connection from here. Hosts are looked up here too; `names` should be known."""
    wanted = list(targets)
    hosts = sorted({host for host, _ in wanted})
    # A name that the engine does not know is asked for elsewhere, where perhaps nobody answers. resolv.conf(5).
    os.environ["RES_OPTIONS"] = "timeout:1 attempts:1"
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        seconds = [_PATIENT if host in names else 0 for host in hosts]
        known = dict(zip(hosts, pool.map(_resolve, hosts, seconds), strict=True))
        opened = pool.map(opens, (known[host] for host, _ in wanted), (port for _, port in wanted))
        return {target for target, is_open in zip(wanted, opened, strict=True) if is_open}


def _resolve(host: str, seconds: float) -> str:
    """Its address; empty for a name that nobody knows."""
    end = time.monotonic() + seconds
    while True:
        try:
            return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
        except OSError:
            if time.monotonic() > end:
                return ""


def opens(host: str, port: int) -> bool:
    """Whether anything takes a connection."""
    if not host:
        return False
    try:
        socket.create_connection((host, port), _BRIEF).close()
    except OSError:
        return False
    return True


def _address(text: str) -> str:
    """An address as the kernel prints it: 32-bit words in the machine's own order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(struct.pack("=I", word) for word in words)))
