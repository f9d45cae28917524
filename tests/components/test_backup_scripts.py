"""The scripts that every kind's backups share, run for real: only the store is a stand-in, a folder behind `curl`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.core.backups.carrying import render_schedule
from components.core.scripting import scripts

CURL = '''#!{python}
"""What of S3 the carrier needs: objects are files, and a page of a list has two keys."""
import pathlib, sys, urllib.parse
words = sys.argv[1:]
value = lambda name: words[words.index(name) + 1]
root, url = pathlib.Path({root!r}), urllib.parse.urlsplit(words[-1])
output = pathlib.Path(value("--output"))
assert url.scheme == "https" and "--aws-sigv4" in words and not any("SECRET" in word for word in words), words
if url.query:
    asked = dict(urllib.parse.parse_qsl(url.query))
    keys = sorted(str(one.relative_to(root)) for one in root.rglob("*") if one.is_file())
    keys = [key for key in keys if key.startswith(asked["prefix"]) and key > asked.get("start-after", "")]
    found = "".join("<Contents><Key>%s</Key></Contents>" % key for key in keys[:2])
    more = str(len(keys) > 2).lower()
    output.write_text("<R><IsTruncated>%s</IsTruncated>%s</R>" % (more, found))
    sys.exit()
key = root / url.path.split("/", 2)[2]
if "--upload-file" in words:
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_bytes(pathlib.Path(value("--upload-file")).read_bytes())
elif "DELETE" in words:
    key.unlink()
elif key.exists():
    output.write_bytes(key.read_bytes())
    print(200, end="")
else:
    print(404, end="")
'''
WHOLE = "20261101T020000Z.77.000000010000000000000004"


class Carrier:
    """The carrier's functions in a folder of their own."""

    def __init__(self, root: Path) -> None:
        self.staging, self.objects = root / "staging", root / "objects"
        for folder in ("bin", "etc", "run", "key", "store", "staging", "objects/db", "metrics"):
            (root / folder).mkdir(parents=True)
        (root / "store" / "access_key_id").write_text("ID")
        (root / "store" / "secret_access_key").write_text("SECRET")
        (root / "key" / "key").write_text("not so secret")
        (root / "bin" / "curl").write_text(CURL.format(python=sys.executable, root=str(root / "objects")))
        (root / "bin" / "curl").chmod(0o755)
        settings = {
            "SERVICE": "db", "STAGING": self.staging, "URL": "https://store/bucket", "REGION": "eu-west-1",
            "PREFIX": "db/", "STORE": root / "store", "KEY": root / "key" / "key", "PART": "10k",
            "RETENTION": 10 * 86400, "SCHEDULE": render_schedule("0 2 * * *"), "DRILL": render_schedule("0 4 * * 0"),
        }  # fmt: skip
        (root / "etc" / "backup-settings.sh").write_text("".join(f"{k}='{v}'\n" for k, v in settings.items()))
        shared = scripts("core", "backup.sh")["backup.sh"].replace("/run/metrics", f"{root}/metrics")
        (root / "etc" / "backup.sh").write_text(shared)
        functions = scripts("core", "carrier.sh")["carrier.sh"].partition("until list set/")[0]
        own = functions.replace("/run/carrier", f"{root}/run")
        self._script, self._functions, self._root = root / "etc" / "carrier.sh", own, root

    def run(self, commands: str) -> subprocess.CompletedProcess[str]:
        self._script.write_text(self._functions + commands + "\n")
        path = f"{self._root}/bin:{os.environ['PATH']}"
        return subprocess.run(
            ["sh", str(self._script)], env={**os.environ, "PATH": path}, text=True, capture_output=True, timeout=60
        )

    def put_out(self, name: str, content: bytes) -> None:
        folder = self.staging / "out" / name
        folder.mkdir(parents=True)
        (folder / "data").write_bytes(content)

    def has(self) -> set[str]:
        root = self.objects / "db"
        return {str(one.relative_to(root)) for one in root.rglob("*") if one.is_file()}

    def keep(self, *keys: str) -> None:
        for key in keys:
            path = self.objects / "db" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")


@pytest.fixture
def carrier(tmp_path: Path) -> Carrier:
    return Carrier(tmp_path)


