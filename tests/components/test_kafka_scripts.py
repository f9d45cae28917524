"""The scripts of an instance, run for real: what they ask of the server, what they leave alone, how a server starts.

`java` and `bash`, which only dials, are stand-ins that note what they are asked; awk and the shell are real.
"""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.core import exporter
from components.core.mounts import OWN
from components.kafka import render
from components.kafka.plan import KafkaPlan
from tests.support.kafka import ORDERS, PRICES, files_of, plan_of, settings, spec_of

STAND_INS = {
    # Answers by files named after the tool; changes succeed unless there is a file that says why not.
    "java": """while [ $# -gt 0 ]; do
  case $1 in org.apache.kafka.*|kafka.*) break ;; esac
  echo "$1" >>"$ROOT/options"; shift
done
class=${1##*.}; shift
case "$class $*" in
  *--describe*|*--list*) [ -e "$ROOT/answers/$class" ] || { echo refused >&2; exit 1; }; cat "$ROOT/answers/$class" ;;
  *) [ "$1" != --bootstrap-server ] || shift 4; echo "$class $*" >>"$ROOT/asked"
     if [ -e "$ROOT/fails" ]; then cat "$ROOT/fails"; exit 1; fi ;;
esac
""",
    "bash": '[ ! -e "$ROOT/closed" ]',
    # After so many rounds whoever waits is told to stop.
    "sleep": 'echo $1 >>"$ROOT/slept"; [ "$(wc -l <"$ROOT/slept")" -lt "$(cat "$ROOT/rounds")" ] || kill $PPID',
    "uname": 'cat "$ROOT/hostname"',
}
DESCRIBED = """Topic: orders.created\tTopicId: x\tPartitionCount: 2\tReplicationFactor: 3\tConfigs: {settings}
\tTopic: orders.created\tPartition: 0\tLeader: 1\tReplicas: 1,2,0\tIsr: {isr}\tElr: \tLastKnownElr:\x20
\tTopic: orders.created\tPartition: 1\tLeader: none\tReplicas: 2,0\tIsr: 2\tElr: \tLastKnownElr:\x20
Topic: __consumer_offsets\tTopicId: y\tPartitionCount: 1\tReplicationFactor: 3\tConfigs: cleanup.policy=compact
\tTopic: __consumer_offsets\tPartition: 0\tLeader: 0\tReplicas: 0,1\tIsr: 0,1\tElr: \tLastKnownElr:\x20
"""
LISTED = """Current ACLs for resource `ResourcePattern(resourceType=TOPIC, name=orders.created, patternType=LITERAL)`:
\t(principal=User:api, host=*, operation=WRITE, permissionType=ALLOW)
\t(principal=User:api, host=*, operation=READ, permissionType=ALLOW)

Current ACLs for resource `ResourcePattern(resourceType=GROUP, name=api., patternType=PREFIXED)`:
\t(principal=User:api, host=*, operation=ALL, permissionType=ALLOW)

Current ACLs for resource `ResourcePattern(resourceType=TRANSACTIONAL_ID, name=api., patternType=PREFIXED)`:
\t(principal=User:api, host=*, operation=ALL, permissionType=ALLOW)
"""
TWO = {**ORDERS, "partitions": 2}


class Instance:
    """The files and surroundings of one instance."""

    def __init__(self, root: Path, plan: KafkaPlan, index: int = 1, rounds: int = 1) -> None:
        self.root = root
        for folder in ("etc", "data", "bin", "answers", "tmp", "metrics"):
            (root / folder).mkdir()
        places = {render.ETC: "etc", render.DATA: "data", exporter.METRICS: "metrics", "tmp=/tmp": f"tmp={root}/tmp"}
        for name, text in files_of(plan).items():
            here = text
            for place, folder in places.items():
                here = here.replace(place, folder if "=" in place else f"{root}/{folder}")
            (root / "etc" / name).write_text(here)
        for name, text in STAND_INS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        (root / "hostname").write_text(f"{plan.workload.name}-{index}")
        (root / "rounds").write_text(str(rounds))
        self.topics = {
            line.split(" ")[0]: line.split(" ")[3] for line in files_of(plan)["topics.txt"].splitlines()
        }  # fmt: skip

    def says(self, described: str | None, listed: str | None = LISTED, groups: str = "") -> None:
        """What the server's tools answer."""
        for name, text in (("TopicCommand", described), ("AclCommand", listed), ("ConsumerGroupCommand", groups)):
            if text is not None:
                (self.root / "answers" / name).write_text(text)

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", self.root / "etc" / script],
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "ROOT": str(self.root), **variables},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    def asked(self) -> list[str]:
        """The changes that were asked for."""
        path = self.root / "asked"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def settled(self) -> bool:
        return (self.root / "tmp/settled").exists()

    def waited(self) -> list[str]:
        return (self.root / "slept").read_text().split()


