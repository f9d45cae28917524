"""The scripts of an instance, run for real: what they ask of JetStream, what they leave alone, how a server starts.

`nats`, `curl` and `nats-server` are stand-ins that note what they are asked; jq and the shell are real.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from components.core import exporter
from components.nats import dumping, render
from components.nats.plan import NatsPlan
from tests.support.nats import JOBS, ORDERS, files_of, plan_of, spec_of

needs_jq = pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")

STAND_INS = {
    # Answers `request --raw SUBJECT BODY` with the file of that subject.
    "nats": """shift 2; shift; subject=${1#'$JS.API.'}; echo "$subject $2" >>"$ROOT/asked"
[ -e "$ROOT/answers/$subject" ] || { echo "nats: error: no responders" >&2; exit 1; }
cat "$ROOT/answers/$subject"
""",
    "curl": 'for url; do :; done; case $url in */varz) cat "$ROOT/varz" ;; *) cat "$ROOT/jsz" ;; esac',
    # After so many rounds whoever waits is told to stop.
    "sleep": 'echo >>"$ROOT/slept"; [ "$(wc -l <"$ROOT/slept")" -lt "$(cat "$ROOT/rounds")" ] || kill $PPID',
    "nats-server": 'echo "$@" >>"$ROOT/started"; . "$ROOT/serving"',
    "uname": "echo bus-1",
}
VARZ = {"server_name": "bus-1", "connections": 3, "in_msgs": 7, "routes": 2}
JSZ: dict[str, Any] = {
    "streams": 1,
    "messages": 5,
    "config": {"max_storage": 1000},
    "meta_cluster": {"leader": "bus-0"},
    "account_details": [
        {
            "stream_detail": [
                {
                    "name": "ORDERS",
                    "cluster": {"leader": "bus-1"},
                    "config": {"max_bytes": 900},
                    "state": {"messages": 5, "bytes": 50, "first_seq": 1, "last_seq": 5},
                    "consumer_detail": [
                        {"name": "billing", "cluster": {"leader": "bus-0"}, "num_pending": 4, "num_ack_pending": 1}
                    ],
                }
            ]
        }
    ],
}
NOT_FOUND = {"STREAM": {"code": 404, "err_code": 10059}, "CONSUMER": {"code": 404, "err_code": 10014}}


class Instance:
    """The files and surroundings of one instance."""

    def __init__(self, root: Path, plan: NatsPlan) -> None:
        self.root = root
        self.declared = json.loads(files_of(plan)["streams.json"])
        for folder in ("etc", "tmp", "metrics", "data", "bin", "answers"):
            (root / folder).mkdir()
        for name, text in files_of(plan).items():
            here = text.replace(render.ETC, f"{root}/etc").replace(render.DATA, f"{root}/data")
            here = here.replace("tmp=/tmp", f"tmp={root}/tmp").replace(exporter.METRICS, f"{root}/metrics")
            (root / "etc" / name).write_text(here)
        for name, text in STAND_INS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        (root / "rounds").write_text("1")
        (root / "serving").write_text("")
        (root / "varz").write_text(json.dumps(VARZ))
        (root / "jsz").write_text(json.dumps(JSZ))
        self.answer("STREAM.NAMES", {"streams": [entry["config"]["name"] for entry in self.declared]})
        for entry in self.declared:
            stream = entry["config"]["name"]
            self.answer(f"CONSUMER.NAMES.{stream}", {"consumers": [durable["name"] for durable in entry["consumers"]]})
            self.has(f"STREAM.INFO.{stream}", entry["config"])
            for durable in entry["consumers"]:
                self.has(f"CONSUMER.INFO.{stream}.{durable['name']}", durable)

    def answer(self, subject: str, content: Any) -> None:
        (self.root / "answers" / subject).write_text(json.dumps(content))

    def has(self, subject: str, config: dict[str, Any], **facts: Any) -> None:
        """JetStream has this, with what a server adds to it; requests to change it are granted."""
        state = {"messages": 0, "bytes": 0, "first_ts": "0001-01-01T00:00:00Z", **facts.pop("state", {})}
        added = {"metadata": {"_nats.ver": "2.15.0"}, "max_msgs": -1}
        waiting = {"num_pending": 0, "num_ack_pending": 0, **facts}
        self.answer(subject, {"config": {**config, **added}, "state": state, **waiting})
        for verb in (subject.replace("INFO", "UPDATE"), subject.replace("INFO", "CREATE")):
            self.answer(verb, {"config": config})

    def lacks(self, subject: str) -> None:
        answer = json.loads((self.root / "answers" / subject).read_text())
        self.answer(subject, {"error": NOT_FOUND[subject.partition(".")[0]]})
        self.answer(subject.replace("INFO", "CREATE"), answer)

    def tend(self) -> tuple[dict[str, Any], str]:
        """One round of streams.sh: what it asked to be changed, by subject, and what it said."""
        said = self.sh("streams.sh").stderr
        asked = (self.root / "asked").read_text().splitlines()
        requests = dict(line.split(" ", 1) for line in asked if ".INFO." not in line and ".NAMES" not in line)
        return {subject: json.loads(body) for subject, body in requests.items()}, said

    @property
    def applied(self) -> bool:
        return (self.root / "tmp" / "applied").exists()

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", self.root / "etc" / script],
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "ROOT": str(self.root)},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path, plan_of(spec_of(ORDERS, JOBS, replicas=3)))


@needs_jq
class TestStreams:
    def test_what_is_as_declared_is_left_alone(self, instance: Instance) -> None:
        assert instance.tend() == ({}, "")
        assert instance.applied

    def test_what_is_missing_is_made(self, instance: Instance) -> None:
        instance.lacks("STREAM.INFO.ORDERS")
        instance.lacks("CONSUMER.INFO.ORDERS.billing")
        asked, said = instance.tend()
        config, (billing,) = instance.declared[0]["config"], instance.declared[0]["consumers"]
        assert asked == {
            "STREAM.CREATE.ORDERS": config,
            "CONSUMER.CREATE.ORDERS.billing": {"stream_name": "ORDERS", "action": "create", "config": billing},
        }
        assert said == "streams: ORDERS: made as declared\nstreams: ORDERS.billing: made as declared\n"
        assert instance.applied

    def test_what_differs_is_changed_and_keeps_what_nobody_declared(self, instance: Instance) -> None:
        config, (billing,) = instance.declared[0]["config"], instance.declared[0]["consumers"]
        instance.has("STREAM.INFO.ORDERS", {**config, "num_replicas": 1, "max_bytes": 1})
        instance.has("CONSUMER.INFO.ORDERS.billing", {**billing, "ack_wait": 1})
        asked, _ = instance.tend()
        assert asked["STREAM.UPDATE.ORDERS"] == {**config, "max_msgs": -1}
        assert asked["CONSUMER.CREATE.ORDERS.billing"]["action"] == "update"
        assert asked["CONSUMER.CREATE.ORDERS.billing"]["config"] == {**billing, "max_msgs": -1}
        assert instance.applied

    @pytest.mark.parametrize(
        ("other", "state", "why"),
        [
            ({"max_bytes": 1 << 40}, {"bytes": (100 << 20) + 1}, "it holds 104857601 bytes, max_bytes is 104857600"),
            ({"retention": "interest"}, {}, "it holds messages for retention interest"),
        ],
    )
    def test_a_change_that_would_drop_messages_is_not_made(
        self, instance: Instance, other: dict[str, Any], state: dict[str, Any], why: str
    ) -> None:
        config = instance.declared[0]["config"]
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.123456789Z"
        instance.has("STREAM.INFO.ORDERS", {**config, **other}, state={"messages": 1, "first_ts": now, **state})
        asked, said = instance.tend()
        assert asked == {}
        assert said == f"streams: ORDERS: left as it is: changing it would drop messages: {why}\n"
        assert not instance.applied, "and whoever waits for the streams is not told that they are there"

    def test_an_empty_stream_may_shrink(self, instance: Instance) -> None:
        config = instance.declared[0]["config"]
        instance.has("STREAM.INFO.ORDERS", {**config, "max_bytes": 1 << 40, "retention": "interest"})
        assert "STREAM.UPDATE.ORDERS" in instance.tend()[0]

    @pytest.mark.parametrize(("hours", "made"), [(1, True), (3, False)])
    def test_an_age_is_lowered_only_where_nothing_is_older(self, tmp_path: Path, hours: int, made: bool) -> None:
        instance = Instance(tmp_path, plan_of(spec_of({**ORDERS, "max_age": "2h"})))
        first = f"{datetime.now(UTC) - timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}Z"
        for age in (0, 9 * 3600 * 10**9):
            config = {**instance.declared[0]["config"], "max_age": age}
            instance.has("STREAM.INFO.ORDERS", config, state={"messages": 1, "first_ts": first})
            (instance.root / "asked").unlink(missing_ok=True)
            (instance.root / "slept").unlink(missing_ok=True)
            asked, said = instance.tend()
            assert ("STREAM.UPDATE.ORDERS" in asked) == made
            assert ("its oldest message is older than max_age" in said) != made

    def test_jobs_that_wait_for_a_filter_are_not_orphaned(self, instance: Instance) -> None:
        (work,) = instance.declared[1]["consumers"]
        instance.has("CONSUMER.INFO.JOBS.work", {**work, "filter_subject": "jobs.a"}, num_pending=2, num_ack_pending=1)
        asked, said = instance.tend()
        assert asked == {}
        assert "JOBS.work: left as it is: changing it would drop messages: 3 messages wait for its present" in said
        instance.has("CONSUMER.INFO.JOBS.work", {**work, "filter_subject": "jobs.a"})
        (instance.root / "slept").unlink()
        assert "CONSUMER.CREATE.JOBS.work" in instance.tend()[0]

    def test_one_that_fails_holds_no_other_up(self, instance: Instance) -> None:
        instance.lacks("STREAM.INFO.JOBS")
        instance.answer("STREAM.CREATE.JOBS", {"error": {"description": "insufficient storage resources available"}})
        (instance.root / "answers" / "STREAM.INFO.ORDERS").unlink()
        instance.lacks("CONSUMER.INFO.JOBS.work")
        asked, said = instance.tend()
        assert list(asked) == ["STREAM.CREATE.JOBS", "CONSUMER.CREATE.JOBS.work"]
        assert "streams: ORDERS: no answer: nats: error: no responders\n" in said
        assert "streams: JOBS: left as it is: insufficient storage resources available\n" in said
        assert not instance.applied

    def test_what_nobody_declared_is_named_and_left(self, instance: Instance) -> None:
        instance.answer("STREAM.NAMES", {"streams": ["OLD", "ORDERS", "JOBS"]})
        instance.answer("CONSUMER.NAMES.ORDERS", {"consumers": ["billing", "former"]})
        asked, said = instance.tend()
        assert asked == {}
        words = "not declared; it stays until somebody deletes it"
        assert said == f"streams: OLD: {words}\nstreams: ORDERS.former: {words}\n"
        assert instance.applied

    def test_nothing_is_said_twice(self, instance: Instance) -> None:
        (instance.root / "answers" / "STREAM.INFO.ORDERS").unlink()
        (instance.root / "rounds").write_text("4")
        _, said = instance.tend()
        assert said.count("no answer") == 1

    def test_metrics_bear_the_names_of_nats_own_exporter(self, instance: Instance) -> None:
        instance.tend()
        found = (instance.root / "metrics" / "nats.prom").read_text().splitlines()
        server = 'server_name="bus-1",is_meta_leader="false"'
        stream = f'{server},stream_name="ORDERS",is_stream_leader="true"'
        assert 'gnatsd_varz_in_msgs{server_id="bus-1"} 7' in found
        assert f"jetstream_server_total_messages{{{server}}} 5" in found
        assert f"jetstream_stream_total_messages{{{stream}}} 5" in found
        consumer = f'{stream},consumer_name="billing",is_consumer_leader="false"'
        assert f"jetstream_consumer_num_pending{{{consumer}}} 4" in found
        named = [line.split()[2] for line in found if line.startswith("# TYPE")]
        assert len(named) == len(set(named)), "a metric that comes twice is refused as a whole"
        assert not [line for line in found if line.endswith(" null")]


@needs_jq
class TestBackups:
    """What of a restored stream is found to differ. The rest of a backup needs servers: test_nats_backup.py."""

    BEFORE: ClassVar[dict[str, Any]] = {
        "first_seq": 3, "last_seq": 10, "messages": 7, "consumers": {"work": {"delivered": 5, "ack_floor": 2}},
    }  # fmt: skip
    AFTER: ClassVar[dict[str, Any]] = {
        "first_seq": 4, "last_seq": 12, "messages": 8,
        "consumers": {"work": {"delivered": 6, "ack_floor": 3}, "new": {"delivered": 0, "ack_floor": 0}},
    }  # fmt: skip

    def differences(self, root: Path, found: dict[str, Any]) -> list[str]:
        words = []
        for name, content in (("before", self.BEFORE), ("after", self.AFTER), ("found", found)):
            (root / name).write_text(json.dumps(content))
            words += ["--slurpfile", name, str(root / name)]
        script = Path(dumping.__file__).parent / "scripts" / "compare.jq"
        command = ["jq", "-nr", "-f", str(script), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    def test_what_was_there_in_between_is_right(self, tmp_path: Path) -> None:
        assert self.differences(tmp_path, self.BEFORE) == []
        assert self.differences(tmp_path, self.AFTER) == []

    @pytest.mark.parametrize(
        ("other", "said"),
        [
            ({"first_seq": 5}, "first_seq is 5, not 3 to 4"),
            ({"last_seq": 9}, "last_seq is 9, not 10 to 12"),
            ({"messages": 5}, "messages is 5, not 6 to 9"),
            ({"messages": 10}, "messages is 10, not 6 to 9"),
            ({"consumers": {"work": {"delivered": 5, "ack_floor": 4}}}, "ack_floor of work is 4, not 2 to 3"),
        ],
    )
    def test_what_was_never_there_is_named(self, tmp_path: Path, other: dict[str, Any], said: str) -> None:
        assert self.differences(tmp_path, {**self.BEFORE, **other}) == [said]

    def test_a_consumer_that_is_lost_is_named(self, tmp_path: Path) -> None:
        said = self.differences(tmp_path, {**self.BEFORE, "consumers": {}})
        assert said == ["delivered of work is null, not 5 to 6", "ack_floor of work is null, not 2 to 3"]


class TestStart:
    def test_a_server_knows_its_own_name(self, instance: Instance) -> None:
        assert instance.sh("start.sh").returncode == 0
        started = (instance.root / "started").read_text()
        me = "bus-1.bus-peers.groundwork-test.svc"
        assert f"--name bus-1 --client_advertise {me}:4222 --cluster_advertise {me}:6222" in started

    def test_a_server_that_fails_says_so(self, instance: Instance) -> None:
        (instance.root / "serving").write_text("exit 3")
        assert instance.sh("start.sh").returncode == 3

    def test_one_of_several_hands_over_before_it_ends(self, instance: Instance) -> None:
        said = instance.root / "said"
        (instance.root / "serving").write_text(
            f"trap 'echo lame >>{said}; exit 0' USR2; trap 'echo stopped >>{said}; exit 1' TERM\n"
            "kill -s TERM $PPID; n=0; while [ $n -lt 200 ]; do n=$((n+1)); /bin/sleep 0.05; done"
        )
        assert instance.sh("start.sh").returncode == 0
        assert said.read_text() == "lame\n"

    @pytest.mark.parametrize(
        ("replicas", "holds", "words"),
        [
            (3, "$G/streams/ORDERS", "holds the streams of a single server"),
            (3, "$SYS/_js_", ""),
            (3, "$G/streams", ""),
            (1, "$SYS/_js_", "holds the streams of one of several servers"),
            (1, "$G/streams/ORDERS", ""),
        ],
    )
    def test_streams_are_not_given_to_a_server_that_would_delete_them(
        self, tmp_path: Path, replicas: int, holds: str, words: str
    ) -> None:
        instance = Instance(tmp_path, plan_of(spec_of(replicas=replicas)))
        (tmp_path / "data" / "jetstream" / holds).mkdir(parents=True)
        done = instance.sh("start.sh")
        assert (done.returncode != 0) == bool(words)
        assert words in done.stderr
        assert (tmp_path / "started").exists() == (not words)
