"""How an instance finds its place at start: the scripts run for real, with stand-ins for the programs they call."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest

from components.redis import render
from tests.support.redis import files_of, plan_of

PEERS = [f"store-{index}.store-peers.groundwork-test.svc" for index in range(3)]
EMPTY = "# Replication\nrole:slave\nmaster_repl_offset:0\n# Persistence\nloading:0\n# Keyspace\n"
FULL = "# Replication\nrole:slave\nmaster_repl_offset:7162\n# Persistence\nloading:0\n# Keyspace\ndb0:keys=9\n"
STAND_INS = {
    "redis-cli": """
while [ $# -gt 0 ]; do case $1 in -h) host=$2 ;; -p) port=$2 ;; esac; shift; done
cat >"$ROOT/asked"
[ -e "$ROOT/answers/$host:$port" ] || exit 1
echo OK
if grep -q 'CONFIG SET' "$ROOT/asked"; then echo OK; else cat "$ROOT/answers/$host:$port"; fi
""",
    "redis-server": 'echo "$@" >"$ROOT/started"',
    "uname": 'cat "$ROOT/hostname"',
    # One that waits for ever is ended after thirty rounds.
    "sleep": 'echo >>"$ROOT/slept"; [ "$(wc -l <"$ROOT/slept")" -lt 30 ] || kill $PPID; . "$ROOT/meanwhile"',
}


class Instance:
    """The files and surroundings of one instance."""

    def __init__(self, root: Path, index: int, role: str = "queue") -> None:
        self.root = root
        for folder in ("etc", "access", "data", "bin", "answers"):
            (root / folder).mkdir()
        plan = plan_of(role, replicas=3)
        for name, text in files_of(plan).items():
            here = text.replace(render.ETC, f"{root}/etc").replace(render.DATA, f"{root}/data")
            (root / "etc" / name).write_text(here.replace(render.ACCESS, f"{root}/access"))
        for user in plan.users:
            (root / "access" / f"{user.name}.password").write_text(f"pw-{user.name}")
        for name, text in STAND_INS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        (root / "hostname").write_text(f"store-{index}")
        (root / "meanwhile").write_text("")
        self.server_says_here("PONG\r\n# Replication\r\nrole:master\r\n")

    def sentinels_say(self, *views: tuple[int, int, str, int], silent: int = 800) -> None:
        """Each view: which Sentinel, the master it names, that master's flags, and the epoch it knows. `silent`: for
        how many milliseconds they have heard nothing of it."""
        for index, master, flags, epoch in views:
            text = (
                f"name\nstore\nip\n{PEERS[master]}\nport\n6379\nflags\n{flags}\nlast-ok-ping-reply\n{silent}\n"
                f"down-after-milliseconds\n5000\nnum-slaves\n2\nconfig-epoch\n{epoch}\n"
            )
            (self.root / "answers" / f"{PEERS[index]}:26379").write_text(text)

    def server_says(self, index: int, text: str) -> None:
        (self.root / "answers" / f"{PEERS[index]}:6379").write_text(text)

    def server_says_here(self, text: str) -> None:
        """What the server that is being started answers to who is beside it, also to the last thing asked."""
        (self.root / "answers" / "localhost:6379").write_text(text)

    def start(self, what: str) -> dict[str, str]:
        """Start a server; the configuration it would run with, or nothing where it would wait for ever."""
        done = subprocess.run(
            ["/bin/sh", self.root / "etc" / "start.sh", what],
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "ROOT": str(self.root)},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert "pw-" not in done.stdout + done.stderr
        if not (self.root / "started").exists():
            return {}
        path = self.root / "data" / f"{what}.conf"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return dict(line.rsplit(" ", 1) for line in path.read_text().splitlines())


def test_the_newest_configuration_of_a_majority_wins(tmp_path: Path) -> None:
    instance = Instance(tmp_path, 0)
    instance.sentinels_say((0, 0, "master", 3), (1, 2, "master", 4))
    found = instance.start("redis")
    assert found[f"replicaof {PEERS[2]}"] == "6379"
    assert (found["replica-announce-ip"], found["masterauth"]) == (PEERS[0], "pw-gw_replication")


def test_a_minority_decides_nothing(tmp_path: Path) -> None:
    instance = Instance(tmp_path, 0)
    instance.sentinels_say((0, 2, "master", 3))
    assert instance.start("redis") == {}


def test_the_first_start_has_one_master(tmp_path: Path) -> None:
    instance = Instance(tmp_path, 0)
    instance.sentinels_say((0, 0, "master,disconnected", 0), (1, 0, "master,disconnected", 0))
    instance.server_says(1, EMPTY)
    found = instance.start("redis")
    assert found["masteruser"] == "gw_replication"
    assert not [name for name in found if name.startswith("replicaof")]


@pytest.mark.parametrize("role", ["queue", "cache"])
def test_an_empty_master_leaves_the_lead_to_who_has_the_data(tmp_path: Path, role: str) -> None:
    instance = Instance(tmp_path, 0, role)
    instance.sentinels_say((0, 0, "master", 0), (1, 0, "master", 0))
    instance.server_says(1, FULL)
    newer = f"sed -i 's/{PEERS[0]}/{PEERS[1]}/' {tmp_path}/answers/*:26379\n"
    (tmp_path / "meanwhile").write_text(f'[ "$(wc -l <"$ROOT/slept")" -lt 5 ] || {newer}')
    assert f"replicaof {PEERS[1]}" in instance.start("redis")


def test_only_a_cache_starts_empty_over_replicas_that_nobody_promotes(tmp_path: Path) -> None:
    for role, starts in (("cache", True), ("queue", False)):
        (tmp_path / role).mkdir()
        instance = Instance(tmp_path / role, 0, role)
        instance.sentinels_say((0, 0, "master,s_down,o_down", 0), (1, 0, "master,s_down,o_down", 0))
        instance.server_says(1, EMPTY)
        instance.server_says(2, FULL)
        assert bool(instance.start("redis")) == starts


def test_a_master_with_its_data_returns_at_once(tmp_path: Path) -> None:
    instance = Instance(tmp_path, 0)
    (tmp_path / "data" / "appendonlydir").mkdir()
    instance.sentinels_say((0, 0, "master", 2), (1, 0, "master", 2))
    instance.server_says(1, FULL)
    assert instance.start("redis")
    assert not (tmp_path / "slept").exists()


def test_a_master_being_replaced_gives_its_successor_time(tmp_path: Path) -> None:
    instance = Instance(tmp_path, 0)
    (tmp_path / "data" / "appendonlydir").mkdir()
    instance.sentinels_say((0, 0, "master,s_down,o_down", 2), (1, 0, "master,s_down,o_down", 2))
    assert instance.start("redis")
    assert len((tmp_path / "slept").read_text().splitlines()) == 20


def test_a_master_that_is_about_to_be_replaced_does_not_come_back_in_between(tmp_path: Path) -> None:
    """What it took before its successor is chosen would be lost."""
    instance = Instance(tmp_path, 0)
    (tmp_path / "data" / "appendonlydir").mkdir()
    instance.sentinels_say((0, 0, "master", 2), (1, 0, "master", 2), silent=2500)
    (tmp_path / "meanwhile").write_text(f"sed -i 's/{PEERS[0]}/{PEERS[1]}/' {tmp_path}/answers/*:26379\n")
    assert f"replicaof {PEERS[1]}" in instance.start("redis")


@pytest.mark.parametrize(("priorities", "seconds"), [((0, 0), 0), ((0, 100), 20), ((0, None), 20)])
def test_a_master_leads_at_once_where_nobody_could_succeed_it(
    tmp_path: Path, priorities: tuple[int | None, ...], seconds: int
) -> None:
    instance = Instance(tmp_path, 0)
    (tmp_path / "data" / "appendonlydir").mkdir()
    instance.sentinels_say((0, 0, "master,s_down,o_down", 2), (1, 0, "master,s_down,o_down", 2))
    for index, priority in enumerate(priorities, start=1):
        if priority is not None:
            instance.server_says(index, f"# Replication\r\nrole:slave\r\nslave_priority:{priority}\r\n")
    assert instance.start("redis")
    slept = tmp_path / "slept"
    assert (len(slept.read_text().splitlines()) if slept.exists() else 0) == seconds


@pytest.mark.parametrize(
    ("role", "state", "seconds"),
    [
        ("queue", "role:master", 0),
        ("queue", "role:slave\r\nmaster_link_status:up", 0),
        ("queue", "role:slave\r\nmaster_link_status:down", None),
        ("cache", "role:slave\r\nmaster_link_status:down", 20),
    ],
)
def test_no_server_can_be_chosen_before_it_is_in_step(
    tmp_path: Path, role: str, state: str, seconds: int | None
) -> None:
    """One that has just started may lack what others have. A cache doesn't wait long for what it can do without."""
    instance = Instance(tmp_path, 0, role)
    instance.sentinels_say((0, 1, "master", 3), (1, 1, "master", 3))
    instance.server_says_here(f"PONG\r\n# Replication\r\n{state}\r\n")
    assert instance.start("redis")["replica-priority"] == "0"
    slept, asked = tmp_path / "slept", (tmp_path / "asked").read_text()
    assert ("CONFIG SET replica-priority 100" in asked) == (seconds is not None)
    if seconds is not None:
        assert (len(slept.read_text().splitlines()) if slept.exists() else 0) == seconds


def test_a_sentinel_remembers_its_master_and_its_votes(tmp_path: Path) -> None:
    instance = Instance(tmp_path, 1)
    saved = (
        f"sentinel monitor store {PEERS[2]} 6379 2\nsentinel config-epoch store 7\nsentinel leader-epoch store 8\n"
        f"sentinel current-epoch 8\nsentinel down-after-milliseconds store 1\nsentinel auth-pass store old\n"
    )
    (tmp_path / "data" / "sentinel.conf").write_text(saved)
    instance.sentinels_say((0, 0, "master", 1))
    found = instance.start("sentinel")
    assert found[f"sentinel monitor store {PEERS[2]} 6379"] == "2"
    assert (found["sentinel config-epoch store"], found["sentinel leader-epoch store"]) == ("7", "8")
    assert found["sentinel current-epoch"] == "8"
    assert found["sentinel down-after-milliseconds store"] == "5000", "what was rendered anew counts"
    assert found["sentinel auth-pass store"] == "pw-gw_sentinel"


def test_every_sentinel_knows_all_its_peers_from_the_start(tmp_path: Path) -> None:
    ids: dict[str, set[str]] = {}
    for index in range(3):
        (tmp_path / str(index)).mkdir()
        found = Instance(tmp_path / str(index), index).start("sentinel")
        assert found[f"sentinel monitor store {PEERS[0]} 6379"] == "2", "nobody answers: the first instance leads"
        assert [f"sentinel known-replica store {peer}" in found for peer in PEERS] == [False, True, True]
        ids.setdefault(PEERS[index], set()).add(found["sentinel myid"])
        for peer in PEERS:
            if peer != PEERS[index]:
                ids.setdefault(peer, set()).add(found[f"sentinel known-sentinel store {peer} 26379"])
    assert all(len(seen) == 1 for seen in ids.values())
    assert len(set.union(*ids.values())) == 3


def test_a_sentinel_without_memory_asks_its_peers(tmp_path: Path) -> None:
    instance = Instance(tmp_path, 0)
    instance.sentinels_say((1, 2, "master", 5))
    assert f"sentinel monitor store {PEERS[2]} 6379" in instance.start("sentinel")


@pytest.mark.parametrize(
    ("check", "port", "reply", "good"),
    [
        ("redis-ready", 6379, "PONG\n# Replication\nrole:master\n", True),
        ("redis-ready", 6379, "PONG\n# Replication\nrole:slave\nmaster_link_status:up\n", True),
        ("redis-ready", 6379, "PONG\n# Replication\nrole:slave\nmaster_link_status:down\n", False),
        ("redis-ready", 6379, "LOADING Redis is loading the dataset in memory\n# Replication\nrole:master\n", False),
        ("redis-alive", 6379, "LOADING Redis is loading the dataset in memory\n", True),
        ("redis-alive", 6379, "BUSY Redis is busy running a script\n", True),
        ("redis-alive", 6379, "NOAUTH Authentication required.\n", False),
        ("sentinel-ready", 26379, f"{PEERS[0]}\n6379\n", True),
        ("sentinel-ready", 26379, "\n", False),
        ("sentinel-alive", 26379, "PONG\n", True),
        ("redis-alive", 0, "", False),
        ("sentinel-alive", 0, "", False),
    ],
)
def test_probes_tell_ready_from_alive(tmp_path: Path, check: str, port: int, reply: str, good: bool) -> None:
    instance = Instance(tmp_path, 0)
    (tmp_path / "answers" / f"localhost:{port}").write_text(reply)
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "ROOT": str(tmp_path)}
    done = subprocess.run(["/bin/sh", instance.root / "etc" / "probe.sh", check], env=environment)
    assert (done.returncode == 0) == good
