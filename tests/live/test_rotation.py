"""Every key, certificate and password is made anew, the root last of all: nobody meets a certificate that they don't
trust meanwhile, the old ones are refused in the end, and nothing written is lost.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis
from ruamel.yaml import YAML

from tests.live import clients
from tests.live.consumer import Consumer
from tests.live.environment import HOST, Live
from tests.live.failing import APP, place
from tests.live.writers import Tally, Writing
from tests.live.written import Cache, DemoStore, Gateway, Postgres, Queue, prepare, stored

Changes = dict[str, str | None]
Refusals = dict[tuple[str, str], list[str]]
"""Why each listener of a service refuses each kind of what is old; empty where it accepts."""
STORES = {"postgres": Postgres, "cache": Cache, "queue": Queue}
LISTENERS: dict[str, list[Changes]] = {
    "postgres": [{}],
    "cache": [{}],
    "queue": [{"HOST": f"queue-{n}", "PORT": port, "SENTINELS": None} for n in range(3) for port in ("6379", "26379")],
}
"""Changes to an app's settings by which it asks each server of a service, Sentinels too."""
STEPS: tuple[dict[str, Any], ...] = (
    {"certificates": {"roots": [1, 2]}},
    {"certificates": {"roots": [1, 2], "issuer": 2}, "generation": 2},
    {"certificates": {"roots": [2]}, "generation": 2},
)
"""Settings of the environment, an `up` after each: both roots are trusted, the other one issues, the first one goes."""
OLD = {
    "password": (("PASSWORD",), "password authentication failed|invalid username-password pair"),
    "certificate": (("CERT", "KEY"), "alert unknown ca"),
    "authority": (("CA",), "certificate verify failed"),
}
"""What is old, the settings that name its files, and how it is refused."""
ASKED = [(service, part) for service in STORES for part in OLD if (service, part) != ("postgres", "password")]
"""What each service asks for. The pooler of a single PostgreSQL knows its clients by their certificates."""
TRIES = 20
"""A server hangs up once it has said why; a client that is writing at that moment never reads it."""
NAMES = ("/access_key_id", "/buckets.tsv")
"""Files that say who may do what, and hold no secret."""
BACKUP_KEY = "pki-backup-key"
FILES = {"PASSWORD": "password", "CERT": "tls.crt", "KEY": "tls.key", "CA": "ca.crt"}
SECRETS = ("run/groundwork", "run/secrets")


@dataclass(frozen=True)
class Rotation:
    """What was before, and what writers saw meanwhile."""

    folder: Path
    """Every file that the app received, and `ca.crt` of clients outside."""
    files: dict[str, bytes]
    passwords: dict[str, str]
    refusals: list[Refusals]
    """After each step but the last."""
    tallies: dict[str, Tally]
    there: dict[str, set[str]]
    """By service, what was stored afterwards."""


@pytest.fixture(scope="module")
def rotation(live: Live, tmp_path_factory: pytest.TempPathFactory) -> Rotation:
    """The environment brought to its next generation and its next root under load."""
    folder = tmp_path_factory.mktemp("old")
    app = live.process(*APP)
    shutil.copytree(app.root / "run/groundwork", folder, dirs_exist_ok=True)
    shutil.copy(live.ca_file, folder / "ca.crt")
    files, passwords = secret_files(live), live.secrets()
    with Consumer(app.pid) as inside:
        for store in STORES.values():
            inside.call(prepare, store)
    assert not any(map(any, refused(live, folder).values())), "not even now accepted"
    refusals = []
    with ExitStack() as stack:
        writing = {name: stack.enter_context(Writing(place(live), store, 1)) for name, store in STORES.items()}
        writing["gateway"] = stack.enter_context(Writing(None, Gateway(HOST, live.port, None), 1))
        for step in STEPS:
            configure(live, step)
            live.up()
            if step is not STEPS[-1]:
                refusals.append(refused(live, folder))
        for writers in writing.values():
            writers.await_more(20)
    with Consumer(live.process(*APP).pid) as inside:
        there = {name: inside.call(stored, store) for name, store in [*STORES.items(), ("gateway", DemoStore)]}
    return Rotation(folder, files, passwords, refusals, {name: w.tally for name, w in writing.items()}, there)


