"""The drill of a replicated PostgreSQL, in the image and with the rights of its pod, on backups as its operator makes
them: by Barman Cloud. It finds everything, and what is broken it refuses.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.core.site import Site
from components.core.workload import Workload
from components.postgres.drilling import drill_workload
from tests.live.conftest import NAME
from tests.live.environment import Record, Say
from tests.support.objects_server import Store, serving, shown
from tests.support.postgres import PLACEMENT, plan_of
from tests.support.site import NAMES
from toolchain.docker import command
from toolchain.images import ensure_images
from toolchain.waiting import wait_until

BUCKET, NAMESPACE, NEEDLE = "acme-backups", "groundwork-test", "the needle"
PATIENCE_SECONDS = 120
HARDENED = ("--read-only", "--user=26:26", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=512m")
SERVER = """
export PGDATA=/var/lib/postgresql/data
initdb --username=postgres --auth=trust --data-checksums >/dev/null
exec postgres -c listen_addresses= -c unix_socket_directories=$PGHOST -c archive_mode=on -c archive_timeout=2 \
  -c archive_command="barman-cloud-wal-archive --gzip --endpoint-url $ENDPOINT $SOURCE postgres %p"
"""


class Engine:
    """Containers of this test."""

    def __init__(self, host: str, store: Store, drill: Workload, folder: Path) -> None:
        self._command, self.store, self._drill, self._folder = command(host), store, drill, folder
        self.image = drill.containers[0].image
        self._keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "eu-west-1"}

    @contextmanager
    def running(self, name: str, *words: str) -> Iterator[str]:
        """A container on this machine's own network, where the store is."""
        full = f"{NAME}-{name}"
        trust = (f"--volume={self._folder}/ca.crt:/ca.crt:ro", "--env=AWS_CA_BUNDLE=/ca.crt")
        self.run("run", "--detach", f"--name={full}", "--network=host", *trust, *words)
        try:
            yield full
        finally:
            self.run("rm", "--force", full)

    @contextmanager
    def server(self) -> Iterator[str]:
        """A PostgreSQL whose log is archived as its operator does."""
        known = {**self._keys, "PGHOST": "/tmp", "ENDPOINT": self.store.address, "SOURCE": f"s3://{BUCKET}/{NAMESPACE}"}
        env = (f"--env={name}={value}" for name, value in known.items())
        place = "--tmpfs=/var/lib/postgresql:uid=26,gid=26,mode=700"
        with self.running("server", *env, place, self.image, "sh", "-c", SERVER) as name:
            wait_until("PostgreSQL", PATIENCE_SECONDS, lambda: self.answers(name), lambda: self.said(name))
            yield name

    @contextmanager
    def drill(self) -> Iterator[str]:
        """The drill, with the files and the rights that its pod has."""
        words = [
            f"--volume={self._folder}/etc:/etc/backup:ro",
            f"--volume={self._folder}/keys:/run/groundwork/bucket:ro",
        ]
        places = [volume.path for volume in self._drill.volumes] + [scratch.path for scratch in self._drill.scratch]
        words += [f"--tmpfs={path}:uid=26,gid=26,mode=700" for path in places]
        container = self._drill.containers[0]
        with self.running("drill", *HARDENED, *words, self.image, *container.command) as name:
            yield name

    def answers(self, name: str) -> bool:
        return self._call("exec", name, "pg_isready", "--quiet").returncode == 0

    def ask(self, name: str, text: str) -> str:
        """What the server answers."""
        return self.run("exec", name, "psql", "--username=postgres", "--no-align", "--tuples-only", "-c", text).strip()

    def back_up(self, name: str) -> None:
        """As the operator's plugin does."""
        self.ask(name, "CHECKPOINT")
        options = ("--user=postgres", "--immediate-checkpoint", f"--endpoint-url={self.store.address}")
        place = (f"s3://{BUCKET}/{NAMESPACE}", "postgres")
        self.run("exec", "--env=TMPDIR=/tmp", name, "barman-cloud-backup", *options, *place)

    def has(self, segment: str) -> bool:
        """Whether a segment of the log is in the bucket."""
        return any(segment in key for key in objects(self.store))

    def await_(self, name: str, what: str, holds: Callable[[], bool]) -> None:
        """Wait for it; at the end of patience the container's words say why not."""
        wait_until(what, PATIENCE_SECONDS, holds, lambda: self.said(name))

    def said(self, name: str) -> str:
        done = self._call("logs", name)
        return done.stdout + done.stderr

    def metrics(self, name: str) -> dict[str, int]:
        """Figures of the drill by their name."""
        text = self._call("exec", name, "cat", "/run/metrics/backup.prom").stdout
        pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {one.partition("{")[0].removeprefix("groundwork_backup_"): int(value) for one, value in pairs}

    def tried(self, name: str) -> int:
        """When the last drill has succeeded; 0 for none."""
        return self.metrics(name).get("last_drill_success_timestamp_seconds", 0)

    def run(self, *words: str) -> str:
        """A command that has to succeed."""
        done = self._call(*words)
        assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
        return done.stdout

    def _call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self._command, *words], text=True, capture_output=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, say: Say, host: str) -> Iterator[Engine]:
    """An engine with the image, and an empty bucket."""
    folder = tmp_path_factory.mktemp("bucket-drill")
    with serving("moto", folder) as store:
        backup = {"bucket": BUCKET, "region": "eu-west-1", "credentials": "keys", "endpoint": store.address}
        plan = plan_of("api", replicas=3, backup=backup)
        assert plan.spec.backup
        site = Site("test", PLACEMENT, NAMES, {"postgres": ("api",)})
        drill = drill_workload(plan, plan.spec.backup, site, NAMESPACE)
        write(folder / "etc", {Path(file.path).name: file.content for file in drill.files})
        write(folder / "keys", {"ACCESS_KEY_ID": "key", "ACCESS_SECRET_KEY": "secret"})
        ensure_images([plan.image], host, say)
        store.client().create_bucket(Bucket=BUCKET)
        yield Engine(host, store, drill, folder)


