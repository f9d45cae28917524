"""Downloads: only a file with the published SHA-256 is kept, and a closed network costs little."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from toolchain.download import ChecksumError, Downloader, UnavailableError, published_digest
from toolchain.tool import Asset, Platform, Release, Tool

LINUX = Platform("linux", "amd64")
PROGRAM = b"#!/bin/sh\necho sample\n"


class Site:
    """Serves files from memory on loopback and counts what was asked for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                body = site.files.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def tool(self, file: str, checksums: str = "/sums") -> Tool:
        asset = Asset(f"{self.address}/{file}", f"{self.address}{checksums}", ("sample",))
        return Tool("sample", "1.2.3", Release((asset,)), (), minutes=0)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.server.shutdown()
    site.server.server_close()


def archive(name: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        member = tarfile.TarInfo(name)
        member.size = len(PROGRAM)
        file.addfile(member, io.BytesIO(PROGRAM))
    return buffer.getvalue()


def sums(name: str, content: bytes) -> bytes:
    return f"{'0' * 64}  other\n{hashlib.sha256(content).hexdigest()}  {name}\n".encode()


def fetch(tool: Tool, folder: Path) -> None:
    Downloader(LINUX).fetch(tool, folder, lambda _: None)


def test_an_archive_with_the_published_digest_is_unpacked(site: Site, tmp_path: Path) -> None:
    content = archive("sample-v1.2.3/sample")
    site.files = {"/sample-1.2.3-amd64.tar.gz": content, "/sums": sums("sample-1.2.3-amd64.tar.gz", content)}

    fetch(site.tool("sample-{version}-{arch}.tar.gz"), tmp_path)

    assert (tmp_path / "sample").read_bytes() == PROGRAM
    assert (tmp_path / "sample").stat().st_mode & 0o777 == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["sample"]


def test_a_file_with_another_digest_is_refused_and_not_kept(site: Site, tmp_path: Path) -> None:
    site.files = {"/sample": PROGRAM + b"rm -rf /\n", "/sums": sums("sample", PROGRAM)}

    with pytest.raises(ChecksumError, match=r"SHA-256 is [0-9a-f]{64}, published is [0-9a-f]{64}.*run again|Run again"):
        fetch(site.tool("sample"), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_published_digest_is_not_even_downloaded(site: Site, tmp_path: Path) -> None:
    site.files = {"/sample": PROGRAM, "/sums": sums("other-file", PROGRAM)}

    with pytest.raises(UnavailableError, match="no SHA-256 is published"):
        fetch(site.tool("sample"), tmp_path)

    assert site.asked == ["/sums"]


def test_an_archive_without_the_binary_is_not_accepted(site: Site, tmp_path: Path) -> None:
    content = archive("README")
    site.files = {"/s.tar.gz": content, "/sums": sums("s.tar.gz", content)}

    with pytest.raises(UnavailableError, match="holds no sample"):
        fetch(site.tool("s.tar.gz"), tmp_path)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (f"{'a' * 64}\n", "a" * 64),
        (f"{'b' * 64} *file\n{'c' * 64}  ./sample\n", "c" * 64),
        (json.dumps({"assets": [{"name": "sample", "digest": f"sha256:{'d' * 64}"}]}), "d" * 64),
        (json.dumps({"assets": [{"name": "sample", "digest": None}]}), None),
        (f"{'e' * 40}  ./sample\n", None),
        (f"{'f' * 64}  sample.sig\n", None),
    ],
    ids=["bare digest", "sums file", "release description", "description without digest", "SHA-1", "another file"],
)
def test_digests_are_found_in_every_published_form(document: str, expected: str | None) -> None:
    assert published_digest(document, "sample") == expected


def test_a_host_out_of_reach_is_asked_once(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    tool = Tool("sample", "1", Release((Asset(f"{address}/file", f"{address}/sums", ("sample",)),)), (), minutes=0)
    downloader = Downloader(LINUX)
    assert downloader.ruled_out(tool) is None

    with pytest.raises(UnavailableError, match="refused"):
        downloader.fetch(tool, tmp_path, lambda _: None)

    assert "refused" in (downloader.ruled_out(tool) or "")


def test_a_missing_file_does_not_rule_its_host_out(site: Site, tmp_path: Path) -> None:
    downloader = Downloader(LINUX)

    with pytest.raises(UnavailableError, match="404"):
        downloader.fetch(site.tool("sample"), tmp_path, lambda _: None)

    assert downloader.ruled_out(site.tool("sample")) is None


def test_a_host_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tool = Tool("sample", "1", Release((Asset(f"{address}/file", f"{address}/sums", ("sample",)),)), (), minutes=0)
        started = time.monotonic()

        with pytest.raises(UnavailableError, match="no answer within"):
            Downloader(LINUX, answer_seconds=0.3).fetch(tool, tmp_path, lambda _: None)

        assert time.monotonic() - started < 5
