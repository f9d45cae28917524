"""A real server from Maven's archives, where they are in the cache, started and looked after by the rendered files."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from components.core import exporter
from components.core.mounts import OWN
from components.kafka import render
from tests.support.kafka import ORDERS, PRICES, files_of, plan_of, settings, spec_of
from tests.support.site import contents
from toolchain import image_recipes, paths

RECIPE = image_recipes.recipe_of("docker.io/apache/kafka:4.3.1")
ARCHIVES = sorted((paths.cache_folder() / "images").glob("maven-kafka-*/layer.tar"))
AUTHORIZER = ("allow.everyone.if.no.acl.found", "super.users")
"""Settings of the authorizer, which the server does not list among its own."""
SECONDS = 240

pytestmark = [
    pytest.mark.skipif(not shutil.which("java"), reason="java is not installed"),
    pytest.mark.skipif(not ARCHIVES, reason="run `python3 -m toolchain images docker.io/apache/kafka:4.3.1` before"),
]

Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def issue(name: str, hosts: Sequence[str] = (), signer: Signer | None = None) -> Signer:
    """A certificate as the environment's authority makes it; the authority itself where nobody signs."""
    key = ec.generate_private_key(ec.SECP256R1())
    parts = ((NameOID.ORGANIZATION_NAME, "Groundwork"), (NameOID.COMMON_NAME, name))
    subject = x509.Name([x509.NameAttribute(part, value) for part, value in parts])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
    )
    if hosts:
        names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer[1] if signer else key, hashes.SHA256()), key