def spoil_page(store: Store) -> None:
    """One byte of a row is another than its page's checksum says."""
    ((key, content),) = (one for one in objects(store).items() if one[0].endswith("/data.tar"))
    assert NEEDLE.encode() in content
    store.client().put_object(Bucket=BUCKET, Key=key, Body=content.replace(NEEDLE.encode(), NEEDLE.encode().upper(), 1))


def lose_log(store: Store) -> None:
    """The segments without which the backup is none."""
    for key in objects(store):
        if "/wals/" in key:
            store.client().delete_object(Bucket=BUCKET, Key=key)


def objects(store: Store) -> dict[str, bytes]:
    """Content of the bucket by key."""
    return {key: one["body"] for (_, key), one in shown(store.client(), BUCKET).items()}


@contextmanager
def unchanged(store: Store) -> Iterator[None]:
    """What the bucket has now, it has afterwards."""
    before = objects(store)
    try:
        yield
    finally:
        for key, content in before.items():
            store.client().put_object(Bucket=BUCKET, Key=key, Body=content)


def write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_what_the_operator_keeps_can_be_restored(engine: Engine, record_property: Record) -> None:
    with engine.server() as server, engine.drill() as drill:
        rows = f"SELECT n, '{NEEDLE}' AS word FROM generate_series(1, 9999) n"
        engine.ask(server, f"CREATE TABLE kept AS {rows}")
        engine.await_(drill, "a look at the bucket", lambda: engine.metrics(drill) != {})
        assert engine.metrics(drill)["last_success_timestamp_seconds"] == 0, "there is no backup yet"
        engine.back_up(server)
        engine.ask(server, f"CREATE TABLE later AS {rows}")
        segment = engine.ask(server, "SELECT pg_walfile_name(pg_switch_wal())")
        engine.await_(server, "the log", lambda: engine.has(segment))
        lines = engine.run("exec", server, "sh", "-c", "pg_dumpall --username=postgres | wc -l").strip()
    with engine.drill() as drill:
        engine.await_(drill, "a drill", lambda: engine.tried(drill) > 0)
        figures, said = engine.metrics(drill), engine.said(drill)
    assert f"{lines} lines of SQL" in said, "what came after the backup is in the log"
    assert 0 <= figures["drill_age_seconds"] < PATIENCE_SECONDS
    assert figures["size_bytes"] > 0
    assert 0 < figures["last_success_timestamp_seconds"] <= figures["last_drill_success_timestamp_seconds"]
    record_property("note", f"a backup by Barman Cloud and its log: {lines} lines of SQL equal")


@pytest.mark.parametrize("break_it", [spoil_page, lose_log], ids=["a page is another", "the log has a gap"])
def test_what_is_broken_is_found(engine: Engine, break_it: Callable[[Store], None]) -> None:
    """Needs the backup of the test before, and leaves it as it was."""
    with unchanged(engine.store):
        break_it(engine.store)
        with engine.drill() as drill:
            engine.await_(drill, "a failure", lambda: "the drill failed" in engine.said(drill))
            assert engine.tried(drill) == 0