@pytest.fixture(scope="module")
def app(live: Live, rotation: Rotation) -> Iterator[Consumer]:
    """The place of the app as it is afterwards."""
    with Consumer(live.process(*APP).pid) as app:
        yield app


@pytest.mark.parametrize("service", [*STORES, "gateway"])
def test_the_service_is_back(rotation: Rotation, service: str, record_property: Callable[[str, object], None]) -> None:
    tally, there = rotation.tallies[service], rotation.there[service]
    if service == "cache":
        record_property("note", f"{tally.gap:.1f} s without service, kept in memory alone")
    else:
        record_property("note", tally.figure(there))
        assert tally.lost(there) == 0


@pytest.mark.parametrize("service", STORES)
def test_certificates_of_both_roots_are_accepted_meanwhile(rotation: Rotation, service: str) -> None:
    trusted, issued = rotation.refusals
    assert not any(any(why) for (asked, _), why in trusted.items() if asked == service)
    assert not any(issued[service, "certificate"])


@pytest.mark.parametrize("service", [*STORES, "gateway"])
def test_no_writer_met_a_certificate_that_it_does_not_trust(rotation: Rotation, service: str) -> None:
    met = [said for said in rotation.tallies[service].failed if re.search("certificate verify failed|unknown ca", said)]
    assert not met


@pytest.mark.parametrize(("service", "part"), ASKED)
def test_what_is_old_is_refused(rotation: Rotation, app: Consumer, service: str, part: str) -> None:
    for listener in LISTENERS[service]:
        assert not app.call(login, service, listener)
        for _ in range(TRIES):
            refusal = app.call(login, service, listener | old(rotation.folder, service, part))
            assert refusal, f"{listener}: accepted"
            if re.search(OLD[part][1], refusal):
                break
        else:
            pytest.fail(f"{listener}: {refusal}")


def test_clients_outside_trust_the_new_authority_alone(live: Live, rotation: Rotation) -> None:
    with clients.gateway(HOST, live.port, str(live.ca_file)) as client:
        assert client.get("/ready").status_code == httpx.codes.OK
    with (
        clients.gateway(HOST, live.port, str(rotation.folder / "ca.crt")) as client,
        pytest.raises(httpx.ConnectError, match="certificate verify failed"),
    ):
        client.get("/ready")


def test_every_secret_is_another_one(live: Live, rotation: Rotation) -> None:
    files, passwords = secret_files(live), live.secrets()
    assert files.keys() == rotation.files.keys()
    assert passwords.keys() == rotation.passwords.keys()
    assert files
    assert passwords
    same = [name for name, content in files.items() if content == rotation.files[name] and not name.endswith(NAMES)]
    same += [name for name, password in passwords.items() if password == rotation.passwords[name]]
    assert same == [BACKUP_KEY], "backups that there are can be read with no other"


def login(service: str, changes: Changes) -> str:
    """Why an app with these changes to its settings is refused; empty where it is served. Runs inside."""
    try:
        if service == "postgres":
            clients.postgres(service, **changes).close()
        else:
            clients.redis_server(service, **changes).ping()
    except (psycopg.Error, redis.RedisError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def refused(live: Live, folder: Path) -> Refusals:
    """What becomes of each thing that is old."""
    with Consumer(live.process(*APP).pid) as inside:
        return {
            (service, part): [
                inside.call(login, service, listener | old(folder, service, part)) for listener in LISTENERS[service]
            ]
            for service, part in ASKED
        }


def configure(live: Live, settings: dict[str, Any]) -> None:
    """Give the environment these settings besides those that it has."""
    path = live.checkout.root / f"Pulumi.{live.name}.yaml"
    content: dict[str, Any] = YAML(typ="safe").load(path)
    content["config"]["groundwork:environment"] |= settings
    path.write_text(json.dumps(content), encoding="utf-8")


def old(folder: Path, service: str, part: str) -> Changes:
    """Settings that name the old files."""
    return {f"{setting}_FILE": str(folder / service / FILES[setting]) for setting in OLD[part][0]}


def secret_files(live: Live) -> dict[str, bytes]:
    """Content of every secret file of every process, by its place."""
    return {
        f"{process.place}: {path.relative_to(process.root)}": path.read_bytes()
        for process in live.processes()
        for folder in SECRETS
        for path in sorted((process.root / folder).rglob("*"))
        if path.is_file()
    }
