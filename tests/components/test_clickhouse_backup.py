"""Backups of ClickHouse's own engine by the scripts that make them: taken, tried, found to be broken, and begun with.

The store is a folder, and wishes are answered at once.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from components.clickhouse import render
from components.clickhouse.dumping import RESTORED, clickhouse_duty, restored
from components.clickhouse.plan import plan_clickhouse
from components.core.backups.carrying import RUNS, render_settings
from components.core.backups.contract import Restore
from components.core.bindings import Binding, Endpoint
from components.core.mounts import OWN
from components.core.scripting import scripts
from components.core.site import Site
from tests.support.clickhouse import spec_of
from tests.support.clickhouse_engine import Engine, running_engine
from tests.support.site import NAMES, PLACEMENT
from toolchain.waiting import wait_until

BACKUP = {"backup": {"to": "objects"}}
SITE = Site("test", PLACEMENT, NAMES, {"store": ("api",)})
SETTINGS = {"ENDPOINT": "https://objects:7070", "BUCKET": "b", "ADDRESSING": "path", "REGION": "eu-central-1"}
STORE = Binding(Endpoint("objects", "objects", 7070, "s3", "server"), SETTINGS, {}, ())
PATIENCE_SECONDS = 240
WISH = """
folder=$1 choice=$2
shift 2
for one in "$STORE"/*; do
  name=${one##*/}
  if [ "$choice" = latest ] || [ ! "$name" \\> "$choice" ]; then chosen=$name; fi
