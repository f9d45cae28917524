"""Backups of object stores by the scripts that make them: taken, tried, found to be broken, and begun with.

The store that has the backups is a folder, and this test carries what is asked for. The server of a drill is of the
same kind as the one that was backed up.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import pytest

from components.core.backups.carrying import render_schedule, render_settings
from components.core.backups.contract import Restore
from components.core.bindings import Binding, Endpoint
from components.core.scripting import scripts
from components.core.site import Site
from components.objects.access import BACKUP, KEEPER, render_buckets
from components.objects.dumping import ACCOUNT, objects_duty, restored
from components.objects.plan import ObjectsPlan
from components.objects.render import DATA, ETC, KEPT
from tests.components.test_nats_backup import fetch, running
from tests.support.objects import plan_of, spec_of
from tests.support.objects_server import KINDS, REGION, SCRATCH, Store, serving, shown
from tests.support.site import NAMES, PLACEMENT, contents
from toolchain.waiting import wait_until

pytestmark = pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")

PATIENCE_SECONDS = 90
BACKUP_TO = {"backup": {"to": "elsewhere"}}
SITE = Site("test", PLACEMENT, NAMES, {"store": ("api",)})
SETTINGS = {"ENDPOINT": "https://elsewhere:7070", "BUCKET": "b", "ADDRESSING": "path", "REGION": "eu-central-1"}
ELSEWHERE = Binding(Endpoint("elsewhere", "elsewhere", 7070, "s3", "server"), SETTINGS, {}, ())
BUCKETS: tuple[dict[str, Any], ...] = ({"name": "media"}, {"name": "exports"})
MEBIBYTE = 2**20
OF_A_PAGE = 20
STRANGE_KEYS = (
    "a b/c&d=e", "<\"'>", "ü/%2F", "100%/+", "what?#;:@,!*()", "back\\slash", "[a]{b}^$|`~", "tab\there", "&lt;",
    "折り紙.txt", "deep/er/and/deeper", "-", "..hidden/x", "folder/",
)  # fmt: skip
CURL = """#!/bin/sh
case "$*" in
*--dump-header*)
  if [ -e "$ROOT/hold" ]; then
    touch "$ROOT/held"
    while [ -e "$ROOT/hold" ]; do sleep 0.1; done
  fi
  "$CURL" "$@" || exit
  if [ -e "$ROOT/spoil" ]; then
    first=$(sed -n 's/^output = "\\(.*\\)"$/\\1/p' "$ROOT/run/dump/requests" | head -n 1)
    echo more >>"$first"
    rm "$ROOT/spoil"
  fi
  ;;
