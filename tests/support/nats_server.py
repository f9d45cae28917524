"""Real nats-servers on free ports of this machine, with the rendered configuration, and clients that dial by hand."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from components.core.mounts import OWN
from components.nats import render
from components.nats.plan import NatsPlan
from tests.support.nats import files_of

Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Groundwork"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def issue(name: str, hosts: Sequence[str] = (), signer: Signer | None = None) -> Signer:
    """A certificate as the environment's authority makes it; the authority itself where nobody signs."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(name))
        .issuer_name(signer[0].subject if signer else subject(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
    )
    if signer:
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer[1] if signer else key, hashes.SHA256()), key


class Bus:
    """Servers on free ports of this machine, with the rendered configuration."""

    def __init__(self, root: Path, plan: NatsPlan) -> None:
        self.root = root
        self.plan = plan
        self.authority = issue("root")
        self.write("server", *issue(plan.host, ("localhost", *plan.certificate_hosts), self.authority))
        for consumer in ("api", "worker", "stranger"):
            self.write(consumer, *issue(consumer, (), self.authority))
        replicas = range(plan.workload.replicas)
        self.ports = {port: [free_port() for _ in replicas] for port in (4222, 6222, 8222)}

    def write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        folder = self.root / name
        folder.mkdir()
        pem = serialization.Encoding.PEM
        (folder / "ca.crt").write_bytes(self.authority[0].public_bytes(pem))
        (folder / "tls.crt").write_bytes(certificate.public_bytes(pem))
        form = serialization.PrivateFormat.PKCS8
        (folder / "tls.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))

    def configuration(self, index: int) -> Path:
        text = files_of(self.plan)["nats.conf"].replace(OWN, str(self.root / "server"))
        text = text.replace(f'"{render.DATA}"', f'"{self.root}/data-{index}"')
        for port, chosen in self.ports.items():
            text = text.replace(f"0.0.0.0:{port}", f"127.0.0.1:{chosen[index]}")
        for peer, host in enumerate(self.plan.peers):
            text = text.replace(f"tls://{host}:6222", f"tls://localhost:{self.ports[6222][peer]}")
        file = self.root / f"nats-{index}.conf"
        file.write_text(text)
        return file

    def context(self, who: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.root / "server" / "ca.crt"))
        if who:
            context.load_cert_chain(self.root / who / "tls.crt", self.root / who / "tls.key")
        return context

    @contextmanager
    def client(self, who: str, port: int = 4222) -> Iterator[Client]:
        with (
            socket.create_connection(("127.0.0.1", self.ports[port][0]), timeout=10) as raw,
            self.context(who).wrap_socket(raw, server_hostname="localhost") as connection,
        ):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield Client(connection, who)


class Client:
    """Speaks NATS's protocol by hand. NATS documentation, "Client Protocol"."""

    def __init__(self, connection: ssl.SSLSocket, who: str) -> None:
        self.connection = connection
        self.lines = connection.makefile("rb")
        self.inbox = "_INBOX" if who == "server" else f"_INBOX_{who}"
        assert connection.version() == "TLSv1.3"
        assert self.line().startswith("INFO ")
        self.say('CONNECT {"verbose":false,"headers":true,"no_responders":true}')

    def line(self) -> str:
        """What the server says next, besides asking whether somebody is there."""
        while (line := self.lines.readline()) == b"PING\r\n":
            self.say("PONG")
        if not line:
            raise ConnectionAbortedError("closed without an answer")
        return str(line.decode().strip())

    def say(self, *words: str) -> None:
        self.connection.sendall("".join(f"{word}\r\n" for word in words).encode())

    def tell(self, *words: str) -> list[str]:
        """Errors that the server answers."""
        self.say(*words, "PING")
        return list(iter(self.line, "PONG"))

    def ask(self, subject: str, content: str = "") -> dict[str, Any]:
        """The answer of the JetStream API."""
        self.say(f"SUB {self.inbox}.x 1", f"PUB {subject} {self.inbox}.x {len(content)}", content)
        header = self.line()
        assert header.startswith("MSG "), header
        answer: dict[str, Any] = json.loads(self.lines.read(int(header.rsplit(" ", 1)[1]) + 2))
        self.say("UNSUB 1")
        return answer


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def served(bus: Bus) -> Iterator[Bus]:
    """Start every server and wait until JetStream can answer, a minute at most."""
    command = ["nats-server", "--config"]
    servers = [
        subprocess.Popen([*command, bus.configuration(index), "--name", f"bus-{index}"], stderr=subprocess.PIPE)
        for index in range(bus.plan.workload.replicas)
    ]
    try:
        first = servers[0].stderr
        assert first is not None
        wanted = b"metadata leader" if len(servers) > 1 else b"Server is ready"
        patience = Timer(60, servers[0].kill)
        patience.start()
        log = []
        for line in first:
            log.append(line)
            if wanted in line:
                break
        else:
            pytest.fail(b"".join(log).decode())
        patience.cancel()
        yield bus
    finally:
        for server in servers:
            server.kill()
            server.wait()
            assert server.stderr is not None
            server.stderr.close()