done
rm -rf "$folder/got/set" && mkdir -p "$folder/got/set"
tar -C "$STORE/$chosen" -c . | tar -C "$folder/got/set" -x "$@" && echo "$chosen" >"$folder/got/set/name"
echo "$choice" >>"$STORE/../wishes"
"""
STRANGE = "`we\\`ird/\\n\\t\\'\\x01na$(me)é`"
TABLES = f"""
CREATE DATABASE api;
CREATE DATABASE `o'ther \\n base`;
CREATE TABLE api.{STRANGE} (
    `a\\`b'` UInt32, n Nested(x UInt8, y String), low LowCardinality(String), j JSON,
    e Enum8('a\\tb' = 1, 'it\\'s' = 2), m Map(String, UInt8), at DateTime('Europe/Berlin'),
    twice UInt32 ALIAS 1, seed UInt8 EPHEMERAL
) ENGINE = MergeTree ORDER BY `a\\`b'`;
INSERT INTO api.{STRANGE} (`a\\`b'`, `n.x`, `n.y`, low, j, e, m, at)
    SELECT number, [1, 2], ['q', '\\n'], 'low', '{{"a": 1, "b": "z"}}', 'it\\'s', map('k', 1), toDateTime(1e9)
    FROM numbers(1000);
CREATE TABLE `o'ther \\n base`.kept (
    id UInt32, at DateTime, stored String MATERIALIZED 'new', states AggregateFunction(uniqExact, UInt32), v UInt8
) ENGINE = ReplacingMergeTree(v) PARTITION BY id % 3 ORDER BY id TTL at + INTERVAL 1 DAY
    SETTINGS ttl_only_drop_parts = 1;
SET optimize_on_insert = 0, insert_allow_materialized_columns = 1;
INSERT INTO `o'ther \\n base`.kept (id, at, stored, states, v)
    SELECT number % 5, toDateTime(if(number < 15, 1e9, 4e9)), 'as it was',
        arrayReduce('uniqExactState', range(100)::Array(UInt32)), 1
    FROM numbers(20);
CREATE TABLE api.source (id UInt64, name String DEFAULT 'n') ENGINE = MergeTree ORDER BY id;
CREATE MATERIALIZED VIEW api.counts ENGINE = SummingMergeTree(c) ORDER BY k AS
    SELECT id % 2 AS k, count() AS c FROM api.source GROUP BY k;
CREATE TABLE api.copied (id UInt64) ENGINE = Log;
CREATE MATERIALIZED VIEW api.copies TO api.copied AS SELECT id FROM api.source;
CREATE MATERIALIZED VIEW api.hourly REFRESH EVERY 1 YEAR ENGINE = MergeTree ORDER BY k EMPTY AS SELECT 1 AS k;
SYSTEM START VIEWS;
SYSTEM REFRESH VIEW api.hourly;
SYSTEM WAIT VIEW api.hourly;
CREATE VIEW api.a_view AS WITH x AS (SELECT * FROM api.counts) SELECT * FROM x;
INSERT INTO api.source (id) SELECT number FROM numbers(10);
TRUNCATE TABLE api.source;
INSERT INTO api.source VALUES (100, 'kept'), (101, 'kept');
CREATE DICTIONARY api.names (id UInt64, name String) PRIMARY KEY id SOURCE(CLICKHOUSE(DB 'api' TABLE 'source'))
    LAYOUT(FLAT()) LIFETIME(10);
CREATE TABLE api.named (id UInt64, name String DEFAULT dictGet('api.names', 'name', id)) ENGINE = MergeTree ORDER BY id;
INSERT INTO api.named VALUES (1, 'own');
CREATE TABLE api.nothing (id UInt64) ENGINE = MergeTree ORDER BY id;
"""
CONTENT = f"""
SELECT 1, * FROM api.{STRANGE} ORDER BY 2;
SELECT 2, id, at, stored, v, finalizeAggregation(states) FROM `o'ther \\n base`.kept ORDER BY id;
SELECT 3, * FROM api.source ORDER BY id;
SELECT 4, k, c FROM api.a_view ORDER BY k, c;
SELECT 5, id FROM api.copied ORDER BY id;
SELECT 6, * FROM api.hourly;
SELECT 7, * FROM api.named ORDER BY id;
SELECT 8, database, replaceRegexpOne(name, '[0-9a-f-]{{36}}$', ''), engine FROM system.tables
    WHERE database NOT IN ('system', 'gw_restore', 'information_schema', 'INFORMATION_SCHEMA')
    AND NOT startsWith(name, '.tmp.') AND NOT startsWith(name, '_tmp_replace_') ORDER BY ALL;
"""
"""What a view that is made anew keeps for itself meanwhile is nobody's."""

FEW = f"""
CREATE DATABASE api;
CREATE TABLE api.{STRANGE} (id UInt64) ENGINE = MergeTree ORDER BY id;
CREATE TABLE api.source (id UInt64) ENGINE = MergeTree ORDER BY id;
CREATE MATERIALIZED VIEW api.counts ENGINE = SummingMergeTree(c) ORDER BY k AS
    SELECT id % 2 AS k, count() AS c FROM api.source GROUP BY k;
CREATE TABLE api.copied (id UInt64) ENGINE = MergeTree ORDER BY id;
CREATE MATERIALIZED VIEW api.copies TO api.copied AS SELECT id FROM api.source;
INSERT INTO api.source SELECT number FROM numbers(10);
"""
"""What is made on several servers, each of which is asked one after the other here."""
CONTENT_OF_FEW = """
SELECT 1, * FROM api.source ORDER BY id;
SELECT 2, k, c FROM api.counts ORDER BY k, c;
SELECT 3, id FROM api.copied ORDER BY id;
"""


class Place:
    """Folders that stand for servers, a store, and for what runs beside them."""

    def __init__(self, engine: Engine, root: Path, **fields: Any) -> None:
        self.engine, self.root, self.store = engine, root, root / "store"
        self.spec = spec_of(**fields)
        self.plan = plan_clickhouse("store", self.spec, SITE)
        hosts = {SITE.names.host(one.name): f"server-{index}" for index, one in enumerate(self.plan.servers)}
        engine.write_programs(root / "bin", root, hosts)
        for name, text in {"sleep": "exec /bin/sleep 0.01", "uname": 'echo "store-1-${INDEX:-0}"'}.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        self.store.mkdir()

    def tell(self, text: str, index: int = 0) -> str:
        """What the engine of a server answers."""
        return self.engine.ask(self.root / f"server-{index}", text)

    def asked(self) -> str:
        """All that servers were asked by the scripts."""
        return (self.root / "asked").read_text()

    def asks_again(self) -> Callable[[], bool]:
        """Whether the first shard has looked once more at what is done, from now on."""
        looked = "-- server-0 0\nCREATE DATABASE IF NOT EXISTS gw_restore;"
        before = self.asked().count(looked)
        return lambda: self.asked().count(looked) > before

    def notes(self) -> str:
        """What servers have noted so far."""
        table = "SELECT count() FROM system.tables WHERE database = 'gw_restore';"
        there = self.engine.ask(self.root / "notes", table) == "1\n"
        return self.engine.ask(self.root / "notes", "SELECT note FROM gw_restore.notes;") if there else ""

    def run(self, script: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A script from its start to its end."""
        return subprocess.run(
            ["sh", str(script), *words], env=self.environment(**more), text=True, capture_output=True,
            timeout=PATIENCE_SECONDS,
        )  # fmt: skip

    def environment(self, **more: str) -> dict[str, str]:
        path = f"{self.root}/bin:{os.environ['PATH']}"
        return {"PATH": path, "STORE": str(self.store), **more}

    def part(self, process: str) -> subprocess.CompletedProcess[str]:
        """The dump or the drill, once."""
        etc, staging = self.root / "part", self.root / "staging"
        for folder in (etc, staging / "state", *(Path(f"{self.root}{run}") for run in RUNS.values())):
            folder.mkdir(parents=True, exist_ok=True)
        duty = clickhouse_duty("store", self.spec, self.plan, SITE)
        settings = {"SERVICE": "store", "STAGING": str(staging), **duty.settings}
        texts = {**duty.scripts, **scripts("core", "backup.sh"), "wish.sh": WISH,
                 "backup-settings.sh": render_settings(settings)}  # fmt: skip
        for name, text in texts.items():
            once = re.sub(r"^(dumps|drills) (reached )?(\w+)( \d+)?$", r"\3", text, flags=re.MULTILINE)
            (etc / name).write_text(once.replace("run=/run/", f"run={self.root}/run/"))
        return self.run(etc / f"{process}.sh")

    def take(self) -> Path:
        """A backup, carried to the store."""
        done = self.part("dump")
        assert done.returncode == 0, done.stderr
        (taken,) = (self.root / "staging" / "out").iterdir()
        kept = self.store / f"2026112{len(list(self.store.iterdir()))}T020000Z"
        taken.rename(kept)
        return kept

    def drill(self) -> str:
        """What the drill says; "" where it has failed without a word."""
        return self.part("drill").stderr

    def prepare(self, index: int, replica: int = 0) -> tuple[Path, tuple[str, ...]]:
        """The script by which a shard begins with the backup, and its words."""
        workload = restored(self.plan.servers[index], Restore(store="objects"), SITE, STORE, self.spec.shards)
        root = self.root / f"beside-{index}-{replica}"
        for folder in ("etc", "run"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for file in workload.files:
            if file.path.startswith(render.ETC):
                here = file.content.replace(render.ETC, f"{root}/etc").replace(render.RUN, f"{root}/run")
                (root / "etc" / file.path.rpartition("/")[2]).write_text(here.replace(OWN, f"{root}/tls"))
        (root / "etc" / "wish.sh").write_text(WISH)
        (root / "etc" / "schema.sh").write_text(f"touch {root}/run/applied\n")
        command = workload.containers[1].command
        words = [word.replace(RESTORED, f"{root}/fetched") for word in command[2:]]
        return root / "etc" / "restore.sh", tuple(words)

    @contextmanager
    def beginning(self, index: int = 0, replica: int = 0) -> Iterator[Path]:
        """What one server of a shard does in the background; the file has what it says."""
        script, words = self.prepare(index, replica)
        log = script.parents[1] / "log"
        with log.open("w") as said:
            environment = self.environment(SERVER=f"server-{index}", INDEX=str(replica))
            process = subprocess.Popen(["sh", script, *words], env=environment, stderr=said, start_new_session=True)
            try:
                yield log
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def begun(self, index: int = 0, replica: int = 0) -> bool:
        return (self.root / f"beside-{index}-{replica}" / "run" / "applied").exists()

    def begin(self, index: int = 0) -> subprocess.CompletedProcess[str]:
        """What a shard's first server does until its tables are there."""
        script, words = self.prepare(index)
        done = self.run(script, *words, SERVER=f"server-{index}")
        assert done.returncode == 0, done.stderr
        assert self.begun(index)
        return done


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine() as found:
        yield found


@pytest.fixture
def place(engine: Engine, tmp_path: Path) -> Place:
    """A server with tables of all kinds."""
    found = Place(engine, tmp_path / "place", **BACKUP)
    found.tell(TABLES)
    return found


def another(place: Place, **fields: Any) -> Place:
    """A new service that the store of another is known to."""
    found = Place(place.engine, place.root.parent / "another", **fields)
    found.store.rmdir()
    place.store.rename(found.store)
    return found


def sums_anew(folder: Path) -> None:
    """Sums of what is there, as the dump writes them."""
    script = "find . -type f ! -name sums -exec sha256sum {} + >sums"
    subprocess.run(["/bin/sh", "-c", script], cwd=folder, check=True)


def listed(taken: Path, shard: int = 1) -> dict[str, list[str]]:
    lines = (taken / "schema" / str(shard) / "tables").read_text().splitlines()
    return {line.split("\t")[3]: line.split("\t") for line in lines}


def test_what_was_taken_can_be_restored(place: Place) -> None:
    before = place.tell(CONTENT)
    taken = place.take()
    kinds = {name.rpartition(".")[2].strip("`"): fields[1] for name, fields in listed(taken).items()}
    assert {kinds[name] for name in ("kept", "source", "copied", "named", "nothing")} == {"rows"}
    assert sorted(kinds.values()).count("inner") == 2
    assert (kinds["names"], kinds["a_view"], kinds["copies"]) == ("dictionary", "view", "view")
    said = place.drill()
    assert f"backup {taken.name} restored: 8 tables, 1040 rows\n" in said
    assert place.tell(CONTENT) == before


def test_what_is_about_to_take_a_tables_place_is_left_out(place: Place) -> None:
    """It may be gone when it is asked for."""
    for name in ("kept", "_tmp_replace_0123456789abcdef_ab1defgh3jklmnop", "`.tmp.inner_id.1`", "_tmp_replaced"):
        place.tell(f"CREATE TABLE api.{name} (id UInt64) ENGINE = MergeTree ORDER BY id;")
    found = place.tell(scripts("clickhouse", "tables.sql")["tables.sql"]).splitlines()
    names = [line.split("\t")[3] for line in found]
    assert [name for name in names if "tmp" in name] == ["`api`.`_tmp_replaced`"]
    assert "`api`.`kept`" in names


def test_what_is_broken_is_found(place: Place) -> None:
    taken = place.take()
    number = listed(taken)["`api`.`source`"][0]
    file, figures = taken / "rows" / "1" / f"{number}.zst", taken / "schema" / "1" / f"{number}.figures"
    good, said = file.read_bytes(), figures.read_text()

    file.write_bytes(good[:-9] + bytes([good[-9] ^ 1]) + good[-8:])
    said_of_it = place.drill()
    assert "restored" not in said_of_it
    assert "shard 1" not in said_of_it, "no table is made of what is known to be broken"
    sums_anew(taken)
    assert "shard 1, table `api`.`source`: " in place.drill(), "its own checksum does not hold"
    file.write_bytes(good)
    count, _, total = said.partition("\t")
    for other in (f"{int(count) + 1}\t{total}", f"{count}\t{int(total) + 1}\n"):
        figures.write_text(other)
        sums_anew(taken)
        assert f"table `api`.`source`: {said.strip()}, and not {other.strip()}\n" in place.drill()


def test_a_table_that_can_not_be_made_is_found(place: Place) -> None:
    taken = place.take()
    number = listed(taken)["`api`.`a_view`"][0]
    (taken / "schema" / "1" / f"{number}.sql").write_text("CREATE VIEW api.a_view AS SELEKT 1\n")
    sums_anew(taken)
    said = place.drill()
    assert "drill: shard 1: " in said
    assert "Syntax error" in said


def test_a_new_server_begins_with_it(place: Place) -> None:
    before = place.tell(CONTENT)
    place.take()
    new = another(place)
    new.begin()
    assert "\nEMPTY AS SELECT 1 AS k" in new.asked(), "it waits for its time"
    assert new.tell(CONTENT) == before
    assert not (new.root / "beside-0-0" / "fetched" / "got" / "set").exists()
    asked = new.asked()
    new.begin()
    assert "INSERT" not in new.asked().removeprefix(asked), "what is done is not done again"
    assert new.tell(CONTENT) == before


@pytest.mark.parametrize("table", ["`api`.`source`", ".inner_id."])
def test_what_was_interrupted_goes_on(place: Place, table: str) -> None:
    before = place.tell(CONTENT)
    place.take()
    new = another(place)
    (new.root / "dies").write_text(f"INSERT INTO {table}" if table.startswith("`") else f"INSERT INTO `api`.`{table}")
    said = new.begin().stderr
    assert "it was killed while it gave rows" in said
    assert new.tell(CONTENT) == before
    given = re.findall(r"INSERT INTO (`\S+`) \(", new.asked())
    repeated = [name for name in given if given.count(name) > 1]
    assert len(repeated) == 2, "the others are not given again"
    assert table in repeated[0]


def test_what_there_is_stays_as_it_is(place: Place) -> None:
    place.take()
    new = another(place)
    new.tell("CREATE DATABASE api; CREATE TABLE api.own (id UInt8) ENGINE = Log; INSERT INTO api.own VALUES (7);")
    said = new.begin().stderr
    assert "1 tables have rows already, and stay as they are" in said
    assert new.tell("SELECT name FROM system.tables WHERE database = 'api'; SELECT * FROM api.own;") == "own\n7\n"
    assert not (new.root / "wishes").exists()
    new.tell("TRUNCATE TABLE api.own;")
    new.begin()
    assert not (new.root / "wishes").exists(), "it was decided once and for all"


def sharded(engine: Engine, root: Path, shards: int = 2) -> Place:
    """Shards that have the same tables, and each some rows of its own."""
    found = Place(engine, root, replicas=2, shards=shards, **BACKUP)
    for index in range(shards):
        found.tell(f"{FEW} INSERT INTO api.source VALUES ({100 + index});", index)
    return found


def read(*logs: Path) -> Callable[[], str]:
    return lambda: "".join(log.read_text() for log in logs)


def test_shards_begin_together_each_with_its_own(engine: Engine, tmp_path: Path) -> None:
    place = sharded(engine, tmp_path / "place")
    before = [place.tell(CONTENT_OF_FEW, index) for index in range(2)]
    assert before[0] != before[1]
    taken = place.take()
    assert place.drill() == f"drill: backup {taken.name} restored: 8 tables, 50 rows\n"
    new = another(place, replicas=2, shards=2)
    with new.beginning(1) as second:
        wait_until("its turn", PATIENCE_SECONDS, lambda: "looked-2" in new.notes(), read(second))
        assert not (new.root / "wishes").exists(), "the first shard chooses the backup"
    with ExitStack() as stack:
        waiting = stack.enter_context(new.beginning(0, replica=1))
        first = stack.enter_context(new.beginning(0))
        wait_until("rows", PATIENCE_SECONDS, lambda: "rows-1\n" in new.notes(), read(first))
        for _ in range(2):
            wait_until("its turn", PATIENCE_SECONDS, new.asks_again(), read(first))
        assert "CREATE MATERIALIZED VIEW" not in new.asked(), "rows that come after a view would come twice"
        second = stack.enter_context(new.beginning(1))
        everyone = ((0, 0), (0, 1), (1, 0))
        wait_until(
            "tables", PATIENCE_SECONDS, lambda: all(new.begun(*one) for one in everyone), read(first, second, waiting)
        )
    assert [new.tell(CONTENT_OF_FEW, index) for index in range(2)] == before
    assert (new.root / "wishes").read_text() == f"latest\n{taken.name}\n"


def test_tables_are_made_on_every_server(engine: Engine, tmp_path: Path) -> None:
    place = sharded(engine, tmp_path / "place", shards=1)
    before = place.tell(CONTENT_OF_FEW)
    place.take()
    new = another(place, replicas=2, shards=2)
    with new.beginning(0) as first, new.beginning(1) as second:
        wait_until("tables", PATIENCE_SECONDS, lambda: new.begun(0) and new.begun(1), read(first, second))
    assert new.tell(CONTENT_OF_FEW) == before
    made = "SELECT count(), sum(total_rows) FROM system.tables WHERE database = 'api';"
    assert new.tell(made, 1) == "6\t0\n", "the other shard has none of its rows"
    asked = new.asked().split("\n\n")
    statements = [text[text.index("CREATE DATABASE") :] for text in asked if "DATABASE IF NOT EXISTS `" in text]
    assert len(statements) == 5
    for statement in statements:
        for one in statement.split(";\n"):
            assert re.match(r"CREATE .* IF NOT EXISTS .* ON CLUSTER groundwork( TO api.copied)?(\n|$)", one)
            new.tell(f"EXPLAIN AST {one}")


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"replicas": 2, "shards": 1}, "the backup has 2 shards, and there are 1 here; set shards: 2 or more"),
        ({}, "the backup is of a replicated ClickHouse, and this one is single; set replicas as that one has them"),
    ],
)
def test_what_does_not_fit_is_refused(engine: Engine, tmp_path: Path, fields: dict[str, int], why: str) -> None:
    place = Place(engine, tmp_path / "place", replicas=2, shards=2, **BACKUP)
    for index in range(2):
        place.tell("CREATE DATABASE api; CREATE TABLE api.source (id UInt64) ENGINE = MergeTree ORDER BY id;", index)
    place.take()
    new = another(place, **fields)
    with new.beginning() as log:
        wait_until("a word", PATIENCE_SECONDS, lambda: why in log.read_text(), read(log))
        assert not new.begun()
    assert new.tell("SELECT count() FROM system.databases WHERE name = 'api';") == "0\n"


