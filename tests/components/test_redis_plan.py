"""What follows from a spec: configuration, access lists, scripts and the shape of the workload."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.bindings import Reach
from components.core.scripting import scripts
from components.core.types import bytes_of
from components.redis import render
from components.redis.plan import RedisPlan
from tests.support.redis import files_of, plan_of

ROLES = ("cache", "queue", "session", "pubsub")
SIZES = st.integers(64, 8192).map(lambda n: f"{n}Mi")


def settings(text: str) -> dict[str, str]:
    """Directives of a configuration file; a name that occurs twice is an error."""
    pairs = [line.rsplit(" ", 1) if line.startswith("sentinel ") else line.split(" ", 1) for line in text.splitlines()]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


def access(plan: RedisPlan, of_sentinel: bool = False) -> dict[str, str]:
    text = render.render_acl(
        plan.users, {user.name: f"secret-{user.name}" for user in plan.users}, of_sentinel=of_sentinel
    )
    assert "secret-" not in text
    return {line.split()[1]: line for line in text.splitlines()}


@st.composite
def plans(draw: st.DrawFn) -> RedisPlan:
    role = draw(st.sampled_from(ROLES))
    fields: dict[str, Any] = {
        "replicas": draw(st.sampled_from([1, 3, 5, 7])),
        "resources": {"memory": draw(SIZES)},
    }
    if role in ("queue", "session"):
        fields["storage"] = "1Ti"
    if role == "cache" and draw(st.booleans()):
        fields |= {
            "persistence": "rdb",
            "storage": "1Ti",
            "eviction": draw(st.sampled_from(["allkeys-lfu", "volatile-lru"])),
        }
    consumers = draw(
        st.lists(st.from_regex(r"[a-z]{3,9}", fullmatch=True).filter(lambda n: n != "default"), max_size=4)
    )
    return plan_of(role, *set(consumers), **fields)


@given(plan=plans())
def test_any_valid_spec_listens_on_tls_only(plan: RedisPlan) -> None:
    for name, text in files_of(plan).items():
        if name.endswith(".conf"):
            found = settings(text)
            assert found["port"] == "0"
            assert (found["tls-auth-clients"], found["tls-replication"]) == ("yes", "yes")
            assert found["tls-protocols"] == '"TLSv1.3"'
    assert all(listener.tls in ("mutual", "server") for listener in plan.workload.listeners)
    listening = {int(settings(text)["tls-port"]) for name, text in files_of(plan).items() if name.endswith(".conf")}
    assert listening | {render.METRICS_PORT} == {listener.port for listener in plan.workload.listeners}


@given(plan=plans())
def test_any_valid_spec_stays_below_its_limit_at_its_worst(plan: RedisPlan) -> None:
    stays_below(plan)


@pytest.mark.parametrize("replicas", [1, 3, 5, 7])
@pytest.mark.parametrize("memory", ["64Mi", "65Mi", "77Mi", "128Mi", "1Gi", "1023Mi", "512Gi"])
def test_the_smallest_and_largest_stay_below_their_limit(replicas: int, memory: str) -> None:
    stays_below(plan_of("pubsub", replicas=replicas, resources={"memory": memory}))


def stays_below(plan: RedisPlan) -> None:
    """Data, what waits for every replica, the backlog, and half the data for fragmentation and rewrites: all fit."""
    found = settings(files_of(plan)["redis.conf"])
    limit = bytes_of(plan.workload.containers[0].memory) // 2**20
    data = megabytes(found["maxmemory"])
    buffer = soft = backlog = 0
    if plan.replicated:
        kind, *sizes, seconds = found["client-output-buffer-limit"].split()
        assert (kind, seconds) == ("replica", "60"), "the limits of other clients stay as they are"
        buffer, soft = map(megabytes, sizes)
        backlog = megabytes(found["repl-backlog-size"])
        assert buffer >= soft >= backlog > 0, "a replica is sent the whole backlog: it must fit into what may wait"
    assert 1.5 * data + (plan.workload.replicas - 1) * buffer + backlog <= limit
    assert 2 * data >= limit - 1, "the data keeps at least half"


def megabytes(value: str) -> int:
    assert re.fullmatch("[0-9]+mb", value), value
    return int(value.removesuffix("mb"))


@pytest.mark.parametrize("replicas", [1, 3])
def test_each_container_sees_only_the_directories_it_needs(replicas: int) -> None:
    workload = plan_of("queue", replicas=replicas).workload
    config = {file.path.rpartition("/")[0] for file in workload.files}
    secrets = {file.path.rpartition("/")[0] for file in workload.secrets}
    assert not config & secrets
    every = config | secrets | {"/data"}
    seen = {container.name: set(container.mounts) for container in workload.containers}
    exporter = seen.pop("exporter")
    assert {secret.slot for secret in workload.secrets if secret.path.rpartition("/")[0] in exporter} == {
        *("ca.crt", "tls.crt", "tls.key"),
        "exporter.json",
    }
    assert exporter <= secrets
    for server in seen.values():
        assert server == every - {"/run/groundwork/exporter"}


def test_every_file_that_a_server_or_script_names_is_where_it_looks() -> None:
    plan = plan_of("queue", replicas=3)
    there = {file.path for file in plan.workload.files} | {secret.path for secret in plan.workload.secrets}
    text = "\n".join(files_of(plan).values())
    named = set(re.findall(r"/(?:etc/redis|run/groundwork)/[\w./-]+\.(?:conf|sh|acl|crt|key)\b", text))
    assert {"/run/groundwork/tls/tls.key", "/run/groundwork/access/users.acl"} <= named <= there
    named_to_exporter = {value for value in plan.workload.containers[-1].env.values() if value.startswith("/")}
    assert len(named_to_exporter) == 4
    assert named_to_exporter <= there
    assert "/run/groundwork/access/$1.password" in scripts("redis", "lib.sh")["lib.sh"]
    assert "/run/groundwork/access/gw_sentinel.password" in there


@given(plan=plans())
def test_any_valid_spec_gives_every_slot_a_file_and_every_user_a_password(plan: RedisPlan) -> None:
    slots = {secret.slot for secret in plan.workload.secrets}
    internal = {user.name for user in render.internal_users(plan.replicated)}
    assert {f"{name}.password" for name in internal} <= slots
    assert ("sentinel-users.acl" in slots) == plan.replicated
    assert len({secret.path for secret in plan.workload.secrets} | {file.path for file in plan.workload.files}) == len(
        plan.workload.secrets
    ) + len(plan.workload.files)


def test_a_queue_keeps_every_job() -> None:
    found = settings(files_of(plan_of("queue"))["redis.conf"])
    assert (found["maxmemory-policy"], found["appendonly"], found["appendfsync"]) == ("noeviction", "yes", "everysec")
    assert plan_of("queue").workload.volumes[0].size == "1Gi"


def test_a_cache_evicts_and_writes_nothing() -> None:
    plan = plan_of("cache", resources={"memory": "768Mi"})
    found = settings(files_of(plan)["redis.conf"])
    assert (found["maxmemory"], found["maxmemory-policy"]) == ("512mb", "allkeys-lru")
    assert (found["appendonly"], found["save"]) == ("no", '""')
    assert not plan.workload.volumes
    assert bytes_of(plan.workload.scratch[0].size) >= bytes_of("768Mi"), "a replica receives the whole cache as a file"


def test_replicated_refuses_writes_before_a_successor_can_exist() -> None:
    found, sentinel = (
        settings(files_of(plan_of("queue", replicas=3))[name]) for name in ("redis.conf", "sentinel.conf")
    )
    assert found["min-replicas-to-write"] == "1"
    assert int(found["min-replicas-max-lag"]) * 1000 < int(sentinel["sentinel down-after-milliseconds store"])


def test_replicated_finds_itself_by_names() -> None:
    plan = plan_of("queue", replicas=3)
    files = files_of(plan)
    sentinel = settings(files["sentinel.conf"])
    assert (sentinel["sentinel resolve-hostnames"], sentinel["sentinel announce-hostnames"]) == ("yes", "yes")
    assert "QUORUM=2\n" in files["settings.sh"]
    assert "SUFFIX=.store-peers.groundwork-test.svc\n" in files["settings.sh"]
    for index in range(3):
        host = f"store-{index}.store-peers.groundwork-test.svc"
        assert host in plan.certificate_hosts
        assert host in files["settings.sh"]
    assert plan.workload.parallel_start, "a quorum must form before any instance is ready"


def test_single_has_no_sentinel() -> None:
    plan = plan_of("queue", "api")
    assert [container.name for container in plan.workload.containers] == ["redis", "exporter"]
    assert "sentinel.conf" not in files_of(plan)
    assert plan.workload.peers == ()
    assert set(access(plan)) == {"default", "gw_monitor", "api"}


@pytest.mark.parametrize(("replicas", "ports"), [(1, (6379,)), (3, (6379, 26379))])
def test_only_consumers_may_connect(replicas: int, ports: tuple[int, ...]) -> None:
    plan = plan_of("queue", "worker", "api", replicas=replicas)
    assert plan.workload.callers == (Reach("api", ports), Reach("worker", ports))


def test_nobody_is_admitted_by_default() -> None:
    for of_sentinel in (False, True):
        lines = access(plan_of("queue", "api", replicas=3), of_sentinel)
        assert lines.pop("default") == "user default off"
        assert all(re.search(r" on #[0-9a-f]{64} ", line) for line in lines.values())
        assert not [line for line in lines.values() if "nopass" in line]


@pytest.mark.parametrize("role", ROLES)
def test_a_consumer_administers_nothing(role: str) -> None:
    words = access(plan_of(role, "api"))["api"].split()
    if role == "pubsub":
        assert "~*" not in words
        assert words[words.index("-@all") + 1 :] == ["+@pubsub", "+@connection", "+info", "+role"]
    else:
        granted = words[words.index("+@all") :]
        assert granted[1:3] == ["-@admin", "-@dangerous"]
        assert set(granted[3:]) <= {"+info", "+role", "+client|list"}


def test_the_servers_own_users_read_no_data() -> None:
    lines = access(plan_of("queue", replicas=3))
    for user in ("gw_monitor", "gw_replication", "gw_sentinel"):
        words = lines[user].split()
        assert "resetkeys" in words
        assert "-@all" in words
        assert not [
            word for word in words if word.startswith(("~", "+@")) or word in ("allkeys", "+config", "+config|get")
        ]


def test_a_consumer_may_ask_sentinels_and_change_nothing() -> None:
    granted = [
        word
        for word in access(plan_of("queue", "api", replicas=3), of_sentinel=True)["api"].split()
        if "sentinel" in word
    ]
    changing = ("failover", "monitor", "remove", "reset", "set", "config", "flushconfig")
    assert granted
    assert not [word for word in granted if word == "+sentinel" or word.partition("|")[2] in changing]


def test_passwords_never_reach_arguments_or_environment() -> None:
    for container in plan_of("queue", "api", replicas=3).workload.containers:
        words = " ".join([*container.command, *container.args, *container.env.values()])
        assert "REDISCLI_AUTH" not in container.env
        assert not re.search(r"--pass|--askpass|-a ", words)
    for script in render.SCRIPTS:
        assert not re.search(r"REDISCLI_AUTH|redis-cli[^|]* (-a|--pass) ", scripts("redis", script)[script])


def test_probes_differ() -> None:
    for container in plan_of("queue", replicas=3).workload.containers:
        assert container.readiness != container.liveness


@pytest.mark.parametrize("script", render.SCRIPTS)
@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_scripts_parse_in_a_plain_shell(script: str, shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    command = [shell, "sh"] if shell == "busybox" else [shell]
    done = subprocess.run([*command, "-n"], input=scripts("redis", script)[script], text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")