*) exec "$CURL" "$@" ;;
esac
"""
"""curl, that can be held before it reads a page, and whose first object can come otherwise than it was sent."""


def environment_of(root: Path) -> dict[str, str]:
    curl = shutil.which("curl")
    assert curl
    return {"PATH": f"{root}/bin:{os.environ['PATH']}", "ROOT": str(root), "CURL": curl}


def make_programs(root: Path, store: Store) -> None:
    programs = {"curl": CURL, **({"versitygw": SCRATCH} if store.kind == "moto" else {})}
    for name, text in programs.items():
        (root / "bin" / name).write_text(text)
        (root / "bin" / name).chmod(0o755)


class Part:
    """What makes the backups of a store, in a folder."""

    def __init__(self, root: Path, store: Store, plan: ObjectsPlan) -> None:
        self.root, self.staging, self.kept = root, root / "staging", root / "kept"
        for folder in ("bin", "etc", "run/dump", "run/drill", "staging/want", "staging/got", "kept"):
            (root / folder).mkdir(parents=True)
        make_programs(root, store)
        duty = objects_duty(plan, spec_of(*BUCKETS, **BACKUP_TO), SITE)
        schedules = {one: render_schedule("0 0 1 1 *") for one in ("SCHEDULE", "DRILL")}
        own = {"ADDRESS": store.address, "SERVER_REGION": REGION, "ACCOUNT": str(root / ACCOUNT)}
        settings = {"SERVICE": "store", "STAGING": DATA, **schedules, **duty.settings, **own}
        texts = {
            **duty.scripts, **scripts("core", "backup.sh", "wish.sh"), "backup-settings.sh": render_settings(settings),
        }  # fmt: skip
        (root / ACCOUNT).write_text(store.curl_user(BACKUP))
        for name, text in texts.items():
            here = (
                text.replace(DATA, str(self.staging))
                .replace(PLACEMENT.region, REGION)
                .replace("/run/d", f"{root}/run/d")
            )
            here = here.replace("/run/groundwork/tls", str(store.root)).replace("pause 30", "pause 1")
            (root / "etc" / name).write_text(smaller(here))

    def says(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()

    def process(self, name: str) -> Any:
        return running(self.root / "etc" / f"{name}.sh", environment_of(self.root), self.root / f"{name}.log")

    def take(self) -> Path:
        """A backup, carried to where it is kept."""
        with self.process("dump"):
            self.await_taken()
        return self.carry()

    def await_taken(self) -> None:
        await_(lambda: any((self.staging / "out").glob("*")), lambda: self.says("dump"))

    def carry(self) -> Path:
        (taken,) = (self.staging / "out").iterdir()
        (self.staging / "state" / "dump.wanted").unlink(missing_ok=True)
        return Path(shutil.move(taken, self.kept))

    def drill(self) -> bool:
        """Whether the drill of the newest backup succeeds."""
        state = self.staging / "state"
        (state / "drilled").unlink(missing_ok=True)
        (state / "drill.wanted").touch()
        with self.process("dump"), self.process("drill"):
            await_(lambda: fetch(self.staging, self.kept), lambda: self.says("drill"))
            ended = lambda: (state / "drilled").exists() or "tried again" in self.says("drill")  # noqa: E731
            await_(ended, lambda: self.says("drill") + self.says("dump"))
        shutil.rmtree(self.staging / "drill", ignore_errors=True)
        return (state / "drilled").exists()


class Instance:
    """What looks after the buckets of a store, in a folder; where it is `restoring`, they begin with a backup."""

    def __init__(self, root: Path, store: Store, plan: ObjectsPlan, restoring: bool = False) -> None:
        self.root, self.folder = root, root / "data" / "restore"
        for folder in ("bin", "etc", "tmp", "kept", "data/restore/want", "data/restore/got"):
            (root / folder).mkdir(parents=True)
        make_programs(root, store)
        workload = restored(plan.workload, Restore(store="elsewhere"), SITE, ELSEWHERE) if restoring else plan.workload
        command = next(one.command for one in workload.containers if one.name == "buckets")
        self.words = (REGION, *(word.replace(DATA, f"{root}/data") for word in command[3:]))
        texts = contents(workload)
        for name, text in texts.items():
            here = text.replace(ETC, f"{root}/etc").replace(KEPT, f"{root}/kept").replace("tmp=/tmp", f"tmp={root}/tmp")
            here = here.replace("https://localhost:7070", store.address)
            (root / "etc" / name).write_text(smaller(here.replace("/run/groundwork/tls", str(store.root))))
        (root / "kept" / "buckets.tsv").write_text(render_buckets(plan.grants, plan.backed))
        (root / "kept" / "user.conf").write_text(store.curl_user(KEEPER))

    def process(self) -> Any:
        return running(self.root / "etc" / "buckets.sh", environment_of(self.root), self.root / "log", *self.words)

    @property
    def applied(self) -> bool:
        return (self.root / "tmp" / "applied").exists()

    def says(self) -> str:
        return (self.root / "log").read_text()

    def settle(self, kept: Path | None = None) -> None:
        """Run until the buckets are as declared. `kept`: where backups are kept."""
        with self.process():
            if kept:
                await_(lambda: fetch(self.folder, kept), self.says)
            await_(lambda: self.applied, self.says)


def smaller(text: str) -> str:
    """With smaller pages, and what goes in parts much smaller."""
    changed = {"pieces=1024": "pieces=5", "largest=4096": "largest=6", "most=1000": f"most={OF_A_PAGE}"}
    for before, after in changed.items():
        text = text.replace(before, after)
    return text


def await_(holds: Any, says: Any) -> None:
    wait_until("the scripts", PATIENCE_SECONDS, holds, says)


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder with a short name, as the path of a socket has to be."""
    with TemporaryDirectory(prefix="gw") as folder:
        yield Path(folder)


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, root: Path) -> Iterator[Store]:
    (root / "store").mkdir()
    with serving(request.param, root / "store") as served:
        Instance(root / "first", served, PLAN).settle()
        yield served


PLAN = plan_of(spec_of(*BUCKETS, **BACKUP_TO), "api")


@pytest.fixture
def part(root: Path, store: Store) -> Part:
    return Part(root / "part", store, PLAN)