def test_what_is_carried_away_comes_back_the_same_and_was_encrypted(carrier: Carrier) -> None:
    content = os.urandom(25_000)
    carrier.put_out(WHOLE, content)
    assert carrier.run("ship_sets").returncode == 0
    assert carrier.has() == {f"set/{WHOLE}/{name}" for name in ("part.0000", "part.0001", "part.0002", "whole")}
    assert (carrier.objects / "db" / "set" / WHOLE / "part.0000").read_bytes().startswith(b"Salted__")
    assert not (carrier.staging / "out" / WHOLE).exists()
    (carrier.staging / "want" / "set").write_text("latest\n")
    done = carrier.run("serve")
    assert done.returncode == 0, done.stderr
    assert (carrier.staging / "got" / "set" / "data").read_bytes() == content
    assert (carrier.staging / "got" / "set" / "name").read_text() == f"{WHOLE}\n"
    assert list((carrier.staging / "want").iterdir()) == []


def test_no_more_is_kept_of_a_backup_than_was_asked_for(carrier: Carrier) -> None:
    carrier.put_out(WHOLE, b"x")
    for name in ("rows/1/a", "rows/2/b", "sums"):
        file = carrier.staging / "out" / WHOLE / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    carrier.run("ship_sets")
    (carrier.staging / "want" / "set").write_text("latest ./sums ./rows/2\n")
    done = carrier.run("serve")
    assert done.returncode == 0, done.stderr
    fetched = carrier.staging / "got" / "set"
    assert {str(one.relative_to(fetched)) for one in fetched.rglob("*") if one.is_file()} == {
        "sums",
        "rows/2/b",
        "name",
    }


def test_another_key_opens_nothing(carrier: Carrier, tmp_path: Path) -> None:
    carrier.put_out(WHOLE, b"content")
    carrier.run("ship_sets")
    (tmp_path / "key" / "key").write_text("another")
    (carrier.staging / "want" / "set").write_text("latest\n")
    assert carrier.run("serve").returncode != 0
    assert list((carrier.staging / "got").iterdir()) == [carrier.staging / "got" / "set.new"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("latest", "20261103T020000Z"),
        ("20261102T235959Z", "20261102T020000Z"),
        ("20261102T020000Z", "20261102T020000Z"),
    ],
)
def test_the_last_backup_that_was_whole_by_then_is_fetched(carrier: Carrier, asked: str, found: str) -> None:
    for day in (1, 2, 3):
        carrier.put_out(f"2026110{day}T020000Z", str(day).encode())
        carrier.run(f"ship 2026110{day}T020000Z")
    carrier.keep("set/20261104T020000Z/part.0000")
    (carrier.staging / "want" / "set").write_text(f"{asked}\n")
    carrier.run("serve")
    assert (carrier.staging / "got" / "set" / "name").read_text() == f"{found}\n", "the fourth is not whole"


def test_what_there_is_not_is_said_to_be_missing(carrier: Carrier) -> None:
    carrier.run(":")
    (carrier.staging / "want" / "set").write_text("20200101T000000Z\n")
    (carrier.staging / "want" / "00000002.history").write_text("wal/77/00000002.history\n")
    assert carrier.run("serve").returncode == 0
    assert {one.name for one in (carrier.staging / "got").iterdir()} == {"set.missing", "00000002.history.missing"}


def test_finished_segments_are_carried_away_and_fetched(carrier: Carrier) -> None:
    folder = carrier.staging / "wal" / "77"
    folder.mkdir(parents=True)
    (folder / "000000010000000000000004").write_bytes(b"log" * 100)
    (folder / "000000010000000000000005.partial").write_bytes(b"more")
    assert carrier.run("ship_log").returncode == 0
    assert [one.name for one in folder.iterdir()] == ["000000010000000000000005.partial"]
    (carrier.staging / "want" / "000000010000000000000004").write_text("wal/77/000000010000000000000004\n")
    carrier.run("serve")
    assert (carrier.staging / "got" / "000000010000000000000004").read_bytes() == b"log" * 100


