"""What follows from a spec: configuration, scripts and the shape of the workload."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.bindings import Reach
from components.core.scripting import scripts
from components.core.types import bytes_of
from components.rabbitmq import render
from components.rabbitmq.plan import RabbitmqPlan
from policies.readers import rabbitmq as reader
from tests.support.rabbitmq import files_of, plan_of

REPLICAS = st.sampled_from([1, 3, 5, 7])
MEMORY = st.integers(512, 65536).map(lambda n: f"{n}Mi")


def settings(plan: RabbitmqPlan) -> dict[str, str]:
    """rabbitmq.conf; a setting that occurs twice is an error."""
    pairs = [line.split(" = ", 1) for line in files_of(plan)["rabbitmq.conf"].splitlines()]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@given(replicas=REPLICAS, memory=MEMORY)
def test_any_valid_spec_is_configured_for_tls_alone(replicas: int, memory: str) -> None:
    plan = plan_of("api", replicas=replicas, resources={"memory": memory}, storage="1Ti")
    files, protocols = files_of(plan), ["TLSv1.3"]
    assert not list(reader.check_rabbitmq(files["rabbitmq.conf"], protocols))
    assert not list(reader.check_environment(files["rabbitmq-env.conf"]))
    assert not list(reader.check_inter_node_tls(files["inter_node_tls.config"], protocols))
    assert not list(reader.check_plugins(files["enabled_plugins"]))
    found = settings(plan)
    listening = {int(found[name]) for name in found if name.endswith((".port", "listeners.ssl.default"))}
    assert listening | {render.NODE_PORT} == {listener.port for listener in plan.workload.listeners}


@given(replicas=REPLICAS, memory=MEMORY)
def test_any_valid_spec_stays_below_its_limit(replicas: int, memory: str) -> None:
    """Publishers are stopped at the watermark; the log is in memory too, up to three times ("Quorum Queues")."""
    found = settings(plan_of("api", replicas=replicas, resources={"memory": memory}, storage="1Ti"))
    limit = bytes_of(memory)
    assert int(found["vm_memory_high_watermark.absolute"]) <= 0.6 * limit
    assert 3 * int(found["raft.wal_max_size_bytes"]) <= 0.6 * limit
    assert int(found["disk_free_limit.absolute"]) == limit


def test_nobody_is_admitted_by_default() -> None:
    found = settings(plan_of("api"))
    assert found["load_definitions"] == "/etc/rabbitmq/boot.json", "without any it would make the user guest"
    assert files_of(plan_of("api"))["boot.json"] == "{}\n"
    assert found["auth_mechanisms.1"] == "PLAIN"
    assert not [name for name in found if name.startswith(("default_user", "default_pass", "anonymous"))]


def test_nodes_find_each_other_by_name() -> None:
    plan = plan_of("api", replicas=3)
    found = settings(plan)
    peers = [f"broker-{index}.broker-peers.groundwork-test.svc" for index in range(3)]
    assert [found[f"cluster_formation.classic_config.nodes.{n}"] for n in (1, 2, 3)] == [f"rabbit@{p}" for p in peers]
    assert set(peers) <= set(plan.certificate_hosts)
    environment = files_of(plan)["rabbitmq-env.conf"]
    assert "NODENAME=rabbit@$(uname -n).broker-peers.groundwork-test.svc\n" in environment
    assert "USE_LONGNAME=true\n" in environment
    assert plan.workload.peers == (25672,)
    assert plan.workload.parallel_start, "a majority must be there before any node is ready"
    assert plan.workload.containers[0].command[-1] == peers[0], "new nodes wait for the first"


def test_tools_listen_nowhere() -> None:
    (arguments,) = re.findall(r'^CTL_ERL_ARGS="(.*)"$', files_of(plan_of("api"))["rabbitmq-env.conf"], re.MULTILINE)
    assert "-dist_listen false" in arguments


def test_a_node_that_came_late_gets_its_part_of_each_queue() -> None:
    found = settings(plan_of("api", replicas=3))
    prefix = "quorum_queue.continuous_membership_reconciliation"
    assert (found[f"{prefix}.enabled"], found[f"{prefix}.target_group_size"]) == ("true", "3")


def test_a_single_node_is_a_cluster_that_others_may_join() -> None:
    one, three = plan_of("api").workload, plan_of("api", replicas=3).workload
    assert (one.peers, one.parallel_start) == (three.peers, three.parallel_start)
    assert [file for file in one.files if "rabbit@broker-1" in file.content] == []
    assert not [name for name in settings(plan_of("api")) if name.startswith(("cluster_formation", "quorum_queue"))]


def test_nodes_know_each_other_by_what_clients_have_not() -> None:
    plan = plan_of("api", replicas=3)
    assert 'only_nodes/3, "broker.groundwork-test.svc"' in files_of(plan)["inter_node_tls.config"]
    assert plan.certificate_hosts[0] == "broker.groundwork-test.svc", "every node's certificate has it, no client's"


@pytest.mark.parametrize("replicas", [1, 3])
def test_only_consumers_may_connect_and_only_to_the_broker(replicas: int) -> None:
    workload = plan_of("worker", "api", replicas=replicas).workload
    assert workload.callers == (Reach("api", (5671,)), Reach("worker", (5671,)))
    assert [listener.name for listener in workload.listeners if listener.service] == ["amqps"]


def test_changed_secrets_restart_nothing() -> None:
    workload = plan_of("api").workload
    assert not workload.restart_on_secrets
    assert {secret.slot for secret in workload.secrets} == {
        *("ca.crt", "tls.crt", "tls.key"),
        *("cookie", "definitions.json"),
    }


def test_a_node_is_ready_later_than_alive_and_never_killed_for_waiting() -> None:
    server, topology = plan_of("api", replicas=3).workload.containers
    assert server.readiness.command[-1] == "ready"
    assert server.liveness.command[-1] == "alive"
    assert server.startup is not None
    assert server.startup.command == server.liveness.command
    assert topology.readiness.command != topology.liveness.command


def test_every_file_that_something_names_is_where_it_looks() -> None:
    plan = plan_of("api", replicas=3)
    there = {file.path for file in plan.workload.files} | {secret.path for secret in plan.workload.secrets}
    text = "\n".join([*files_of(plan).values(), *(" ".join(c.command) for c in plan.workload.containers)])
    named = set(
        re.findall(r"/etc/rabbitmq/[\w./-]+|/run/groundwork/[\w/.-]+", text.replace("$secrets", render.CLUSTER))
    )
    named = {name.replace("$tls", "/run/groundwork/tls") for name in named if not name.endswith(("/tls", "/cluster"))}
    assert named <= there
    assert {f"{render.CLUSTER}/cookie", f"{render.CLUSTER}/definitions.json", "/etc/rabbitmq/prune.erl"} <= named


@pytest.mark.parametrize("script", [name for name in render.SCRIPTS if name.endswith(".sh")])
@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_scripts_are_understood_by_any_shell(script: str, shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / script).write_text(scripts("rabbitmq", script)[script])
    words = [shell, "sh"] if shell == "busybox" else [shell]
    assert subprocess.run([*words, "-n", tmp_path / script], capture_output=True).stderr == b""


def test_secrets_are_in_no_argument_and_no_variable() -> None:
    workload: Any = plan_of("api").workload
    assert not [container.env for container in workload.containers if container.env]
    assert "cookie" not in " ".join(word for c in workload.containers for word in c.command)
