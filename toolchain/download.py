"""Download official releases, each file checked against the SHA-256 its project publishes.

A network without these hosts costs seconds: a host that does not answer within the limit, or refuses, is not asked
again by the same `Downloader`. It deliberately does not retry and does not accept a file without a published digest.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from toolchain.errors import ToolchainError
from toolchain.tool import Asset, Platform, Tool

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
SILENCE_SECONDS = 30.0
CHUNK = 1 << 18

Note = Callable[[str], None]


class UnavailableError(Exception):
    """The release cannot be had from here; building is the next choice."""


class ChecksumError(ToolchainError):
    """The file is not the one its project published; nothing of it was kept."""


class Downloader:
    """Fetches releases for one run and remembers which hosts are out of reach."""

    def __init__(self, platform: Platform, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.platform = platform
        self.answer_seconds = answer_seconds
        self.unreachable: dict[str, str] = {}

    def fetch(self, tool: Tool, destination: Path, note: Note) -> None:
        """Put all binaries of the tool's release into `destination`.

        Raises UnavailableError when the release cannot be had, ChecksumError when it must not be used.
        """
        if self.platform.system not in tool.release.systems:
            raise UnavailableError(f"no official release for {self.platform.system}")
        for asset in tool.release.assets:
            self._asset(asset, tool.version, destination, note)

    def ruled_out(self, tool: Tool) -> str | None:
        """Why asking for this tool is pointless: one of its hosts was out of reach before in this run."""
        addresses = [url for asset in tool.release.assets for url in (asset.checksums, asset.url)]
        return next((self.unreachable[h] for h in map(_host, addresses) if h in self.unreachable), None)

    def _asset(self, asset: Asset, version: str, destination: Path, note: Note) -> None:
        url = self.platform.fill(asset.url, version)
        file_name = PurePosixPath(urlsplit(url).path).name
        with self._open(self.platform.fill(asset.checksums, version)) as answer:
            published = answer.read().decode("utf-8")
        expected = published_digest(published, file_name)
        if expected is None:
            raise UnavailableError(f"{file_name}: no SHA-256 is published for it")
        file = destination / f".{file_name}"
        with self._open(url) as answer:
            actual = save(answer, file, lambda size: note(f"{file_name}, {size >> 20} MB"))
        if actual != expected:
            file.unlink()
            raise ChecksumError(
                f"{url}: SHA-256 is {actual}, published is {expected}. The file was deleted. Run again to download "
                "it anew, or set GROUNDWORK_TOOLCHAIN=build to build from pinned modules instead"
            )
        unpack(file, asset.binaries, destination)

    def _open(self, url: str) -> IO[bytes]:
        """Open an address within the time limits; every failure but "not found" rules the host out for this run."""
        host = _host(url)
        if host in self.unreachable:
            raise UnavailableError(self.unreachable[host])
        try:
            return self._within_limit(url)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                self.unreachable[host] = f"{host}: answered {error.code} {error.reason}"
            raise UnavailableError(f"{url}: {error.code} {error.reason}") from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            self.unreachable[host] = f"{host}: {reason}"
            raise UnavailableError(self.unreachable[host]) from error

    def _within_limit(self, url: str) -> IO[bytes]:
        """Name look-up has no time limit of its own, hence the thread."""
        result: list[Any] = []

        def attempt() -> None:
            try:
                self._probe(url)
                request = urllib.request.Request(url, headers={"User-Agent": "groundwork-toolchain"})
                result.append(urllib.request.urlopen(request, timeout=SILENCE_SECONDS))
            except (OSError, HTTPException) as error:
                result.append(error)

        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        thread.join(self.answer_seconds)
        answer = result[0] if result else TimeoutError(f"no answer within {self.answer_seconds:.0f} s")
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]  # urlopen's type depends on the scheme

    def _probe(self, url: str) -> None:
        """Connect once within the short limit; behind a proxy the proxy connects, so there is nothing to probe."""
        parts = urlsplit(url)
        if parts.scheme not in urllib.request.getproxies() and parts.hostname:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            socket.create_connection((parts.hostname, port), CONNECT_SECONDS).close()


def _host(url: str) -> str:
    return urlsplit(url).netloc


def published_digest(document: str, file_name: str) -> str | None:
    """The SHA-256 of a file in a sums file, in a file of one bare digest, or in a release's description as JSON."""
    if document.lstrip().startswith("{"):
        for asset in json.loads(document).get("assets", []):
            kind, _, value = (asset.get("digest") or "").partition(":")
            if asset.get("name") == file_name and kind == "sha256":
                return str(value)
        return None
    for line in document.splitlines():
        match = re.fullmatch(r"\s*([0-9a-fA-F]{64})(?:\s+\*?(?:\./)?(\S+))?\s*", line)
        if match and match.group(2) in (None, file_name):
            return match.group(1).lower()
    return None


def save(answer: IO[bytes], file: Path, on_size: Callable[[int], None]) -> str:
    """Write a stream to a file and return the SHA-256 of what was written."""
    digest, size = hashlib.sha256(), 0
    try:
        with file.open("wb") as output:
            while chunk := answer.read(CHUNK):
                output.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                on_size(size)
    except (OSError, HTTPException) as error:
        name = file.name.removeprefix(".")
        raise UnavailableError(f"{name}: connection lost after {size >> 20} MB: {error}") from error
    return digest.hexdigest()


def unpack(file: Path, binaries: tuple[str, ...], destination: Path) -> None:
    """Take the wanted binaries out of an archive by their names, or name the file itself; the archive is removed."""
    if not file.name.endswith(".tar.gz"):
        file.rename(destination / binaries[0])
    else:
        with tarfile.open(file) as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                if member.isfile() and name in binaries:
                    source = archive.extractfile(member)
                    assert source is not None
                    with (destination / name).open("wb") as output:
                        shutil.copyfileobj(source, output)
        file.unlink()
    for name in binaries:
        if not (destination / name).exists():
            raise UnavailableError(f"{file.name.removeprefix('.')}: holds no {name}")
        (destination / name).chmod(0o755)