class Server:
    """One instance, `log-0` where no other name is given, on free ports of this machine."""

    def __init__(self, root: Path, libs: Path, authority: Signer | None = None, name: str = "log-0") -> None:
        self.root = root
        self.ports = {port: free_port() for port in (render.PORT, render.PEERS_PORT, render.CONTROLLER_PORT)}
        self._libs = libs
        for folder in ("data", "tmp", "metrics", "bin", "etc"):
            (root / folder).mkdir()
        (root / "bin/uname").write_text(f"#!/bin/sh\necho {name}\n")
        (root / "bin/uname").chmod(0o755)
        self.authority = authority or issue("root")
        for name, hosts in (("log.groundwork-test.svc", ("localhost",)), ("api", ())):
            self._write(name, *issue(name, hosts, self.authority))

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        folder = self.root / name
        folder.mkdir()
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        private = key.private_bytes(pem, form, serialization.NoEncryption())
        (folder / "ca.crt").write_bytes(self.authority[0].public_bytes(pem))
        (folder / "tls.crt").write_bytes(certificate.public_bytes(pem))
        (folder / "tls.key").write_bytes(private)
        (folder / render.KEYSTORE).write_bytes(certificate.public_bytes(pem) + private)

    def configure(self, files: Mapping[str, str], places: Mapping[str, str]) -> None:
        """Put the files in place, with this machine's folders, ports and name. `places`: of others, by how they are
        dialled."""
        places = {
            **places,
            render.ETC: f"{self.root}/etc",
            render.DATA: f"{self.root}/data",
            OWN: f"{self.root}/log.groundwork-test.svc",
            f"metrics={exporter.METRICS}": f"metrics={self.root}/metrics",
            "tmp=/tmp": f"tmp={self.root}/tmp",
            "/opt/kafka/libs": str(self._libs),
            "me=$name$SUFFIX": "me=localhost",
            "pause 60": "pause 1",
            **{f":{port}": f":{chosen}" for port, chosen in self.ports.items()},
            f"localhost/{render.PEERS_PORT}": f"localhost/{self.ports[render.PEERS_PORT]}",
        }
        for name, text in files.items():
            for old, new in places.items():
                text = text.replace(old, new)  # noqa: PLW2901
            (self.root / "etc" / name).write_text(text)

    @contextmanager
    def running(self, script: str) -> Iterator[Path]:
        """Run a script; what it says is in the file."""
        said = self.root / f"{script}.log"
        path = f"{self.root}/bin:{os.environ['PATH']}"
        with said.open("wb") as log:
            process = subprocess.Popen(
                ["/bin/sh", self.root / "etc" / script],
                env={**os.environ, "PATH": path}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                yield said
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(timeout=SECONDS)

    def dial(self, who: str = "api", newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
        """The beginning of the answer to a question about versions. Kafka documentation, "Protocol"."""
        context = ssl.create_default_context(cafile=str(self.root / "api/ca.crt"))
        context.maximum_version = newest
        if who:
            context.load_cert_chain(self.root / who / "tls.crt", self.root / who / "tls.key")
        address = ("localhost", self.ports[render.PORT])
        with (
            socket.create_connection(address, timeout=30) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as connection,
        ):
            connection.sendall(bytes.fromhex("0000000e 0012 0000 00000007 0004") + b"test")
            return connection.recv(8)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(true: Callable[[], bool], said: Path) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, said.read_text()[-3000:]
        time.sleep(0.2)


@pytest.fixture(scope="module")
def libs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archives of the image."""
    assert RECIPE.jars
    folder = tmp_path_factory.mktemp("kafka")
    with tarfile.open(ARCHIVES[-1]) as file:
        file.extractall(folder, filter="data")
    return folder / RECIPE.jars.path.lstrip("/")


def test_a_server_takes_its_files_and_has_its_topics_made(tmp_path: Path, libs: Path) -> None:
    server = Server(tmp_path, libs)
    before = plan_of(spec_of({**ORDERS, "partitions": 2}, {**PRICES, "consumers": []}), "api")
    server.configure(files_of(before), {before.peers[0]: "localhost"})
    settled, topics = tmp_path / "tmp/settled", tmp_path / "tmp/topics"
    with server.running("start.sh") as log:
        with server.running("topics.sh") as said:
            wait_until(settled.exists, said)
            wait_until(lambda: "orders.created" in metrics(tmp_path), said)
        assert "given READ,WRITE on TOPIC orders.created" in said.read_text()
        assert "cleanup.policy=compact" in topics.read_text()
        refuses(server)
        assert " ERROR " not in log.read_text()
        known = {*re.findall(r"^\t([a-z.]+) = ", log.read_text(), re.MULTILINE), *AUTHORIZER}
        assert set(settings(files_of(before)["server.properties"])) <= known, "it says nothing of what it ignores"
        after = plan_of(spec_of({**ORDERS, "partitions": 3, "retention": "1d"}), "api")
        server.configure(files_of(after), {before.peers[0]: "localhost"})
        settled.unlink()
        with server.running("topics.sh") as said:
            wait_until(settled.exists, said)
        told = said.read_text()
        assert "orders.created: given 3 partitions" in told
        assert "orders.created: set retention.ms=86400000,segment.ms=86400000" in told
        assert "prices: not declared; it stays until somebody deletes it" in told
        assert "User:api: no longer has WRITE on TOPIC prices" in told


def test_servers_find_the_controllers_that_are_apart(tmp_path: Path, libs: Path) -> None:
    """Two of the three are enough."""
    plan = plan_of(spec_of({**ORDERS, "partitions": 2}, replicas=3, controllers={}), "api")
    assert plan.controllers
    authority = issue("root")
    roots = [tmp_path / name for name in ("log-controllers-0", "log-controllers-1", "log-0")]
    for root in roots:
        root.mkdir()
    *controllers, server = (Server(root, libs, authority, root.name) for root in roots)
    voters = {
        f"{host}:{render.CONTROLLER_PORT}": f"localhost:{controller.ports[render.CONTROLLER_PORT]}"
        for host, controller in zip(plan.controller_hosts, controllers, strict=False)
    }
    own = contents(plan.controllers)
    for controller in controllers:
        controller.configure(own, voters)
    # One server alone has no room for three copies.
    server.configure({name: text.replace(" 2 3 ", " 2 1 ") for name, text in files_of(plan).items()}, voters)
    with ExitStack() as running:
        logs = [running.enter_context(one.running("start.sh")) for one in (*controllers, server)]
        said = running.enter_context(server.running("topics.sh"))
        wait_until(lambda: "orders.created: made as declared" in said.read_text(), said)
        assert "given READ,WRITE on TOPIC orders.created" in said.read_text()
        assert server.dial()[4:] == bytes.fromhex("00000007")
        assert "process.roles = [controller]" in logs[0].read_text()
        assert "process.roles = [broker]" in logs[-1].read_text()
        assert all(" ERROR " not in log.read_text() for log in logs)


def refuses(server: Server) -> None:
    assert server.dial()[4:] == bytes.fromhex("00000007"), "the answer to our question"
    with pytest.raises(ssl.SSLError):
        server.dial(newest=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(ssl.SSLError):
        server.dial(who="")
    with socket.create_connection(("localhost", server.ports[render.PORT]), timeout=30) as raw:
        raw.sendall(bytes.fromhex("0000000e 0012 0000 00000007 0004") + b"test")
        assert raw.recv(8)[:1] in (b"", b"\x15"), "nothing but a TLS alert"


def metrics(root: Path) -> str:
    path = root / "metrics/kafka.prom"
    return path.read_text() if path.exists() else ""