@pytest.mark.parametrize(
    ("written", "alone"),
    [
        ("ReplicatedMergeTree", "MergeTree"),
        ("ReplicatedMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}')", "MergeTree()"),
        ("ReplicatedReplacingMergeTree('/a/{shard}', '{replica}', version)", "ReplacingMergeTree(version)"),
        ("ReplicatedSummingMergeTree('/a/it\\'s, \\\\', '{replica}', (a, b))", "SummingMergeTree((a, b))"),
        ("ReplicatedVersionedCollapsingMergeTree('/a', 'b', a, b)", "VersionedCollapsingMergeTree(a, b)"),
        ("ReplacingMergeTree(version)", "ReplacingMergeTree(version)"),
        ("Distributed('a', 'b', 'ReplicatedMergeTree')", "Distributed('a', 'b', 'ReplicatedMergeTree')"),
    ],
)
def test_a_table_of_several_replicas_is_made_alone_in_a_drill(written: str, alone: str, tmp_path: Path) -> None:
    comment = "    `a` String COMMENT 'ENGINE = ReplicatedMergeTree(\\'/a\\', \\'b\\')',"
    text = "CREATE TABLE api.t\n(\n{}\n)\nENGINE = {}\nORDER BY a\n"
    (tmp_path / "t.sql").write_text(text.format(comment, written))
    (tmp_path / "alone.sh").write_text(scripts("clickhouse", "alone.sh")["alone.sh"])
    words = ("sh", tmp_path / "alone.sh", tmp_path / "t.sql")
    done = subprocess.run(words, text=True, capture_output=True, check=True)
    assert done.stdout == text.format(comment, alone)
