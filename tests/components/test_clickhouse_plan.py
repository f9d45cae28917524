"""What every ClickHouse is configured to do, whatever its spec: read as YAML by a parser that is not the server's."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from components.clickhouse import render
from components.clickhouse.plan import ClickhousePlan
from components.clickhouse.secrets import render_secrets
from components.core.scripting import scripts
from components.core.workload import Workload
from policies.readers.clickhouse import check_clickhouse, check_clickhouse_client, check_clickhouse_users
from tests.support.clickhouse import METRICS, plan_of
from tests.support.site import contents

PLAINTEXT = {8123, 9000, 9004, 9005, 9009, 9181, 2181}


def parsed(workload: Workload, file: str) -> Any:
    """A file as an independent parser reads it."""
    return YAML(typ="safe").load(contents(workload)[file])


def keeper_of(plan: ClickhousePlan) -> Workload:
    assert plan.keeper
    return plan.keeper


def numbers(value: Any) -> set[int]:
    if isinstance(value, dict):
        return set().union(*map(numbers, value.values()))
    if isinstance(value, list):
        return set().union(*map(numbers, value))
    return {value} if isinstance(value, int) else set()


sizes = st.tuples(st.just(1), st.just(1)) | st.tuples(st.integers(2, 3), st.integers(1, 4))


@given(size=sizes, memory=st.sampled_from(["1Gi", "16Gi"]))
def test_any_valid_spec_is_configured_for_tls_alone(size: tuple[int, int], memory: str) -> None:
    replicas, shards = size
    plan = plan_of("api", replicas=replicas, shards=shards, resources={"memory": memory})
    for workload in (*plan.servers, *([plan.keeper] if plan.keeper else [])):
        files = contents(workload)
        for name in (render.SERVER_FILE, render.KEEPER_FILE):
            if name in files:
                assert not list(check_clickhouse(files[name], ["TLSv1.3"]))
                assert not numbers(parsed(workload, name)) & PLAINTEXT
        if render.CLIENT_FILE in files:
            assert not list(check_clickhouse_client(files[render.CLIENT_FILE], ["TLSv1.3"]))
            assert not list(check_clickhouse_users(files[render.USERS_FILE]))


def test_every_port_that_is_listened_on_is_configured_and_the_other_way_round() -> None:
    plan = plan_of("api", replicas=2)
    server, keeper = parsed(plan.servers[0], render.SERVER_FILE), parsed(keeper_of(plan), render.KEEPER_FILE)
    metrics = server["protocols"]["metrics"]["port"]
    opened = {server["https_port"], server["tcp_port_secure"], server["interserver_https_port"], metrics}
    assert {listener.port for listener in plan.servers[0].listeners} == opened == {8443, 9440, 9010, 9363}
    raft = {server["port"] for server in keeper["keeper_server"]["raft_configuration"]["server"]}
    opened = {keeper["keeper_server"]["tcp_port_secure"], keeper["protocols"]["metrics"]["port"], *raft}
    assert {listener.port for listener in keeper_of(plan).listeners} == opened == {9281, 9234, 9363}


def test_who_has_no_certificate_is_offered_health_and_metrics_alone() -> None:
    conf = parsed(plan_of("api").servers[0], render.SERVER_FILE)
    assert conf["openSSL"]["server"]["verificationMode"] == "strict"
    handlers = conf[conf["protocols"]["watched"]["handlers"]]
    assert {rule["url"]: rule["handler"]["type"] for rule in handlers.values()} == {
        "/metrics": "prometheus",
        "/ping": "ping",
        "/replicas_status": "replicas_status",
    }
    # The server takes only rules whose names begin so.
    assert all(name.startswith("rule") for name in handlers)


def test_a_single_server_knows_no_cluster() -> None:
    plan = plan_of("api")
    assert (plan.keeper, plan.nodes) == (None, ("store-0.store-peers.groundwork-test.svc",))
    conf = parsed(plan.servers[0], render.SERVER_FILE)
    assert not {"zookeeper", "remote_servers", "interserver_https_port", "macros"} & set(conf)
    assert "Replicated" not in contents(plan.servers[0])["schema.sql"]


def test_each_shard_is_a_workload_and_all_know_one_another() -> None:
    plan = plan_of("api", replicas=2, shards=3)
    assert [(one.name, one.part, one.service) for one in plan.servers] == [
        (f"store-{n}", str(n), "store") for n in (1, 2, 3)
    ]
    confs = [parsed(one, render.SERVER_FILE) for one in plan.servers]
    assert confs[0] == confs[1] == confs[2]
    shards = confs[0]["remote_servers"]["groundwork"]["shard"]
    hosts = [[replica["host"] for replica in shard["replica"]] for shard in shards]
    assert hosts[2] == [f"store-3-{n}.store-3-peers.groundwork-test.svc" for n in (0, 1)]
    assert plan.nodes == tuple(host for shard in hosts for host in shard)
    assert all(shard["internal_replication"] == "true" for shard in shards)


def test_keeper_is_three_and_every_server_knows_them() -> None:
    plan = plan_of("api", replicas=2)
    keeper = keeper_of(plan)
    assert (keeper.name, keeper.part, keeper.replicas, keeper.stateful) == ("store-keeper", "keeper", 3, True)
    hosts = [f"store-keeper-{n}.store-keeper-peers.groundwork-test.svc" for n in range(3)]
    raft = parsed(keeper, render.KEEPER_FILE)["keeper_server"]["raft_configuration"]
    assert [(server["id"], server["hostname"]) for server in raft["server"]] == list(enumerate(hosts, start=1))
    nodes = parsed(plan.servers[0], render.SERVER_FILE)["zookeeper"]["node"]
    assert [node["host"] for node in nodes] == hosts
    assert set(hosts) <= set(plan.keeper_hosts)


def test_certificates_have_every_name_that_is_dialled() -> None:
    plan = plan_of("api", replicas=2, shards=2)
    assert plan.certificate_hosts[0] == plan.host == "store-1.groundwork-test.svc"
    assert {*plan.nodes, "store-2.groundwork-test.svc", "localhost"} <= set(plan.certificate_hosts)
    users = parsed(plan.servers[0], render.USERS_FILE)["users"]
    assert users["gw_schema"]["ssl_certificates"] == {"common_name": plan.certificate_hosts[0]}
    assert users["gw_schema"]["networks"] == {"ip": ["127.0.0.1", "::1"]}


def test_who_takes_backups_reads_and_nothing_else() -> None:
    plan = plan_of("api", backup={"to": "objects"})
    server = plan.servers[0]
    users = parsed(server, render.USERS_FILE)
    assert users["users"]["gw_backup"] == {
        "ssl_certificates": {"common_name": "store-backup"},
        "profile": "gw_backup",
        "grants": {"query": ["GRANT SELECT, SHOW ON `api`.*", "GRANT SELECT, SHOW ON `groundwork`.*"]},
    }
    assert users["profiles"]["gw_backup"]["readonly"] == 2
    (caller,) = (caller for caller in server.callers if caller.service == "store-backup")
    assert caller.ports == (render.NATIVE_PORT,)
    without = plan_of("api").servers[0]
    assert "gw_backup" not in contents(without)[render.USERS_FILE]
    assert [caller.service for caller in without.callers] == ["api"]


def test_users_of_its_own_have_no_quota() -> None:
    """A restore reads many rows, and a backup all of them, whatever a person allows services."""
    plan = plan_of("api", backup={"to": "objects"}, quotas={"default": {"rows_read": 10}})
    users = parsed(plan.servers[0], render.USERS_FILE)["users"]
    assert {name for name, user in users.items() if "quota" in user} == {"api"}


def test_the_client_of_a_backup_asks_for_the_servers_certificate() -> None:
    client = json.loads(render.render_backup_client())
    assert (client["user"], client["port"], client["secure"]) == ("gw_backup", render.NATIVE_PORT, "true")
    assert "host" not in client
    assert not list(check_clickhouse_client(json.dumps(client), ("TLSv1.3",)))


def test_a_user_has_the_settings_of_a_telemetry_store_and_no_others_rights() -> None:
    tables = [{**METRICS, "readers": ["api"], "writers": ["ingest"]}]
    users = parsed(plan_of("api", "ingest", "web", tables=tables).servers[0], render.USERS_FILE)
    assert users["profiles"]["default"].items() >= {
        "async_insert": 1,
        "wait_for_async_insert": 0,
        "async_insert_max_data_size": 10485760,
        "async_insert_busy_timeout_ms": 1000,
        "enable_http_compression": 1,
    }.items()  # fmt: skip
    rights = {name: users["users"][name]["grants"]["query"] for name in ("api", "ingest", "web")}
    assert rights == {
        "api": ["GRANT ALL ON `api`.*", "GRANT SELECT ON `groundwork`.`metrics`"],
        "ingest": ["GRANT ALL ON `ingest`.*", "GRANT INSERT ON `groundwork`.`metrics`"],
        "web": ["GRANT ALL ON `web`.*"],
    }
    assert users["users"]["web"]["default_database"] == "web"
    assert "default" not in users["users"]


def test_profiles_and_quotas_are_those_of_the_spec() -> None:
    plan = plan_of(
        "api",
        profiles={"reports": {"read_only": True, "max_memory": "1Gi", "max_time": "5m", "max_threads": 2}},
        quotas={"few": {"per": "1m", "queries": 10, "time": "30s"}},
        users={"api": {"profile": "reports", "quota": "few"}},
    )
    users = parsed(plan.servers[0], render.USERS_FILE)
    wanted = {"readonly": 2, "max_memory_usage": 2**30, "max_execution_time": 300, "max_threads": 2}
    assert users["profiles"]["reports"].items() >= wanted.items()
    limits = {"duration": 60, "queries": 10, "execution_time": 30, "errors": 0}
    assert users["quotas"]["few"]["interval"].items() >= limits.items()
    assert (users["users"]["api"]["profile"], users["users"]["api"]["quota"]) == ("reports", "few")


def test_what_is_put_in_from_the_file_of_secrets_is_there() -> None:
    plan = plan_of("api", "order-api", replicas=2)
    secrets = ET.fromstring(render_secrets({"api": "one", "order-api": "two"}, "three"))
    known = {element.tag: element.text for element in secrets}
    for name in (render.SERVER_FILE, render.USERS_FILE):
        conf = parsed(plan.servers[0], name)
        assert conf["include_from"] in {secret.path for secret in plan.servers[0].secrets}
        wanted = included(conf)
        assert wanted
        assert wanted <= set(known)
    assert set(known.values()) >= {"three"}
    assert not {"one", "two"} & set(known.values())


def included(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(included, value))
    found = {value["@incl"]} if isinstance(value, dict) and "@incl" in value else set()
    return found.union(*map(included, value.values())) if isinstance(value, dict) else found


def test_what_a_server_needs_to_know_of_itself_is_told_by_its_start() -> None:
    plan = plan_of("api", replicas=2)
    wanted = from_env(parsed(plan.servers[0], render.SERVER_FILE)) | from_env(
        parsed(keeper_of(plan), render.KEEPER_FILE)
    )
    told = re.search(r"^export (.*)$", contents(keeper_of(plan))["start.sh"], re.MULTILINE)
    assert told
    assert wanted == set(re.findall(r"[A-Z_]{3,}(?==| )", told[1])) == {"OWN_HOST", "REPLICA", "SERVER_ID", "SHARD"}


def from_env(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(from_env, value))
    found = {value["@from_env"]} if isinstance(value, dict) and "@from_env" in value else set()
    return found.union(*map(from_env, value.values())) if isinstance(value, dict) else found


@pytest.mark.parametrize("memory", ["1Gi", "64Gi"])
def test_caches_fit_into_the_memory(memory: str) -> None:
    conf = parsed(plan_of("api", resources={"memory": memory}).servers[0], render.SERVER_FILE)
    caches = conf["mark_cache_size"] + conf["index_mark_cache_size"] + conf["uncompressed_cache_size"]
    assert caches <= int(memory[:-2]) * 2**30 * 0.2
    assert conf["max_server_memory_usage_to_ram_ratio"] < 1


def test_the_logs_in_tables_do_not_fill_the_disk() -> None:
    conf = parsed(plan_of("api").servers[0], render.SERVER_FILE)
    logs = {name: block for name, block in conf.items() if name.endswith("_log")}
    assert set(logs) == {"part_log", "query_log"}
    assert all("INTERVAL 7 DAY" in block["ttl"] for block in logs.values())


@pytest.mark.parametrize("replicas", [1, 2])
def test_only_consumers_may_connect_and_servers_of_the_service(replicas: int) -> None:
    plan = plan_of("api", replicas=replicas)
    for server in plan.servers:
        assert [(caller.service, caller.ports) for caller in server.callers] == [("api", (8443, 9440))]
        assert server.peers == ((9440, 9010) if replicas > 1 else ())
        assert [(r.service, r.ports) for r in server.reaches] == ([("store", (9281,))] if replicas > 1 else [])
    for keeper in filter(None, [plan.keeper]):
        assert [(caller.service, caller.ports) for caller in keeper.callers] == [("store", (9281,))]
        assert keeper.peers == (9234,)


def test_probes_differ_and_ask_by_tls() -> None:
    plan = plan_of("api", replicas=2)
    server, schema = plan.servers[0].containers
    coordinator, handover = keeper_of(plan).containers
    assert (server.readiness.path, server.liveness.path) == ("/replicas_status", "/ping")
    for container in (server, schema, coordinator, handover):
        assert container.readiness != container.liveness
        assert container.startup
    assert keeper_of(plan).drain_seconds


def test_who_is_told_to_stop_has_time_to_write_after_its_queries() -> None:
    plan = plan_of("api", replicas=2)
    keeper = keeper_of(plan)
    for workload, file in ((plan.servers[0], render.SERVER_FILE), (keeper, render.KEEPER_FILE)):
        patience = parsed(workload, file)["shutdown_wait_unfinished"]
        assert patience + workload.drain_seconds < workload.grace_seconds - 10


def test_each_listener_is_named_once() -> None:
    listeners = plan_of("api", replicas=2, shards=2).listeners
    assert len(listeners) == len({listener.port for listener in listeners}) == 6


def test_every_file_that_something_names_is_where_it_looks() -> None:
    plan = plan_of("api", replicas=2)
    for workload in (*plan.servers, keeper_of(plan)):
        there = {file.path for file in workload.files}
        for container in workload.containers:
            words = " ".join((*container.command, *container.readiness.command, *container.liveness.command)).split()
            assert {word for word in words if word.startswith(render.ETC)} <= there
            assert render.ETC in container.mounts
        assert f"{render.ETC}/{workload.containers[0].command[2]}" in there


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("script", [*render.SERVER_SCRIPTS, "keeper.sh"])
def test_scripts_are_understood_by_any_shell(script: str, shell: str, tmp_path: Path) -> None:
    path = tmp_path / script
    path.write_text(scripts("clickhouse", script)[script])
    assert subprocess.run([shell, "-n", path], capture_output=True).returncode == 0


def test_secrets_are_in_no_argument_and_no_variable() -> None:
    plan = plan_of("api", replicas=2)
    for workload in (*plan.servers, keeper_of(plan)):
        for container in workload.containers:
            assert not container.env
            assert "secret" not in json.dumps([*container.command, *container.args])
    # The helper that makes tables needs none: the certificate is its credential.
    assert not [
        m for m in plan.servers[0].containers[1].mounts if "clickhouse" in m and m.startswith("/run/groundwork")
    ]
