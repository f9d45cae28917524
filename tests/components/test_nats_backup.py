"""Backups of real nats-servers by the scripts that make them: taken, tried, found to be broken, and begun with.

The store is a folder, and this test carries what is asked for.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.core.backups.carrying import render_schedule, render_settings
from components.core.backups.contract import Restore
from components.core.bindings import Binding, Endpoint
from components.core.mounts import OWN
from components.core.scripting import scripts
from components.core.site import Site
from components.nats import NatsSpec, render
from components.nats.dumping import nats_duty, restored
from components.nats.render import DATA
from tests.support.nats import JOBS, ORDERS, files_of, plan_of, spec_of
from tests.support.nats_server import Bus, free_port, issue, served
from tests.support.site import NAMES, PLACEMENT
from toolchain.waiting import wait_until

PROGRAMS = ("nats-server", "nats", "jq")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)), reason=f"not installed: one of {', '.join(PROGRAMS)}"
)

MESSAGES = 1000
PATIENCE_SECONDS = 60
BACKUP = {"backup": {"to": "objects"}}
SITE = Site("test", PLACEMENT, NAMES, {})
SETTINGS = {"ENDPOINT": "https://objects:7070", "BUCKET": "b", "ADDRESSING": "path", "REGION": "eu-central-1"}
STORE = Binding(Endpoint("objects", "objects", 7070, "s3", "server"), SETTINGS, {}, ())
KEPT = (ORDERS, JOBS)


@contextmanager
def running(script: Path, environment: dict[str, str], log: Path, *words: str) -> Iterator[None]:
    """A script as the process of a container, until it is left."""
    with log.open("w") as said:
        process = subprocess.Popen(
            ["/bin/sh", script, *words], env=environment, stderr=said, stdout=said, start_new_session=True
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Part:
    """What makes the backups of a bus, in a folder."""

    def __init__(self, root: Path, bus: Bus, spec: NatsSpec) -> None:
        self.root, self.staging, self.store = root, root / "staging", root / "store"
        for folder in ("etc", "run/dump", "run/drill", "staging/want", "staging/got", "store"):
            (root / folder).mkdir(parents=True)
        duty = nats_duty(spec, bus.plan.workload, "localhost", SITE)
        bus.write("bus-backup", *issue("bus-backup", ("localhost",), bus.authority))
        schedules = {one: render_schedule("0 0 1 1 *") for one in ("SCHEDULE", "DRILL")}
        settings = {"SERVICE": "bus", "STAGING": DATA, **schedules, **duty.settings}
        texts = {
            **duty.scripts,
            **scripts("core", "backup.sh", "wish.sh"),
            "backup-settings.sh": render_settings(settings),
        }
        scratch = str(free_port())
        for name, text in texts.items():
            here = text.replace(DATA, str(self.staging)).replace("/run/d", f"{root}/run/d").replace("4222", scratch)
            (root / "etc" / name).write_text(here.replace(OWN, str(bus.root / "bus-backup")))
        own = {name: value.replace(OWN, str(bus.root / "bus-backup")) for name, value in duty.environment.items()}
        self.environment = {**own, "PATH": os.environ["PATH"], "NATS_URL": f"tls://localhost:{bus.ports[4222][0]}"}

    def says(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()

    def process(self, name: str) -> Any:
        return running(self.root / "etc" / f"{name}.sh", self.environment, self.root / f"{name}.log")

    def carry(self) -> Path:
        """The set that was taken, as the store has it."""
        (taken,) = (self.staging / "out").iterdir()
        return Path(shutil.move(taken, self.store))

    def take(self) -> Path:
        """A backup, carried to the store."""
        with self.process("dump"):
            await_(lambda: any((self.staging / "out").glob("*")), lambda: self.says("dump"))
        return self.carry()

    def drill(self) -> bool:
        """Whether the drill of the newest backup succeeds."""
        state = self.staging / "state"
        (state / "drilled").unlink(missing_ok=True)
        (state / "drill.wanted").touch()
        with self.process("dump"), self.process("drill"):
            await_(lambda: fetch(self.staging, self.store), lambda: self.says("drill"))
            await_(
                lambda: (state / "drilled").exists() or "tried again" in self.says("drill"), lambda: self.says("drill")
            )
        shutil.rmtree(self.staging / "drill", ignore_errors=True)
        return (state / "drilled").exists()


def fetch(staging: Path, store: Path) -> bool:
    """Answer a wish as the carrier does."""
    wish = staging / "want" / "set"
    if not wish.exists():
        return False
    newest = max(store.iterdir())
    (staging / "got").mkdir(exist_ok=True)
    shutil.copytree(newest, staging / "got" / "new")
    (staging / "got" / "new" / "name").write_text(f"{newest.name}\n")
    wish.unlink()
    (staging / "got" / "new").rename(staging / "got" / "set")
    return True


def await_(holds: Any, says: Any) -> None:
    wait_until("the scripts", PATIENCE_SECONDS, holds, says)


def declare(bus: Bus) -> None:
    """The streams as the helper beside the server makes them."""
    with bus.client("server") as helper:
        for entry in json.loads(files_of(bus.plan)["streams.json"]):
            stream = entry["config"]
            assert "error" not in helper.ask(f"$JS.API.STREAM.CREATE.{stream['name']}", json.dumps(stream))
            for durable in entry["consumers"]:
                body = json.dumps({"stream_name": stream["name"], "action": "create", "config": durable})
                created = helper.ask(f"$JS.API.CONSUMER.CREATE.{stream['name']}.{durable['name']}", body)
                assert "error" not in created, created


def publish(bus: Bus, number: int = MESSAGES) -> None:
    """So many more messages in each stream, until all are there."""
    words = [f"{index}-{os.urandom(40).hex()}" for index in range(number)]
    with bus.client("api") as api, bus.client("server") as helper:
        before = helper.ask("$JS.API.STREAM.INFO.JOBS")["state"]["last_seq"]
        for index, word in enumerate(words):
            for subject in (f"orders.{index}.paid", "jobs.mail"):
                api.say(f"PUB {subject} {len(word)}", word)
        infos = tuple(f"$JS.API.STREAM.INFO.{stream}" for stream in ("ORDERS", "JOBS"))
        await_(lambda: all(helper.ask(info)["state"]["last_seq"] >= before + number for info in infos), str)


def acknowledge(bus: Bus, stream: str, durable: str, number: int) -> None:
    folder = bus.root / "worker"
    own = {
        f"NATS_{name}": f"{folder}/{file}" for name, file in (("CA", "ca.crt"), ("CERT", "tls.crt"), ("KEY", "tls.key"))
    }
    words = ("consumer", "next", stream, durable, "--count", str(number), "--ack", "--raw")
    subprocess.run(
        ["nats", "--tlsfirst", "--inbox-prefix=_INBOX_worker", *words],
        env={**own, "PATH": os.environ["PATH"], "HOME": str(bus.root), "NATS_URL": f"tls://localhost:{bus.ports[4222][0]}"},
        check=True, capture_output=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip


def content(bus: Bus) -> dict[str, Any]:
    """Every message of each stream, and how far each consumer is."""
    found: dict[str, Any] = {}
    with bus.client("server") as helper:
        for stream, durable in (("ORDERS", "billing"), ("JOBS", "work")):
            state = helper.ask(f"$JS.API.STREAM.INFO.{stream}")["state"]
            numbers = range(state["first_seq"], state["last_seq"] + 1)
            asked = (helper.ask(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps({"seq": one})) for one in numbers)
            consumer = helper.ask(f"$JS.API.CONSUMER.INFO.{stream}.{durable}")
            place = {word: consumer[word]["stream_seq"] for word in ("delivered", "ack_floor")}
            found[stream] = ([one.get("message") for one in asked], place, consumer["num_pending"])
    return found


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    plan = plan_of(spec_of(*KEPT, **BACKUP), "api", "worker")
    (tmp_path / "bus").mkdir()
    with served(Bus(tmp_path / "bus", plan)) as running_bus:
        declare(running_bus)
        yield running_bus


@pytest.fixture
def part(tmp_path: Path, bus: Bus) -> Part:
    return Part(tmp_path / "part", bus, spec_of(*KEPT, **BACKUP))


class Instance:
    """What looks after the streams beside a server that begins with a backup."""

    def __init__(self, root: Path, bus: Bus, index: int) -> None:
        self.root, self.folder = root, root / "data" / "restore"
        for folder in ("etc", "tmp", "metrics", "bin", "data/restore/want", "data/restore/got"):
            (root / folder).mkdir(parents=True)
        workload = restored(bus.plan.workload, Restore(store="objects"), SITE, STORE)
        texts = {file.path.removeprefix(f"{render.ETC}/"): file.content for file in workload.files}
        for name, text in texts.items():
            if "/" in name:
                continue
            here = text.replace(render.ETC, f"{root}/etc").replace(OWN, str(bus.root / "server"))
            here = here.replace("tmp=/tmp", f"tmp={root}/tmp").replace("/run/metrics", f"{root}/metrics")
            (root / "etc" / name).write_text(here)
        (root / "bin" / "uname").write_text(f"#!/bin/sh\necho bus-{index}\n")
        (root / "bin" / "uname").chmod(0o755)
        own = {
            name: value.replace(OWN, str(bus.root / "server")) for name, value in render.client_environment().items()
        }
        path = f"{root}/bin:{os.environ['PATH']}"
        url = f"tls://localhost:{bus.ports[4222][index]}"
        self.environment = {**own, "PATH": path, "HOME": str(root), "NATS_URL": url}

    def process(self) -> Any:
        script = self.root / "etc" / "restore.sh"
        return running(script, self.environment, self.root / "log", str(self.folder), "latest")

    @property
    def applied(self) -> bool:
        return (self.root / "tmp" / "applied").exists()

    def says(self) -> str:
        return (self.root / "log").read_text()


def begun(root: Path, store: Path, replicas: int) -> dict[str, Any]:
    """What a new bus has that began with the newest backup of the store."""
    restoring = spec_of(*KEPT, replicas=replicas, restore={"store": "objects"})
    root.mkdir()
    with ExitStack() as stack:
        bus = stack.enter_context(served(Bus(root, plan_of(restoring, "api", "worker"))))
        instances = [Instance(root / f"instance-{index}", bus, index) for index in range(replicas)]
        for instance in reversed(instances):
            stack.enter_context(instance.process())
        await_(lambda: fetch(instances[0].folder, store), instances[0].says)
        await_(lambda: all(one.applied for one in instances), lambda: "".join(one.says() for one in instances))
        assert not (instances[0].folder / "got" / "set").exists()
        return content(bus)


def test_what_was_taken_comes_back(bus: Bus, part: Part) -> None:
    publish(bus)
    acknowledge(bus, "ORDERS", "billing", 7)
    acknowledge(bus, "JOBS", "work", 5)
    taken = part.take()
    before = json.loads((taken / "streams" / "JOBS" / "before.json").read_text())
    assert before == {"messages": MESSAGES - 5, "first_seq": 6, "last_seq": MESSAGES,
                      "consumers": {"work": {"delivered": 5, "ack_floor": 5}}}  # fmt: skip
    assert part.drill(), part.says("drill")
    assert f"restored: 2 streams, {2 * MESSAGES - 5} messages\n" in part.says("drill")


def test_streams_that_are_empty_are_tried_too(bus: Bus, part: Part) -> None:
    part.take()
    assert part.drill(), part.says("drill")
    assert "restored: 2 streams, 0 messages\n" in part.says("drill")


def test_what_has_become_too_old_is_no_loss(bus: Bus, part: Part) -> None:
    publish(bus, 50)
    taken = part.take()
    file = taken / "streams" / "ORDERS" / "backup.json"
    written = json.loads(file.read_text())
    file.write_text(json.dumps({**written, "config": {**written["config"], "max_age": 100_000_000}}))
    check_sums(taken)
    assert part.drill(), part.says("drill")


def spoil(file: Path) -> None:
    text = bytearray(file.read_bytes())
    text[len(text) // 2] ^= 1
    file.write_bytes(text)


def check_sums(folder: Path) -> None:
    """Sums of what is there, as the dump writes them."""
    script = "find streams -type f -exec sha256sum {} + >sums"
    subprocess.run(["/bin/sh", "-c", script], cwd=folder, check=True)


def test_what_is_broken_is_found(bus: Bus, part: Part) -> None:
    publish(bus, 50)
    taken = part.take()
    good = {name: (taken / "streams" / "ORDERS" / name).read_bytes() for name in ("stream.tar.s2", "after.json")}
    snapshot = taken / "streams" / "ORDERS" / "stream.tar.s2"

    spoil(snapshot)
    assert not part.drill()
    assert "restore failed" not in part.says("drill"), "no server is given what is known to be broken"
    check_sums(taken)
    assert not part.drill()
    assert "it has not what was backed up: ORDERS: nats: error: restore failed" in part.says("drill")
    snapshot.write_bytes(good["stream.tar.s2"])
    for name in ("before.json", "after.json"):
        more = {**json.loads(good["after.json"]), "messages": 51}
        (taken / "streams" / "ORDERS" / name).write_text(json.dumps(more))
    check_sums(taken)
    assert not part.drill()
    assert "it has not what was backed up: ORDERS: messages is 50, not 51 to 51\n" in part.says("drill")


def test_a_bus_that_is_in_use_is_taken_whole(bus: Bus, part: Part) -> None:
    publish(bus, 100)
    with part.process("dump"):
        while not any((part.staging / "out").glob("*")):
            publish(bus, 1)
            acknowledge(bus, "JOBS", "work", 1)
    part.carry()
    assert part.drill(), part.says("drill")


@pytest.mark.parametrize("replicas", [1, 3])
def test_a_new_bus_begins_with_it(bus: Bus, part: Part, tmp_path: Path, replicas: int) -> None:
    publish(bus, 200)
    acknowledge(bus, "ORDERS", "billing", 7)
    acknowledge(bus, "JOBS", "work", 5)
    kept = content(bus)
    part.take()
    assert begun(tmp_path / "new", part.store, replicas) == kept


def test_streams_that_are_there_are_left_alone(bus: Bus, part: Part, tmp_path: Path) -> None:
    publish(bus, 5)
    part.take()
    publish(bus, 5)
    kept = content(bus)
    instance = Instance(tmp_path / "instance", bus, 0)
    with instance.process():
        await_(lambda: instance.applied, instance.says)
    assert not (instance.folder / "want" / "set").exists()
    assert content(bus) == kept


def test_who_takes_backups_changes_nothing(bus: Bus, part: Part) -> None:
    with bus.client("bus-backup") as taker:
        assert taker.ask("$JS.API.STREAM.NAMES")["total"] == 2
        for subject in ("orders.1.paid", "$JS.API.STREAM.PURGE.ORDERS", "$JS.API.CONSUMER.CREATE.ORDERS.own"):
            (answer,) = taker.tell(f"PUB {subject} 0", "")
            assert answer.startswith("-ERR 'Permissions Violation")