def described(instance: Instance, isr: str = "1,2,0", **other: str) -> str:
    """The server's topics, with the declared settings of orders.created, or others."""
    found = dict(pair.split("=") for pair in instance.topics["orders.created"].split(","))
    changed = {name.replace("_", "."): value for name, value in other.items()}
    return DESCRIBED.format(settings=",".join(f"{n}={v}" for n, v in {**found, **changed}.items()), isr=isr)


def instance_of(root: Path, *topics: dict[str, Any], index: int = 1, rounds: int = 1) -> Instance:
    return Instance(root, plan_of(spec_of(*topics, replicas=3), "api"), index, rounds)


def test_what_is_as_declared_is_left_alone(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO)
    instance.says(described(instance))
    done = instance.run("topics.sh")
    assert (instance.asked(), instance.settled, done.stderr) == ([], True, "")


def test_what_is_missing_is_made_and_given(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO, {**PRICES, "producers": None, "consumers": []}, index=0, rounds=2)
    instance.says("", "")
    done = instance.run("topics.sh")
    orders, prices, *grants = instance.asked()
    assert shlex.split(orders)[:9] == [
        "TopicCommand", "--create", "--if-not-exists", "--topic", "orders.created", "--partitions", "2",
        "--replication-factor", "3",
    ]  # fmt: skip
    assert [word for word in shlex.split(orders) if "=" in word] == instance.topics["orders.created"].split(",")
    assert "--topic prices --partitions 3 " in prices
    assert sorted(grants) == [
        "AclCommand --add --resource-pattern-type LITERAL --operation READ --operation WRITE --topic orders.created "
        "--allow-principal User:api",
        "AclCommand --add --resource-pattern-type LITERAL --operation WRITE --topic prices --allow-principal User:api",
        "AclCommand --add --resource-pattern-type PREFIXED --operation ALL --group api. --transactional-id api. "
        "--allow-principal User:api",
    ]
    assert not instance.settled, "it has not seen yet that it worked"
    assert "topics: orders.created: made as declared\n" in done.stderr


@pytest.mark.parametrize(("index", "waits"), [(0, "0"), (1, "20"), (2, "40")])
def test_the_first_to_see_it_does_it(tmp_path: Path, index: int, waits: str) -> None:
    instance = instance_of(tmp_path, TWO, index=index, rounds=2)
    instance.says("", LISTED)
    instance.run("topics.sh")
    assert instance.waited() == [waits, "3"]


def test_partitions_grow_and_settings_change(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, {**ORDERS, "partitions": 4}, index=0, rounds=2)
    instance.says(described(instance, retention_ms="5", segment_bytes="7"))
    instance.run("topics.sh")
    assert instance.asked() == [
        "TopicCommand --alter --topic orders.created --partitions 4",
        "ConfigCommand --alter --entity-type topics --entity-name orders.created --add-config "
        f"retention.ms={30 * 86_400_000},segment.bytes={2**30}",
    ]


@pytest.mark.parametrize(
    ("topic", "there", "said"),
    [
        ({"partitions": 1}, {}, "has 2 partitions, and fewer would lose the records of some"),
        ({"partitions": 2}, {"cleanup_policy": "compact"}, "is compacted, and the newest records of old keys would go"),
    ],
)
def test_no_record_is_lost(tmp_path: Path, topic: dict[str, Any], there: dict[str, str], said: str) -> None:
    instance = instance_of(tmp_path, {**ORDERS, **topic}, index=0)
    instance.says(described(instance, **there))
    done = instance.run("topics.sh")
    assert (instance.asked(), instance.settled) == ([], False)
    assert f"topics: orders.created: left as it is: it {said}" in done.stderr


def test_the_number_of_copies_is_not_changed(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO, index=0)
    instance.says(described(instance).replace("ReplicationFactor: 3", "ReplicationFactor: 2", 1))
    done = instance.run("topics.sh")
    assert (instance.asked(), instance.settled) == ([], False)
    assert "topics: orders.created: left as it is: it has 2 copies, not 3\n" in done.stderr


