"""How the memory of one instance is shared out, so that a master at its worst stays below the limit. Pure.

At its worst a master is full, every replica is as far behind as it may be, and a rewrite of the file on disk runs:
data + replicas x buffer + backlog + copies <= limit. Does not bound what clients other than replicas have unread.
"""

from dataclasses import dataclass

from components.core.types import bytes_of


@dataclass(frozen=True)
class Shares:
    """Shares of the memory limit, in mebibytes."""

    data: int
    """`maxmemory`. Half as much again is left free for fragmentation and the pages a rewrite copies."""
    buffer: int = 0
    """What may wait for one replica before its connection is closed; 0 where there are no replicas."""
    backlog: int = 0
    """Writes kept for replicas that return. Half a buffer, for a returning replica is sent all of it at once."""


def shares_of(memory: str, instances: int) -> Shares:
    """Share out `memory` of one of so many instances. redis.conf, sections MEMORY MANAGEMENT and REPLICATION.

    With replicas a quarter is for them. Since Redis 7 they share one buffer, so this counts more than is used;
    eviction counts neither that buffer nor fragmentation, so nothing but this sum keeps them below the limit.
    """
    limit = bytes_of(memory) // 2**20
    if instances == 1:
        return Shares(data=limit * 2 // 3)
    replicas = instances - 1
    buffer = limit // 2 // (2 * replicas + 1)
    return Shares(data=limit // 2, buffer=buffer, backlog=buffer // 2)
