"""A real redis-server, where one is installed, started with the rendered configuration and dialled."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.core.mounts import OWN
from components.redis import render
from tests.support.redis import files_of, plan_of

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")


def _uses() -> x509.KeyUsage:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    no = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=True, key_cert_sign=True, **no)


def write_certificate(folder: Path) -> None:
    """One self-signed pair that serves as authority, server and client."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        # Python from 3.13 on insists on both.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_uses(), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.crt").write_bytes(pem)
    (folder / "tls.crt").write_bytes(pem)
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@contextmanager
def server(folder: Path, role: str, replicas: int) -> Iterator[int]:
    """A server with the rendered configuration of `role`, on a free port; its password is the user's name."""
    plan = plan_of(role, "api", replicas=replicas)
    write_certificate(folder)
    passwords = {user.name: user.name for user in plan.users}
    (folder / "users.acl").write_text(render.render_acl(plan.users, passwords, of_sentinel=False))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
    text = files_of(plan)["redis.conf"].replace(OWN, str(folder)).replace(render.ACCESS, str(folder))
    text = text.replace(f"dir {render.DATA}\n", f"dir {folder}\n").replace("tls-port 6379", f"tls-port {port}")
    process = subprocess.Popen(["redis-server", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(text)
        process.stdin.close()
        log = []
        for line in process.stdout:
            log.append(line)
            if "Ready to accept connections" in line:
                break
        else:
            pytest.fail("".join(log))
        yield port
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(port: int, folder: Path, *commands: str, certificate: bool = True) -> list[str]:
    """First line of the reply to each command."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    if certificate:
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        assert connection.version() == "TLSv1.3"
        replies = connection.makefile("r")
        found = []
        for command in commands:
            connection.sendall(f"{command}\r\n".encode())
            line = replies.readline()
            if not line:
                raise ConnectionAbortedError("closed without an answer")
            found.append(line.strip())
        return found


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("role", ["cache", "queue", "session", "pubsub"])
def test_a_consumer_gets_what_its_role_is_for(role: str, replicas: int, tmp_path: Path) -> None:
    with server(tmp_path, role, replicas) as port:
        replies = ask(port, tmp_path, "PING", "AUTH api api", "PING", "SET a 1", "FLUSHALL", "PUBLISH news 1")
    assert replies[0].startswith("-NOAUTH")
    assert replies[1:3] == ["+OK", "+PONG"]
    # Alone, a replicated master takes no write: nobody could take over with the data.
    expected = "-NOPERM" if role == "pubsub" else "-NOREPLICAS" if replicas > 1 else "+OK"
    assert replies[3].startswith(expected)
    assert replies[4].startswith("-NOPERM")
    assert replies[5] == ":0"


def test_who_has_no_certificate_is_refused(tmp_path: Path) -> None:
    refusal = "certificate required|EOF occurred|closed without an answer|reset by peer"
    with server(tmp_path, "cache", 1) as port, pytest.raises(OSError, match=refusal):
        ask(port, tmp_path, "PING", certificate=False)


def test_plaintext_gets_no_answer(tmp_path: Path) -> None:
    with server(tmp_path, "cache", 1) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(b"PING\r\n")
        started = time.monotonic()
        try:
            answer = plain.recv(100)
        except ConnectionResetError:
            answer = b""
    assert answer == b""
    assert time.monotonic() - started < 5