def test_a_topic_that_nobody_declared_stays(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO, rounds=3)
    instance.says(described(instance) + "Topic: old\tTopicId: z\tPartitionCount: 1\tReplicationFactor: 3\tConfigs: \n")
    done = instance.run("topics.sh")
    assert (instance.asked(), instance.settled) == ([], True)
    assert done.stderr == "topics: old: not declared; it stays until somebody deletes it\n", "it is said once"


def test_rights_that_nobody_declared_go(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO, index=0, rounds=2)
    excess = """Current ACLs for resource `ResourcePattern(resourceType=TOPIC, name=old, patternType=LITERAL)`:
\t(principal=User:gone, host=*, operation=READ, permissionType=ALLOW)
Current ACLs for resource `ResourcePattern(resourceType=CLUSTER, name=kafka-cluster, patternType=LITERAL)`:
\t(principal=User:api, host=10.0.0.1, operation=ALTER, permissionType=DENY)
Current ACLs for resource `ResourcePattern(resourceType=USER, name=x, patternType=LITERAL)`:
\t(principal=User:api, host=*, operation=READ, permissionType=ALLOW)
"""
    instance.says(described(instance), LISTED + excess)
    instance.run("topics.sh")
    assert instance.asked() == [
        "AclCommand --remove --force --deny-principal User:api --deny-host 10.0.0.1 --operation ALTER --cluster",
        "AclCommand --remove --force --allow-principal User:gone --allow-host * --operation READ --topic old "
        "--resource-pattern-type LITERAL",
    ]


def test_a_server_that_lags_behind_has_not_caught_up(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO, index=0)
    instance.says(described(instance, isr="1,2"))
    instance.run("topics.sh")
    assert (instance.asked(), instance.settled) == ([], False)


def test_copies_of_other_servers_are_none_of_its_business(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO, index=1)
    instance.says(described(instance, isr="1"))
    instance.run("topics.sh")
    assert instance.settled


def test_a_server_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO)
    (tmp_path / "closed").touch()
    done = instance.run("topics.sh")
    assert (instance.settled, done.stderr, (tmp_path / "options").exists()) == (False, "", False)
    assert (tmp_path / "tmp/tried").exists()


def test_a_change_that_fails_is_told_in_the_servers_words(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO, index=0, rounds=2)
    instance.says("")
    (tmp_path / "fails").write_text("\nError while executing: no controller\nmore\n")
    done = instance.run("topics.sh")
    assert "topics: orders.created: made as declared: failed: Error while executing: no controller\n" in done.stderr


def test_an_old_mark_does_not_count(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO)
    (tmp_path / "tmp/settled").touch()
    (tmp_path / "closed").touch()
    instance.run("topics.sh")
    assert not instance.settled


GROUPS = """
Consumer group 'api.x' has no active members.

GROUP  TOPIC  PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG  CONSUMER-ID  HOST  CLIENT-ID
api.x  orders.created  0  7  10  3  -  -  -
api.y  orders.created  0  -  10  -  c-1  /10.0.0.1  c
api.z  orders.created  7  1  1  0  -  -  -
odd name  orders.created  0  1  1  0  -  -  -
"""


def test_each_leader_tells_of_its_partitions(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, TWO, index=1)
    instance.says(described(instance, isr="1,2"), groups=GROUPS)
    instance.run("topics.sh")
    lines = (tmp_path / "metrics/kafka.prom").read_text().splitlines()
    of = 'topic="orders.created",partition="0"'
    assert [line for line in lines if of in line] == [
        f"kafka_topic_partition_leader{{{of}}} 1",
        f"kafka_topic_partition_replicas{{{of}}} 3",
        f"kafka_topic_partition_in_sync_replica{{{of}}} 2",
        f"kafka_topic_partition_under_replicated_partition{{{of}}} 1",
        f"kafka_topic_partition_leader_is_preferred{{{of}}} 1",
        f"kafka_topic_partition_current_offset{{{of}}} 10",
        f'kafka_consumergroup_current_offset{{consumergroup="api.x",{of}}} 7',
        f'kafka_consumergroup_lag{{consumergroup="api.x",{of}}} 3',
    ]
    assert 'kafka_topic_partition_leader{topic="orders.created",partition="1"} -1' in lines, "nobody leads it"
    assert not [line for line in lines if "__consumer_offsets" in line or "api.z" in line], "others lead them"
    types = [line for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types)) == 8