def test_from_the_last_backup_that_is_old_enough_on_all_is_kept(carrier: Carrier) -> None:
    stamps = subprocess.run(
        ["sh", "-c", 'for d in 30 20 11 5; do date -u -d "-$d days" +%Y%m%dT020000Z; done'],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    names = [f"{stamp}.77.00000001000000000000000{number}" for number, stamp in enumerate(stamps, start=1)]
    for name in names:
        carrier.keep(f"set/{name}/part.0000", f"set/{name}/whole")
    log = [f"wal/77/00000001000000000000000{number}" for number in range(1, 6)]
    carrier.keep(*log, "wal/77/00000002.history", "wal/88/000000010000000000000001")
    done = carrier.run("prune")
    assert done.returncode == 0, done.stderr
    kept = {f"set/{name}/{file}" for name in names[2:] for file in ("part.0000", "whole")}
    assert carrier.has() == kept | set(log[2:]) | {"wal/77/00000002.history", "wal/88/000000010000000000000001"}


def test_the_only_backup_is_kept_however_old(carrier: Carrier) -> None:
    carrier.keep("set/20200101T020000Z/part.0000", "set/20200101T020000Z/whole", "set/20190101T020000Z/part.0000")
    carrier.run("prune")
    assert carrier.has() == {"set/20200101T020000Z/part.0000", "set/20200101T020000Z/whole"}


def test_who_asks_while_it_is_being_done_has_it_done_once_more(carrier: Carrier) -> None:
    state = carrier.staging / "state"
    state.mkdir()
    wanted = state / "dump.wanted"
    wanted.touch()
    asking = f"asks_again() {{ sleep 0.05; touch '{wanted}'; }}; attempt dump asks_again"
    assert carrier.run(asking).returncode == 0
    assert wanted.exists(), "what came after the first one began is in none"
    assert carrier.run("attempt dump true").returncode == 0
    assert not wanted.exists()


def test_metrics_say_how_it_stands(carrier: Carrier, tmp_path: Path) -> None:
    carrier.put_out(WHOLE, b"x")
    figures = "shipped:last_success drilled:last_drill_success log:last_log"
    carrier.run(f'ship_sets; echo $(($(date -u +%s) - 100)) | put "$state/drilled"; measure {figures}')
    lines = dict(
        line.rsplit(" ", 1)
        for line in (tmp_path / "metrics" / "backup.prom").read_text().splitlines()
        if not line.startswith("#")
    )
    value = {name.partition("{")[0].removeprefix("groundwork_backup_"): int(text) for name, text in lines.items()}
    assert value["last_success_timestamp_seconds"] > 1_700_000_000
    assert value["last_drill_success_timestamp_seconds"] < value["last_success_timestamp_seconds"]
    assert 100 <= value["drill_age_seconds"] < 160
    assert value["size_bytes"] > 0
    assert value["last_log_timestamp_seconds"] == 0


@pytest.mark.parametrize(
    ("moment", "schedule", "fits"),
    [
        ("00 02 21 11 6", "0 2 * * *", True),
        ("01 02 21 11 6", "0 2 * * *", False),
        ("00 03 21 11 6", "0 2 * * *", False),
        ("00 02 21 11 6", "0 2 * 12 *", False),
        ("00 02 21 11 6", "0 2 1 * *", False),
        ("00 02 01 11 6", "0 2 1 * *", True),
        ("00 02 21 11 6", "0 2 * * 0", False),
        ("00 02 21 11 6", "0 2 1 * 6", True),
        ("00 02 21 11 6", "0 2 1 * 5", False),
    ],
)
def test_a_minute_fits_a_schedule_as_in_cron(carrier: Carrier, moment: str, schedule: str, fits: bool) -> None:
    done = carrier.run(f"fits {moment} {render_schedule(schedule)} && echo yes")
    assert done.stdout == ("yes\n" if fits else ""), done.stderr


def test_it_is_due_at_first_and_once_more_when_its_time_went_by_unseen(carrier: Carrier) -> None:
    wanted = carrier.staging / "state" / "dump.wanted"
    carrier.run('note_due dump "$SCHEDULE"')
    assert wanted.exists()
    wanted.unlink()
    carrier.run('note_due dump "$SCHEDULE"')
    assert not wanted.exists()
    asked = carrier.staging / "state" / "dump.asked"
    asked.write_text(str(int(asked.read_text()) - 2 * 86400))
    carrier.run('note_due dump "$SCHEDULE"')
    assert wanted.exists()
