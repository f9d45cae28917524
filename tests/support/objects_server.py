"""S3 servers on free ports of this machine, by TLS: versitygw where it is installed, and moto, without rights."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from components.objects.access import BACKUP, KEEPER, render_accounts, render_curl_user
from tests.components.test_redis_server import write_certificate
from tests.support.nats_server import free_port
from toolchain.waiting import wait_until

REGION = "us-east-1"
"""In another one moto makes no bucket for who doesn't name it."""
KINDS = ("moto", "versitygw")
SECRETS = {KEEPER: "secret-of-keeper", BACKUP: "secret-of-backup", "api": "secret-of-api"}
_MOTO = DomainDispatcherApplication(create_backend_app)
SCRATCH = f"""#!{sys.executable}
import os, pathlib
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
application = DomainDispatcherApplication(create_backend_app)
make_server("unix://" + os.environ["VGW_PORT"], 0, application, threaded=True).serve_forever()
"""
"""Stands in for versitygw as the server of a drill."""


class Store:
    """A server, and clients of it."""

    def __init__(self, kind: str, root: Path, port: int) -> None:
        self.kind, self.root, self.address = kind, root, f"https://localhost:{port}"

    def client(self, account: str = KEEPER) -> Any:
        return boto3.client(
            "s3", endpoint_url=self.address, region_name=REGION, verify=str(self.root / "ca.crt"),
            aws_access_key_id=account, aws_secret_access_key=SECRETS[account],
            # versitygw leaves the end of other uploads unread, and the next request has its connection.
            config=Config(request_checksum_calculation="when_required"),
        )  # fmt: skip

    def curl_user(self, account: str) -> str:
        return render_curl_user(account, SECRETS[account])

    def empty(self, *buckets: str) -> None:
        """Delete everything in these buckets, and the buckets."""
        client = self.client()
        for bucket in buckets:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for entry in page.get("Contents", ()):
                    client.delete_object(Bucket=bucket, Key=entry["Key"])
            client.delete_bucket(Bucket=bucket)


def curl_signs() -> bool:
    """Whether curl signs requests without a body as S3 asks for: from 8.0 on."""
    said = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout
    return int(said.split()[1].partition(".")[0]) >= 8


@contextmanager
def serving(kind: str, root: Path) -> Iterator[Store]:
    """A server of one of `KINDS`; skips where it is not installed."""
    write_certificate(root)
    if kind == "moto":
        with _moto(root) as port:
            yield Store(kind, root, port)
        return
    if not shutil.which("versitygw") or not curl_signs():
        pytest.skip("not installed: versitygw, or a curl from 8.0 on")
    with _versitygw(root) as port:
        yield Store(kind, root, port)


@contextmanager
def _moto(root: Path) -> Iterator[int]:
    pair = (str(root / "tls.crt"), str(root / "tls.key"))
    server = make_server("127.0.0.1", 0, _unformed, threaded=True, ssl_context=pair)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        moto_api_backend.reset()


def _unformed(environ: dict[str, Any], respond: Any) -> Any:
    """moto, which takes for a form what curl says is one."""
    if environ.get("CONTENT_TYPE") == "application/x-www-form-urlencoded":
        del environ["CONTENT_TYPE"]
    return _MOTO(environ, respond)


@contextmanager
def _versitygw(root: Path) -> Iterator[int]:
    for folder in ("data", "versions", "accounts"):
        (root / folder).mkdir()
    (root / "accounts" / "users.json").write_text(render_accounts(SECRETS))
    port = free_port()
    words = (
        f"--port=127.0.0.1:{port}", f"--cert={root}/tls.crt", f"--key={root}/tls.key", f"--region={REGION}",
        f"--iam-dir={root}/accounts", "--disable-acl", "--keep-alive", "--quiet",
        "--access=root", "--secret=root-of-the-store",
    )  # fmt: skip
    with (root / "log").open("w") as log:
        command = ["versitygw", *words, "posix", f"--versioning-dir={root}/versions", str(root / "data")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until("versitygw", 20, lambda: _answers(port), (root / "log").read_text)
        yield port
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def shown(client: Any, *buckets: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Each object by bucket and key: what is in it, and what belongs to it."""
    found = {}
    for bucket in buckets:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", ()):
                found[bucket, entry["Key"]] = _object(client, bucket, entry["Key"])
    return found


def _object(client: Any, bucket: str, key: str) -> dict[str, Any]:
    answer = client.get_object(Bucket=bucket, Key=key)
    kept = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata")
    tags = client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] if answer.get("TagCount") else []
    named = {name: answer.get(name) for name in kept}
    return {"body": answer["Body"].read(), "tags": sorted(map(json.dumps, tags)), **named}