def conf_of(instance: Instance) -> dict[str, str]:
    lines = (instance.root / "data/server.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_server_learns_its_number_and_names(tmp_path: Path) -> None:
    instance = instance_of(tmp_path, index=2)
    done = instance.run("start.sh")
    assert done.returncode == 0, done.stderr
    own = "log-2.log-peers.groundwork-test.svc"
    found = conf_of(instance)
    assert (found["node.id"], found["process.roles"]) == ("2", "broker,controller")
    assert found["advertised.listeners"] == f"CLIENT://{own}:9093,PEERS://{own}:9091,CONTROLLER://{own}:9090"
    assert (
        settings(files_of(plan_of(spec_of(replicas=3), "api"))["server.properties"]).items()
        <= {
            **found,
            "log.dirs": f"{render.DATA}/log",
        }.items()
    )
    formatted, started = (line.split() for line in instance.asked())
    assert formatted[:2] == ["StorageTool", "format"]
    assert formatted[2] == f"--cluster-id={render.cluster_id('test', 'log')}"
    assert started == ["Kafka", str(tmp_path / "data/server.properties")]
    options = (tmp_path / "options").read_text()
    assert "-Xmx512m" in options
    assert f"-Djava.io.tmpdir={tmp_path}/data/tmp" in options, "/tmp may run no program"


def test_servers_beyond_the_quorum_are_no_controllers(tmp_path: Path) -> None:
    instance = Instance(tmp_path, plan_of(spec_of(replicas=4)), index=3)
    instance.run("start.sh", ZONE="eu-central-1a")
    found = conf_of(instance)
    assert (found["node.id"], found["process.roles"]) == ("3", "broker")
    assert found["listeners"] == "CLIENT://:9093,PEERS://:9091"
    assert "CONTROLLER" not in found["advertised.listeners"]


@pytest.mark.parametrize("zone", ["", "eu-central-1a"])
def test_a_server_says_which_zone_it_is_in_where_it_is_told(tmp_path: Path, zone: str) -> None:
    instance = instance_of(tmp_path)
    assert instance.run("start.sh", ZONE=zone).returncode == 0
    assert conf_of(instance).get("broker.rack", "") == zone


def test_where_copies_could_share_a_zone_servers_must_know_theirs(tmp_path: Path) -> None:
    done = Instance(tmp_path, plan_of(spec_of(replicas=4)), index=0).run("start.sh")
    assert done.returncode == 1
    assert done.stderr == (
        "start: nothing says which zone this is in, so that copies of a record could share one; a cluster says it from "
        "Kubernetes 1.35 on: upgrade it, or set replicas: 3\n"
    )
    assert not (tmp_path / "data/quorum").exists()


def test_a_disk_is_prepared_once(tmp_path: Path) -> None:
    instance = instance_of(tmp_path)
    (tmp_path / "data/log").mkdir()
    (tmp_path / "data/log/meta.properties").touch()
    instance.run("start.sh")
    assert [line.split()[0] for line in instance.asked()] == ["Kafka"]


@pytest.mark.parametrize(("before", "after"), [(1, 3), (3, 1)])
def test_a_quorum_does_not_become_another(tmp_path: Path, before: int, after: int) -> None:
    instance = Instance(tmp_path, plan_of(spec_of(replicas=after)), index=0)
    (tmp_path / "data/quorum").write_text(f"{before}\n")
    done = instance.run("start.sh")
    assert (done.returncode, instance.asked()) == (1, [])
    assert done.stderr == (
        f"start: holds the data of a quorum of {before}, which can't become one of {after}; nothing was changed: "
        "set replicas as it was before\n"
    )


def test_scripts_and_configuration_agree_on_places_and_ports() -> None:
    files = files_of(plan_of(spec_of()))
    assert f"etc={render.ETC} data={render.DATA}\n" in files["start.sh"]
    assert f"etc={render.ETC} tmp={render.SCRATCH} metrics={exporter.METRICS}\n" in files["topics.sh"]
    assert f"localhost:{render.PEERS_PORT} " in files["topics.sh"]
    for port in (render.PORT, render.PEERS_PORT, render.CONTROLLER_PORT):
        assert f"://$me:{port}" in files["start.sh"]
    assert files["admin.properties"].count(OWN) == 2
