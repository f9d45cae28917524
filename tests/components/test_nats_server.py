"""Real nats-servers, where one is installed, started with the rendered configuration and dialled by hand."""

from __future__ import annotations

import json
import shutil
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
from tests.support.nats import JOBS, ORDERS, files_of, plan_of, spec_of

pytestmark = pytest.mark.skipif(not shutil.which("nats-server"), reason="nats-server is not installed")

Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
SPEC = ({**ORDERS, "publishers": ["api"], "consumers": ["worker"]}, JOBS)


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
        line = self.lines.readline()
        if not line:
            raise ConnectionAbortedError("closed without an answer")
        return line.decode().strip()

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


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bus]:
    plan = plan_of(spec_of(*SPEC), "api", "worker")
    with served(Bus(tmp_path_factory.mktemp("bus"), plan)) as running:
        with running.client("server") as helper:
            for entry in json.loads(files_of(plan)["streams.json"]):
                stream = entry["config"]["name"]
                created = helper.ask(f"$JS.API.STREAM.CREATE.{stream}", json.dumps(entry["config"]))
                assert "error" not in created, created
                for durable in entry["consumers"]:
                    body = json.dumps({"stream_name": stream, "action": "create", "config": durable})
                    created = helper.ask(f"$JS.API.CONSUMER.CREATE.{stream}.{durable['name']}", body)
                    assert "error" not in created, created
        yield running


@pytest.mark.parametrize("replicas", [1, 3, 5])
def test_the_server_takes_the_configuration(replicas: int, tmp_path: Path) -> None:
    file = Bus(tmp_path, plan_of(spec_of(*SPEC, replicas=replicas), "api", "worker")).configuration(0)
    done = subprocess.run(["nats-server", "-t", "--config", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "is valid" in done.stderr


def test_a_publisher_is_told_that_its_message_is_kept(bus: Bus) -> None:
    with bus.client("api") as api:
        assert api.ask("orders.1.paid", "x")["stream"] == "ORDERS"
    with bus.client("worker") as worker:
        assert worker.ask("$JS.API.STREAM.INFO.ORDERS")["state"]["messages"] >= 1
        assert worker.ask("$JS.API.CONSUMER.INFO.ORDERS.billing")["num_pending"] >= 1


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("worker", ("PUB orders.1.paid 0", "")),
        ("api", ("PUB $JS.API.CONSUMER.MSG.NEXT.ORDERS.billing 0", "")),
        ("api", ("PUB $JS.API.STREAM.DELETE.ORDERS 0", "")),
        ("worker", ("PUB $JS.API.STREAM.PURGE.ORDERS 0", "")),
        ("worker", ("PUB $JS.API.CONSUMER.CREATE.ORDERS.own 0", "")),
        ("worker", ("PUB elsewhere 0", "")),
        ("worker", ("SUB _INBOX_api.> 7",)),
        ("worker", ("SUB _INBOX.> 7",)),
        ("api", ("SUB > 7",)),
        ("api", ("SUB $SYS.> 7",)),
        ("api", ("SUB orders.> 7",)),
    ],
)
def test_what_a_stream_does_not_allow_is_refused(bus: Bus, who: str, words: tuple[str, ...]) -> None:
    with bus.client(who) as client:
        (answer,) = client.tell(*words)
        assert answer.startswith("-ERR 'Permissions Violation")


def test_a_reader_hears_what_is_published_as_it_happens(bus: Bus) -> None:
    with bus.client("worker") as worker, bus.client("api") as api:
        assert worker.tell("SUB orders.*.paid 7") == []
        api.ask("orders.2.paid", "x")
        assert worker.line().startswith("MSG orders.2.paid 7 ")


def test_a_certificate_that_belongs_to_no_consumer_lets_nobody_in(bus: Bus) -> None:
    with bus.client("stranger") as stranger:
        assert stranger.line() == "-ERR 'Authorization Violation'"


def test_who_has_no_certificate_is_refused(bus: Bus) -> None:
    refusal = "certificate required|EOF occurred|closed without an answer|reset by peer"
    with pytest.raises(OSError, match=refusal), bus.client(""):
        pass


def test_plaintext_gets_no_answer(bus: Bus) -> None:
    for port in bus.ports:
        if port == 6222:
            continue
        with socket.create_connection(("127.0.0.1", bus.ports[port][0]), timeout=10) as plain:
            plain.sendall(b"PING\r\n\r\n")
            try:
                answer = plain.recv(100)
            except ConnectionResetError:
                answer = b""
        assert not answer.startswith((b"INFO", b"PONG", b"HTTP/1.1 200")), answer


def test_three_servers_find_one_another_and_take_no_stranger_for_a_peer(tmp_path: Path) -> None:
    plan = plan_of(spec_of(*SPEC, replicas=3), "api", "worker")
    with served(Bus(tmp_path, plan)) as bus:
        (orders, _) = json.loads(files_of(plan)["streams.json"])
        with bus.client("server") as helper:
            answer = helper.ask("$JS.API.STREAM.CREATE.ORDERS", json.dumps(orders["config"]))
            assert len(answer["cluster"]["replicas"]) == 2, answer
        greeting = 'CONNECT {"server_id":"NX","name":"x","cluster":"bus","protocol":1,"headers":true}'
        with bus.client("api", port=6222) as stranger:
            stranger.say(greeting)
            assert "Authorization Violation" in stranger.line()
