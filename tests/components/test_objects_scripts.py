"""The scripts of an instance, run for real: what they ask of the store, what they delete, what they measure.

`curl`, `versitygw` and `nginx` are stand-ins that note what they are asked; the shell is real.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from signal import Signals
from xml.sax.saxutils import escape

import pytest

from components.core import exporter
from components.objects import render
from components.objects.access import render_buckets
from components.objects.plan import ObjectsPlan
from tests.support.objects import files_of, plan_of, spec_of
from toolchain.waiting import wait_until

STAND_INS = {
    # Answers METHOD /PATH with the file METHOD_PATH, and says no where that holds an error. Notes what was asked.
    "curl": """query= body=
while [ $# -gt 1 ]; do
  case $1 in
  --request) method=$2 ;;
  --output) output=$2 ;;
  --data-urlencode) query="$query $2" ;;
  --data-binary) case $2 in @*) body=$(cat "${2#@}") ;; *) body=$2 ;; esac ;;
  esac
  shift
done
path=${1#https://localhost:7070/}
echo "$method $path$query $body" | tr '\\n' ' ' >>"$ROOT/asked" && echo >>"$ROOT/asked"
answer="$ROOT/answers/${method}_$path$query"
[ -e "$answer" ] || answer="$ROOT/answers/${method}_$path"
if [ -e "$answer" ]; then cat "$answer" >"$output"; else : >"$output"; fi
! grep -q '<Error>' "$output" || { echo "curl: (22) refused" >&2; exit 22; }
""",
    # After so many rounds whoever waits is told to stop.
    "sleep": 'echo >>"$ROOT/slept"; [ "$(wc -l <"$ROOT/slept")" -lt "$(cat "$ROOT/rounds")" ] || kill $PPID',
    "versitygw": 'echo "$@" "${#ROOT_SECRET_ACCESS_KEY}" "$VGW_PORT" >>"$ROOT/started"; exec /bin/sleep 1',
    "nginx": """trap 'echo reloaded >>"$ROOT/started"' HUP
echo "$@" >>"$ROOT/started"
for round in 1 2 3 4 5 6 7 8 9 10; do /bin/sleep 0.2; done
""",
}


class Instance:
    """The files and surroundings of one instance."""

    def __init__(self, root: Path, plan: ObjectsPlan) -> None:
        self.root = root
        for folder in ("etc", "kept", "tmp", "tls", "metrics", "data", "bin", "answers"):
            (root / folder).mkdir()
        places = {render.ETC: "etc", render.KEPT: "kept", "/run/groundwork/tls": "tls", exporter.METRICS: "metrics"}
        for name, text in files_of(plan).items():
            here = text.replace("tmp=/tmp", f"tmp={root}/tmp").replace("data=/var/tmp", f"data={root}/data")
            for place, folder in places.items():
                here = here.replace(place, f"{root}/{folder}")
            (root / "etc" / name).write_text(here)
        (root / "kept" / "buckets.tsv").write_text(render_buckets(plan.grants))
        (root / "kept" / "user.conf").write_text('user = "gw_buckets:secret"\n')
        for name in ("tls.crt", "tls.key"):
            (root / "tls" / name).write_text("first\n")
        for name, text in STAND_INS.items():
            (root / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / "bin" / name).chmod(0o755)
        (root / "rounds").write_text("1")

    def answers(self, request: str, text: str) -> None:
        (self.root / "answers" / request).write_text(text)

    def refuses(self, request: str, code: str) -> None:
        self.answers(request, f"<Error><Code>{code}</Code></Error>")

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": f"{self.root}/bin:/usr/bin:/bin", "ROOT": str(self.root)}

    def command(self, script: str, *arguments: str) -> list[str]:
        return ["/bin/sh", str(self.root / "etc" / script), *arguments]

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = self.command(script, *arguments)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60)

    def tend(self) -> tuple[list[str], str]:
        """One round of buckets.sh: what it asked, and what it said."""
        said = self.run("buckets.sh", "eu-central-1").stderr
        return (self.root / "asked").read_text().splitlines(), said

    @property
    def applied(self) -> bool:
        return (self.root / "tmp" / "applied").exists()

    @property
    def deleted(self) -> list[str]:
        asked = (self.root / "asked").read_text().splitlines()
        return [line.partition("</Quiet>")[2] for line in asked if line.startswith("POST")]


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path, plan_of(spec_of({"name": "media", "versioning": True}, {"name": "exports"}), "api"))


def aged(tmp_path: Path, **bucket: object) -> Instance:
    return Instance(tmp_path, plan_of(spec_of({"name": "media", **bucket}), "api"))


def ago(**before: float) -> str:
    return f"{datetime.now(UTC) - timedelta(**before):%Y-%m-%dT%H:%M:%S}.5Z"


class TestBuckets:
    def test_buckets_are_made_with_their_rights(self, instance: Instance) -> None:
        asked, said = instance.tend()
        assert said == ""
        assert instance.applied
        assert "PUT media" in [line.strip() for line in asked]
        (policy,) = [line for line in asked if line.startswith("PUT exports?policy=")]
        assert '"AWS":["api"]' in policy
        versioning = [line for line in asked if line.startswith("PUT") and "versioning" in line]
        assert [line.split()[1] for line in versioning] == ["media?versioning="]
        assert "<Status>Enabled</Status>" in versioning[0]

    def test_what_is_there_is_no_mistake(self, instance: Instance) -> None:
        instance.refuses("PUT_media", "BucketAlreadyOwnedByYou")
        instance.answers("GET_media?versioning=", "<V><Status>Enabled</Status></V>")
        asked, said = instance.tend()
        assert (said, instance.applied) == ("", True)
        assert not [line for line in asked if line.startswith("PUT media?versioning")]

    def test_versioning_is_turned_off_where_it_was_on(self, instance: Instance) -> None:
        instance.answers("GET_exports?versioning=", "<V><Status>Enabled</Status></V>")
        asked, _ = instance.tend()
        assert [line for line in asked if line.startswith("PUT exports?versioning=") and "Suspended" in line]

    def test_buckets_of_nobody_stay_and_nobody_may_use_them(self, instance: Instance) -> None:
        names = "".join(f"<Bucket><Name>{name}</Name></Bucket>" for name in ("media", "former", "exports"))
        instance.answers("GET_", f"<Buckets>{names}</Buckets>")
        asked, said = instance.tend()
        assert [line.strip() for line in asked if line.startswith("DELETE")] == ["DELETE former?policy="]
        assert said == "buckets: former: not declared; nobody may use it, and it stays with what is in it\n"
        assert instance.applied

    def test_a_refusal_is_said_and_the_others_are_made(self, instance: Instance) -> None:
        instance.refuses("PUT_media?policy=", "MalformedPolicy")
        asked, said = instance.tend()
        assert said == "buckets: media: policy: MalformedPolicy curl: (22) refused\n"
        assert not instance.applied, "and whoever waits for the buckets is not told that they are there"
        assert [line for line in asked if line.startswith("PUT exports?policy=")]


class TestAges:
    KEYS = ("old & <'\"> one", "young", "deep/er")

    def listing(self, *entries: tuple[str, str], more: str = "") -> str:
        found = "".join(
            f"<Contents><LastModified>{time}</LastModified><Key>{escape(key)}</Key><Size>1</Size></Contents>"
            for key, time in entries
        )
        return f"<R><Name>media</Name><NextContinuationToken>{more}</NextContinuationToken>{found}</R>"

    def test_objects_that_are_too_old_are_deleted(self, tmp_path: Path) -> None:
        instance = aged(tmp_path, lifecycle={"expire": "1h"})
        old, young, deep = self.KEYS
        first = self.listing((old, ago(minutes=61)), (young, ago(minutes=59)), more="old &amp; one")
        instance.answers("GET_media list-type=2", first)
        instance.answers("GET_media continuation-token=old & one list-type=2", self.listing((deep, ago(hours=9))))
        instance.tend()
        assert [text.strip() for text in instance.deleted] == [
            f"<Object><Key>{escape(old)}</Key></Object> </Delete>",
            f"<Object><Key>{deep}</Key></Object> </Delete>",
        ]

    def test_nothing_is_looked_for_where_nothing_gets_too_old(self, tmp_path: Path) -> None:
        asked, _ = aged(tmp_path).tend()
        assert not [line for line in asked if "list-type" in line or "versions" in line]

    def test_a_version_ages_from_when_it_was_replaced(self, tmp_path: Path) -> None:
        """`late` was replaced just now, however old it is; `early` long ago. The latest stays, whatever its id."""
        instance = aged(tmp_path, versioning=True, lifecycle={"noncurrent": "1h"})
        second = ago(hours=9)
        versions = (
            ("late", "3", "true", ago(minutes=1)),
            ("late", "2", "false", ago(hours=9)),
            ("early", "3", "true", ago(hours=8)),
            ("early", "1", "false", ago(hours=9)),
            ("only", "1", "true", ago(hours=9)),
            ("tied", "01", "true", second),
            ("tied", "null", "false", second),
        )
        found = "".join(
            f"<Version><LastModified>{time}</LastModified><IsLatest>{latest}</IsLatest><Key>{key}</Key>"
            f"<VersionId>{version}</VersionId></Version>"
            for key, version, latest, time in versions
        )
        marker = (
            f"<DeleteMarker><IsLatest>false</IsLatest><Key>early</Key><LastModified>{ago(hours=8.5)}</LastModified>"
        )
        instance.answers("GET_media versions=", f"<R>{marker}<VersionId>2</VersionId></DeleteMarker>{found}</R>")
        instance.tend()
        (text,) = instance.deleted
        wanted = [f"<Object><Key>early</Key><VersionId>{version}</VersionId></Object>" for version in (2, 1)]
        assert text.strip() == " ".join([*wanted, "</Delete>"])


FRONT = f"""#!{sys.executable}
import os, pathlib, signal, time
def told(*_):
    pathlib.Path(os.environ["ROOT"], "told").touch()
    raise SystemExit
signal.signal(signal.SIGQUIT, told)
pathlib.Path(os.environ["ROOT"], "started").touch()
while True:
    time.sleep(0.1)
"""
"""nginx as it is when nobody tells it to end. A shell that another one starts beside itself can't trap it."""


class TestServer:
    @pytest.mark.parametrize("signal", [Signals.SIGTERM, Signals.SIGQUIT])
    def test_the_front_ends_when_it_is_told(self, instance: Instance, signal: Signals) -> None:
        """By whichever signal an image stops with: else it is killed at the end of its time."""
        (instance.root / "bin" / "nginx").write_text(FRONT)
        (instance.root / "bin" / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.1\n")
        front = subprocess.Popen(instance.command("front.sh"), env=instance.environment)
        wait_until("nginx", 10, (instance.root / "started").exists, str)
        front.send_signal(signal)
        assert front.wait(10) in (0, 143)
        assert (instance.root / "told").exists()

    def test_it_starts_with_an_account_that_nobody_knows_and_measures(self, instance: Instance) -> None:
        data = instance.root / "data"
        for file in ("buckets/media/a/b", "buckets/media/c", "buckets/media/.sgwtmp/part", "versions/media/1"):
            (data / file).parent.mkdir(parents=True, exist_ok=True)
            (data / file).write_bytes(b"x" * 5000)
        assert instance.run("start.sh").returncode == 0
        assert (instance.root / "started").read_text() == f"posix {data}/buckets 64 {render.SOCKET}\n"
        metrics = (instance.root / "metrics" / "objects.prom").read_text()
        values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
        assert values['objects_bucket_objects{bucket="media"}'] == "2"
        assert int(values['objects_bucket_bytes{bucket="media"}']) >= 20000
        assert 0 < int(values["objects_disk_free_bytes"]) <= int(values["objects_disk_size_bytes"])

    def test_a_renewed_certificate_is_taken_in(self, instance: Instance) -> None:
        (instance.root / "rounds").write_text("99")
        (instance.root / "bin" / "sleep").write_text('#!/bin/sh\n/bin/sleep 0.3; echo second >"$ROOT/tls/tls.crt"\n')
        assert instance.run("front.sh").returncode == 0
        started = (instance.root / "started").read_text().splitlines()
        assert started[1:] == ["reloaded"]
        assert "daemon off;" in started[0]
