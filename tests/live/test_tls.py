"""Every listening port of every instance: declared, with the right name, TLS 1.3 and nothing else, and certificates
of clients where they are declared."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import certifi
import pytest

from tests.live.careless import serve
from tests.live.consumer import Consumer
from tests.live.deployment import Process
from tests.live.environment import DOCKER, NODE, SERVICES, Live
from tests.live.handshakes import Client, faults
from tests.live.networks import listening, reached

TARGETS = (DOCKER, NODE)


@dataclass(frozen=True)
class Probe:
    """A listener, who asks it, and what it should be."""

    client: Client
    names: tuple[str, ...]
    mutual: bool

    def faults(self) -> list[str]:
        """What is wrong with it."""
        return faults(self.client, self.names, self.mutual)


@pytest.mark.parametrize("service", SERVICES)
def test_every_port_is_declared(live: Live, service: str) -> None:
    for process in live.instances(service).values():
        assert not undeclared(live, process)


@pytest.mark.parametrize("service", SERVICES)
def test_every_listener_takes_tls_alone(live: Live, service: str) -> None:
    for process in live.instances(service).values():
        with Consumer(process.pid) as inside:
            probes = list(probes_of(live, process, inside))
            assert {probe.client.port for probe in probes} == live.declared(process).keys()
            assert not inside.call(all_faults, probes), process.instance


class TestControls:
    """Each way to be wrong is found in the network of a real instance."""

    @pytest.fixture(scope="class")
    @classmethod
    def inside(cls, live: Live) -> Iterator[Consumer]:
        with Consumer(live.process("cache-0", "exporter").pid) as inside:
            yield inside

    @pytest.fixture
    def right(self, live: Live) -> Probe:
        """A probe for a listener of the service `api`, with the certificate of `api` at hand."""
        client = client_of(live, "api", "https", own=True)
        return Probe(client, ("api",), mutual=False)

    def test_a_right_one_has_no_faults(self, inside: Consumer, right: Probe) -> None:
        assert not inside.call(all_faults, [self.served(inside, right)])

    def test_plaintext_is_found(self, live: Live, inside: Consumer, right: Probe) -> None:
        port = inside.call(serve)
        found = inside.call(all_faults, [at(right, port)])
        assert any("plaintext answered: b'HTTP/1.1 200 OK" in fault for fault in found)
        assert any("no TLS as api" in fault for fault in found)
        assert f"{port} at 0.0.0.0" in undeclared(live, live.process("cache-0", "exporter"))

    def test_old_versions_are_found(self, inside: Consumer, right: Probe) -> None:
        found = inside.call(all_faults, [self.served(inside, right, old=True)])
        assert [fault.partition(": ")[2] for fault in found] == [
            "TLSv1 accepted", "TLSv1_1 accepted", "TLSv1_2 accepted",
        ]  # fmt: skip

    def test_a_wrong_name_is_found(self, inside: Consumer, right: Probe) -> None:
        found = inside.call(all_faults, [replace(self.served(inside, right), names=("api", "cache"))])
        assert len(found) == 1
        assert "no TLS as cache" in found[0]
        assert "Hostname mismatch" in found[0]

    def test_another_authority_is_found(self, inside: Consumer, right: Probe) -> None:
        found = inside.call(all_faults, [self.served(inside, right, ca=Path(certifi.where()).read_text())])
        assert any("no TLS as api" in fault and "certificate verify failed" in fault for fault in found)

    def test_a_missing_demand_for_certificates_is_found(self, inside: Consumer, right: Probe) -> None:
        probe = replace(self.served(inside, right), mutual=True)
        assert inside.call(all_faults, [probe]) == [
            f"port {probe.client.port}: a client without a certificate is served"
        ]

    @staticmethod
    def served(inside: Consumer, right: Probe, *, old: bool = False, ca: str = "") -> Probe:
        probe = at(right, inside.call(serve, right.client.certificate, right.client.key, old=old))
        return replace(probe, client=replace(probe.client, ca=ca or probe.client.ca))


def all_faults(probes: list[Probe]) -> list[str]:
    """What is wrong with any of them; runs inside."""
    with ThreadPoolExecutor() as pool:
        return [fault for found in pool.map(Probe.faults, probes) for fault in found]


def undeclared(live: Live, process: Process) -> list[str]:
    """Sockets in the network of a process that take connections though nobody said so."""
    ports = live.declared(process)
    return [
        f"{socket.port} at {socket.address}"
        for socket in listening(process.pid)
        if (socket.alone or socket.port not in ports)
        and not live.deployment.is_foreign(process, socket.address, socket.port)
    ]


def probes_of(live: Live, process: Process, inside: Consumer) -> Iterator[Probe]:
    """A probe for each declared listener at each address where it answers."""
    facts, insider = live.declared(process), live.deployment.insider(process)
    sockets = [socket for socket in listening(process.pid) if socket.port in facts]
    places = {(address, socket.port) for socket in sockets for address in socket.dialled}
    for address, port in sorted(inside.call(reached, places)):
        listener = facts[port]
        # Ports that no consumer calls are for peers, some of which take nobody else's certificate.
        peers = listener["tls"] == "mutual" and port not in live.inventory[process.service]["ports"]
        client = client_of(live, process.service, listener["protocol"], own=peers)
        if insider:
            client = with_files(replace(client, user=insider.user, database=insider.database), insider.files)
        names = tuple(live.names(process))
        yield at(Probe(client, names, listener["tls"] == "mutual"), port, address)


def client_of(live: Live, service: str, protocol: str, *, own: bool = False) -> Client:
    """A client of a service with the certificate of one of its consumers, or its `own` where it has none."""
    users = [name for name, facts in live.inventory.items() if service in facts["uses"]]
    user = service if own or not users else users[0]
    folder = f"run/groundwork/{'tls' if user == service else service}"
    files = next(path for process in live.processes(user) if (path := process.root / folder).is_dir())
    name = live.hosts[service][0]
    return with_files(Client("", 0, protocol, live.ca, name, user, user), files)


def with_files(client: Client, folder: Path) -> Client:
    """The same client with the certificate in a folder, where there is one: some services know clients otherwise."""
    if not (folder / "tls.crt").exists():
        return client
    return replace(client, certificate=str(folder / "tls.crt"), key=str(folder / "tls.key"))


def at(probe: Probe, port: int, address: str = "127.0.0.1") -> Probe:
    """The same probe of another place."""
    return replace(probe, client=replace(probe.client, port=port, address=address))
