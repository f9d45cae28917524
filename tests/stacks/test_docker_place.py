"""What the commands learn from a Docker engine."""

from typing import Any

import pytest

from stacks.places.docker import left_behind


def container(name: str, started: str, mode: str = "none", running: bool = True) -> dict[str, Any]:
    state = {"Running": running, "StartedAt": f"2026-11-21T{started}Z"}
    return {"Id": f"id-{name}", "Name": f"/{name}", "State": state, "HostConfig": {"NetworkMode": mode}}


@pytest.mark.parametrize(
    ("sandbox", "process", "running", "found"),
    [
        ("10:00:00.5", "10:00:00.75", True, []),
        ("10:00:00.123456789", "10:00:00.12", True, ["redis"]),
        ("11:00:00", "10:00:00.999999999", True, ["redis"]),
        ("11:00:00", "10:00:00", False, []),
    ],
)
def test_who_is_older_than_the_network_it_shares_is_left_behind(
    sandbox: str, process: str, running: bool, found: list[str]
) -> None:
    containers = [
        container("cache-0", sandbox, "groundwork-local-cache"),
        container("redis", process, "container:id-cache-0", running),
        container("other", "09:00:00", "container:id-unknown"),
    ]
    assert left_behind(containers) == found
