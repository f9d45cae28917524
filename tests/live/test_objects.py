"""An object store used as its consumers do: what they may and may not, what becomes too old, and what a kill leaves."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlsplit

import certifi
import httpx
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.live import clients
from tests.live.consumer import Consumer
from tests.live.environment import DOCKER, NODE, Live, Record
from tests.live.failing import MANY, place
from tests.live.writers import Writing
from toolchain.waiting import wait_until

TARGETS = (DOCKER, NODE)
SHARED, KEPT, PASSING, OTHERS = "shared", "kept", "passing", "others"
PART = 5 * 2**20
AGE_SECONDS = 20
LATE_SECONDS = 30
SERVER = ("objects-0", "versitygw")
STRANGE_KEYS = ("a b/c&d", "<\"'>", "ü/%2F", "100%/+", "deep/er/and/deeper")
"""Names that are written otherwise in XML, in addresses and on disk."""


class Stored:
    """Objects in the store, each a value."""

    def __init__(self) -> None:
        self._client = clients.objects("objects")

    def write(self, value: str) -> None:
        """Store; the server answers once it has it."""
        self._client.put_object(Bucket=SHARED, Key=f"acknowledged/{value}", Body=value.encode())

    def stored(self) -> set[str]:
        """Every value that is listed and whose object can be read."""
        values = set()
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=SHARED, Prefix="acknowledged/"):
            for entry in page.get("Contents", ()):
                values.add(self._client.get_object(Bucket=SHARED, Key=entry["Key"])["Body"].read().decode())
        return values


@pytest.fixture(scope="module")
def api(live: Live) -> Iterator[Consumer]:
    with Consumer(live.process("api-0", "app").pid) as consumer:
        yield consumer


@pytest.fixture(scope="module")
def worker(live: Live) -> Iterator[Consumer]:
    with Consumer(live.process("worker-0", "app").pid) as consumer:
        yield consumer


@pytest.mark.parametrize("service", ["objects"])
def test_an_app_stores_and_finds_what_it_stored(api: Consumer, service: str) -> None:
    assert api.call(round_trips, uuid.uuid4().hex) == []


@pytest.mark.parametrize("service", ["objects"])
def test_an_app_stores_what_is_large_in_parts(api: Consumer, service: str) -> None:
    stored, read = api.call(in_parts, uuid.uuid4().hex)
    assert stored == read


@pytest.mark.parametrize("service", ["objects"])
def test_services_share_what_is_for_both(api: Consumer, worker: Consumer, service: str) -> None:
    word = uuid.uuid4().hex
    api.call(put, SHARED, word, b"from api")
    assert worker.call(get, SHARED, word) == b"from api"


@pytest.mark.parametrize("service", ["objects"])
def test_a_service_has_no_rights_but_its_own(api: Consumer, worker: Consumer, service: str) -> None:
    """The control is that its owner reads afterwards what nobody else could read, write or delete."""
    word = uuid.uuid4().hex
    worker.call(put, OTHERS, word, b"of worker")
    found = api.call(trespasses, word)
    assert {what: code for what, code in found.items() if code not in ("AccessDenied", "403")} == {}
    assert worker.call(get, OTHERS, word) == b"of worker"


@pytest.mark.parametrize("service", ["objects"])
def test_whoever_lacks_something_is_refused(api: Consumer, service: str) -> None:
    found = api.call(refusals)
    assert found.pop("root") == "SSLError"
    assert found.pop("TLS") == "400"
    assert found == {
        "signature": "AccessDenied",
        "secret": "SignatureDoesNotMatch",
        "account": "InvalidAccessKeyId",
    }


@pytest.mark.parametrize("service", ["objects"])
def test_no_key_leads_out_of_a_bucket(api: Consumer, worker: Consumer, service: str) -> None:
    word = uuid.uuid4().hex
    worker.call(put, OTHERS, word, b"of worker")
    assert set(api.call(escapes, word)) <= {"400", "AccessDenied", "NoSuchKey"}


@pytest.mark.parametrize("service", ["objects"])
def test_what_is_too_old_is_deleted_and_nothing_else(api: Consumer, service: str) -> None:
    """The control is an object of the same age in a bucket that keeps everything."""
    word = uuid.uuid4().hex
    keys = [f"{word}/{name}" for name in STRANGE_KEYS]
    for key in keys:
        api.call(put, PASSING, key, b"passing")
        api.call(put, SHARED, key, b"staying")
    young = f"{word}/young"
    end = time.monotonic() + AGE_SECONDS + LATE_SECONDS
    while (there := api.call(listed, PASSING, word)) & set(keys):
        assert time.monotonic() < end, there
        api.call(put, PASSING, young, b"young")
        time.sleep(1)
    assert young in there
    assert api.call(listed, SHARED, word) == set(keys)


@pytest.mark.parametrize("service", ["objects"])
def test_older_versions_go_in_time_and_the_latest_stays(api: Consumer, service: str) -> None:
    word = uuid.uuid4().hex
    for content in (b"first", b"second", b"latest"):
        api.call(put, KEPT, word, content)
    assert api.call(versions, word) == 3
    wait_until("older versions go", AGE_SECONDS + LATE_SECONDS, lambda: api.call(versions, word) == 1, str)
    assert api.call(get, KEPT, word) == b"latest"


@pytest.mark.parametrize("service", ["objects"])
def test_a_killed_server_has_everything_that_it_acknowledged(
    live: Live, api: Consumer, service: str, record_property: Record
) -> None:
    with Writing(place(live), Stored) as writing:
        writing.await_more(MANY // 4)
        live.process(*SERVER).kill()
        writing.await_more(MANY // 4)
    found = api.call(all_stored)
    record_property("note", writing.tally.figure(found))
    assert writing.tally.lost(found) == 0


def all_stored() -> set[str]:
    """Every value of the writers."""
    return Stored().stored()


def put(bucket: str, key: str, content: bytes) -> None:
    """Store one object."""
    clients.objects("objects").put_object(Bucket=bucket, Key=key, Body=content)


def get(bucket: str, key: str) -> bytes:
    """What is in one object."""
    found: bytes = clients.objects("objects").get_object(Bucket=bucket, Key=key)["Body"].read()
    return found


def listed(bucket: str, prefix: str) -> set[str]:
    """Every key that begins so."""
    pages = clients.objects("objects").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"] for page in pages for entry in page.get("Contents", ())}


def versions(key: str) -> int:
    """How many versions of an object there are."""
    found = clients.objects("objects").list_object_versions(Bucket=KEPT, Prefix=key)
    return len(found.get("Versions", ()))


def round_trips(word: str) -> list[str]:
    """Keys that did not come back as they were stored, or that stayed after they were deleted."""
    client, wrong = clients.objects("objects"), []
    settings = clients.settings_of("objects")
    assert settings["BUCKET"] == SHARED
    assert settings["BUCKETS"].split(",") == [SHARED, KEPT, PASSING]
    for name in STRANGE_KEYS:
        key, body = f"{word}/{name}", os.urandom(1000)
        client.put_object(Bucket=SHARED, Key=key, Body=body, Metadata={"under_score.dot": word})
        answer = client.get_object(Bucket=SHARED, Key=key)
        same = answer["Body"].read() == body and answer["Metadata"] == {"under_score.dot": word}
        known = key in listed(SHARED, word)
        client.delete_object(Bucket=SHARED, Key=key)
        if not (same and known) or key in listed(SHARED, word):
            wrong.append(key)
    return wrong


def in_parts(key: str) -> tuple[str, str]:
    """Digest of what was stored in parts, and of what is there."""
    client, content = clients.objects("objects"), os.urandom(2 * PART + 1)
    upload = client.create_multipart_upload(Bucket=SHARED, Key=key)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(content), PART), start=1):
        one = {"Bucket": SHARED, "Key": key, "UploadId": upload, "PartNumber": number}
        etag = client.upload_part(**one, Body=content[start : start + PART])["ETag"]
        parts.append({"ETag": etag, "PartNumber": number})
    client.complete_multipart_upload(Bucket=SHARED, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    return hashlib.sha256(content).hexdigest(), hashlib.sha256(get(SHARED, key)).hexdigest()


def trespasses(key: str) -> dict[str, str]:
    """What the server says to each thing that a service may not do."""
    client = clients.objects("objects")
    other, own = {"Bucket": OTHERS, "Key": key}, {"Bucket": SHARED}
    found = {
        "list": code(client.list_objects_v2, Bucket=OTHERS),
        "head": code(client.head_bucket, Bucket=OTHERS),
        "get": code(client.get_object, **other),
        "put": code(client.put_object, **other, Body=b"of api"),
        "delete": code(client.delete_object, **other),
        "copy": code(client.copy_object, **own, Key=key, CopySource=other),
        "create bucket": code(client.create_bucket, Bucket=f"made-{key}"),
        "delete bucket": code(client.delete_bucket, **own),
        "policy": code(client.put_bucket_policy, **own, Policy="{}"),
        "versioning": code(client.put_bucket_versioning, **own, VersioningConfiguration={"Status": "Suspended"}),
    }
    assert client.list_buckets()["Buckets"] == []
    return found


def refusals() -> dict[str, str]:
    """What whoever lacks one thing is refused with."""
    endpoint = clients.settings_of("objects")["ENDPOINT"]
    with TemporaryDirectory() as folder:
        wrong = Path(folder) / "wrong"
        wrong.write_text("wrong")
        without = {
            "secret": clients.objects("objects", SECRET_ACCESS_KEY_FILE=str(wrong)),
            "account": clients.objects("objects", ACCESS_KEY_ID_FILE=str(wrong)),
            "root": clients.objects("objects", CA_FILE=certifi.where()),
        }
        found = {what: code(client.list_objects_v2, Bucket=SHARED) for what, client in without.items()}
    return {**found, "signature": anonymous(f"{endpoint}/{SHARED}"), "TLS": in_plaintext(endpoint)}


def escapes(key: str) -> list[str]:
    """What requests for an object of another bucket by way of one's own are refused with."""
    client, endpoint = clients.objects("objects"), clients.settings_of("objects")["ENDPOINT"]
    ways = (f"../{OTHERS}/{key}", f"x/../../{OTHERS}/{key}", f"..%2f{OTHERS}/{key}", f"/../{OTHERS}/{key}")
    signed = [code(client.get_object, Bucket=SHARED, Key=way) for way in ways]
    return [*signed, *(anonymous(f"{endpoint}/{SHARED}/{quote(way, safe='%')}") for way in ways)]


def anonymous(url: str) -> str:
    """What a request without a signature is refused with; empty where it is served."""
    context = ssl.create_default_context(cafile=clients.settings_of("objects")["CA_FILE"])
    answer = httpx.get(url, verify=context)
    found = re.search(r"<Code>(\w+)</Code>", answer.text)
    return "" if answer.is_success else found[1] if found else str(answer.status_code)


def in_plaintext(endpoint: str) -> str:
    """The status that a request without TLS is answered with."""
    address = urlsplit(endpoint)
    with socket.create_connection((address.hostname, address.port or 443), clients.TIMEOUT_SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: objects\r\n\r\n")
        return connection.recv(100).decode().split()[1]


def code(ask: Callable[..., Any], **arguments: Any) -> str:
    """What a request is refused with; empty where it is served."""
    try:
        ask(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    except BotoCoreError as error:
        return type(error).__name__
    return ""