def fill(store: Store, many: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    """Objects of all kinds, and so many plain ones."""
    client = store.client()
    for key in STRANGE_KEYS:
        body = b"" if key.endswith("/") else os.urandom(1000)
        client.put_object(Bucket="media", Key=key, Body=body, Metadata={"key": quote(key)})
    client.put_object(Bucket="exports", Key="empty", Body=b"")
    client.put_object(
        Bucket="exports", Key="dressed", Body=b"\0\r\n\xff" * 100, ContentType='text/plain; charset="utf-8"',
        CacheControl="max-age=60", ContentDisposition='attachment; filename="a \\ b.txt"', ContentLanguage="de",
        ContentEncoding="identity", Metadata={"under_score.dot": "x: y:", "quoted": '"\\'}, Tagging="a%20b=c%2Fd&of=x",
    )  # fmt: skip
    client.put_object(Bucket="exports", Key="large", Body=os.urandom(11 * MEBIBYTE), ContentType="video/mp4")
    for number in range(many):
        client.put_object(Bucket="media", Key=f"many/{number}", Body=str(number).encode())
    return shown(client, "media", "exports")


def spoil(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def check_sums(page: Path, taken: Path) -> None:
    """Sums of what is there, as the dump writes them."""
    for folder, found in ((page, "objects [0-9]*"), (taken, "declared buckets/*/*/sums")):
        subprocess.run(
            ["/bin/sh", "-c", f"sha256sum {found} | sed 's|  \\([o0-9]\\)|  ./\\1|' >sums"], cwd=folder, check=True
        )


def test_what_was_taken_comes_back(store: Store, part: Part, root: Path) -> None:
    kept = fill(store, many=50)
    taken = part.take()
    pages = sorted(page.name for page in (taken / "buckets" / "media").iterdir())
    assert pages == ["000001", "000002", "000003", "000004"]
    assert part.drill(), part.says("drill") + part.says("dump")
    assert f"restored: 2 buckets, {len(kept)} objects\n" in part.says("drill")

    store.empty("media", "exports")
    instance = Instance(root / "second", store, PLAN, restoring=True)
    instance.settle(part.kept)
    assert shown(store.client(), "media", "exports") == kept
    assert not (instance.folder / "set").exists()


def test_what_is_broken_is_found(store: Store, part: Part) -> None:
    store.client().put_object(Bucket="media", Key="key", Body=b"content", Metadata={"a": "b"})
    taken = part.take()
    page = taken / "buckets" / "media" / "000001"

    spoil(page / "1")
    assert not part.drill()
    assert "it has not what was backed up: media: objects can not be stored\n" in part.says("drill")
    spoil(page / "sums")
    assert not part.drill()
    assert "it has not" not in part.says("drill"), "no server is given what is known to be broken"
    spoil(page / "1")
    written = (page / "objects").read_text()
    (page / "objects").write_text(written.replace("x-amz-meta-a: b", "X-AMZ-META-A: b"))
    check_sums(page, taken)
    assert not part.drill()
    assert "it has not what was backed up: media: ./objects: FAILED\n" in part.says("drill")
    (page / "objects").write_text(written)
    check_sums(page, taken)
    assert part.drill(), part.says("drill")


def test_what_changes_meanwhile_is_taken_as_it_was_read(store: Store, part: Part) -> None:
    client = store.client()
    for key in ("changed", "gone", "stays"):
        client.put_object(Bucket="media", Key=key, Body=b"before")
    (part.root / "hold").touch()
    (part.root / "spoil").touch()
    with part.process("dump"):
        await_((part.root / "held").exists, lambda: part.says("dump"))
        client.delete_object(Bucket="media", Key="gone")
        client.put_object(Bucket="media", Key="changed", Body=b"after")
        (part.root / "hold").unlink()
        part.await_taken()
    page = part.carry() / "buckets" / "media" / "000001"
    keys = dict(line.split("\tkey: ") for line in (page / "objects").read_text().splitlines() if "\tkey: " in line)
    assert {key: (page / number).read_bytes() for number, key in keys.items()} == {
        "changed": b"after",
        "stays": b"before",
    }
    assert part.says("dump").count("an object has changed meanwhile") == 1, "what differs from its ETag is read again"
    assert part.drill(), part.says("drill")


def test_what_has_begun_goes_on_after_a_kill(store: Store, part: Part, root: Path) -> None:
    kept = fill(store, many=60)
    part.take()
    store.empty("media", "exports")
    client = store.client()
    instance = Instance(root / "second", store, PLAN, restoring=True)
    with instance.process():
        await_(lambda: fetch(instance.folder, part.kept), instance.says)
        await_(lambda: len(listed(client, "media")) > 25, instance.says)
    assert not instance.applied
    late = "ü/%2F"
    assert late not in listed(client, "media"), "what comes last is not there yet"
    client.put_object(Bucket="media", Key=late, Body=b"newer")
    instance.settle()
    found = shown(client, "media", "exports")
    assert found.pop(("media", late))["body"] == b"newer", "what came meanwhile is newer than any backup"
    del kept["media", late]
    assert found == kept


def listed(client: Any, bucket: str) -> list[str]:
    try:
        return [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket).get("Contents", ())]
    except client.exceptions.NoSuchBucket:
        return []


def test_what_there_is_is_left_alone(store: Store, part: Part, root: Path) -> None:
    kept = fill(store)
    part.take()
    store.empty("media", "exports")
    client = store.client()
    client.create_bucket(Bucket="media")
    client.put_object(Bucket="media", Key="own", Body=b"own")
    fewer = plan_of(spec_of({"name": "media"}, {"name": "new"}), "api")
    instance = Instance(root / "second", store, fewer, restoring=True)
    instance.settle(part.kept)
    assert listed(client, "media") == ["own"]
    assert listed(client, "new") == []
    assert "restore: media: not empty; it is left alone\n" in instance.says()
    assert "restore: exports: not declared; what the backup has of it is not restored\n" in instance.says()

    again = Instance(root / "third", store, PLAN, restoring=True)
    again.settle(part.kept)
    found = shown(client, "exports")
    assert found == {name: one for name, one in kept.items() if name[0] == "exports"}
    (again.root / "tmp" / "applied").unlink()
    client.delete_object(Bucket="exports", Key="empty")
    again.settle()
    assert "empty" not in listed(client, "exports"), "who has begun begins no second time"


def test_an_upload_in_parts_that_was_not_ended_leaves_nothing(store: Store, part: Part, root: Path) -> None:
    client = store.client()
    content = os.urandom(7 * MEBIBYTE)
    client.put_object(Bucket="media", Key="large one", Body=content, Metadata={"a": "b"})
    taken = part.take()
    store.empty("media", "exports")
    client.create_bucket(Bucket="media")
    begun = client.create_multipart_upload(Bucket="media", Key="large one")["UploadId"]
    (taken / "buckets" / "media" / "begun").write_text(f"media/large%20one?uploadId={begun}\n")
    Instance(root / "second", store, PLAN, restoring=True).settle(part.kept)
    answer = client.get_object(Bucket="media", Key="large one")
    assert answer["Metadata"] == {"a": "b"}
    assert hashlib.sha256(answer["Body"].read()).digest() == hashlib.sha256(content).digest()
    assert not client.list_multipart_uploads(Bucket="media").get("Uploads")


def test_a_new_store_without_a_backup_is_not_ready(store: Store, part: Part, root: Path) -> None:
    store.empty("media", "exports")
    instance = Instance(root / "second", store, PLAN, restoring=True)
    with instance.process():
        await_((instance.folder / "want" / "set").exists, instance.says)
        (instance.folder / "got" / "set.missing").touch()
        await_(lambda: "the store has no such backup" in instance.says(), instance.says)
        assert not instance.applied


@pytest.mark.parametrize("store", ["versitygw"], indirect=True)
def test_who_takes_backups_reads_and_changes_nothing(store: Store, part: Part) -> None:
    from botocore.exceptions import ClientError

    keeper, taker = store.client(), store.client(BACKUP)
    keeper.put_object(Bucket="media", Key="key", Body=b"content")
    keeper.create_bucket(Bucket="others")
    assert taker.get_object(Bucket="media", Key="key")["Body"].read() == b"content"
    own = {"Bucket": "media", "Key": "key"}
    refused = (
        (taker.put_object, {**own, "Body": b"other"}),
        (taker.delete_object, own),
        (taker.list_objects_v2, {"Bucket": "others"}),
        (taker.create_multipart_upload, own),
        (taker.list_object_versions, {"Bucket": "media"}),
        (taker.delete_bucket, {"Bucket": "media"}),
        (taker.create_bucket, {"Bucket": "mine"}),
        (taker.put_object_tagging, {**own, "Tagging": {"TagSet": []}}),
    )
    for ask, words in refused:
        with pytest.raises(ClientError) as caught:
            ask(**words)
        assert caught.value.response["Error"]["Code"] == "AccessDenied", ask


@pytest.mark.parametrize("store", ["versitygw"], indirect=True)
def test_a_key_that_no_list_can_name_is_said(store: Store, part: Part) -> None:
    for key in ("bell\x07", "plain"):
        store.client().put_object(Bucket="media", Key=key, Body=b"content")
    part.take()
    assert part.says("dump") == "dump: media: bell%EF%BF%BD: no list can name it as it is; it is not in the backup\n"
    assert part.drill(), part.says("drill")
