"""What a listener answers to a client, whatever that client offers: no TLS, an old version, no certificate.

A connection that is refused proves little unless another is served: so every probe sends the protocol's own first
words and says whether the server went on to talk. Runs in the network of the listener's own instance.
"""

from __future__ import annotations

import socket
import ssl
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

TIMEOUT_SECONDS = 3
OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2)
"""TLS 1.3 is the only version that is offered anywhere."""
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
_NOT_IN_THIS_VERSION = ("TLSV1_ALERT_PROTOCOL_VERSION", "SSLV3_ALERT_HANDSHAKE_FAILURE")
"""The version itself, or every cipher that there is in it: PgBouncer under CloudNativePG has no setting for the one."""
_WRONG_NAME = "elsewhere.invalid"
_FLAGS = 0x4 | 0x10 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800 | 0x70000 | 0x3000000 | 1 << 34
"""What every node must understand. Erlang documentation, "Distribution Protocol"."""
_NODE = b"probe@localhost"
_NAME = struct.pack("!cQIH", b"N", _FLAGS, 1, len(_NODE)) + _NODE
_API_VERSIONS = 18
_WORDS = {
    "amqps": (b"AMQP\x00\x00\x09\x01", (b"\x01\x00\x00",)),
    "erlang": (struct.pack("!I", len(_NAME)) + _NAME, (b"\0\0\0\x03s", b"\0\0\0\x0cs")),
    "kafka": (struct.pack("!ihhih", 10, _API_VERSIONS, 0, 1, -1), (b"\0\0",)),
    "nats": (b"PING\r\n", (b"INFO ",)),
    "redis": (b"PING\r\n", (b"+", b"-")),
}
"""By protocol, first words that anybody may say, and how answers begin. AMQP 0-9-1, "Protocol Header"; Kafka
protocol guide, "Messages"; NATS documentation, "Client Protocol"."""


@dataclass(frozen=True)
class Client:
    """Who connects to where, and what for."""

    address: str
    port: int
    protocol: str
    """`https`, `postgresql` or one of those with fixed words."""
    ca: str
    """PEM of the root that it trusts."""
    name: str
    """Name by which it knows the server."""
    user: str = ""
    database: str = ""
    """For PostgreSQL."""
    certificate: str = ""
    """Path of its own certificate; empty: it has none."""
    key: str = ""

    @property
    def hello(self) -> bytes:
        """The first words of its protocol, which anybody may say."""
        if self.protocol == "https":
            return f"GET / HTTP/1.1\r\nHost: {self.name}\r\nConnection: close\r\n\r\n".encode()
        if self.protocol in _WORDS:
            return _WORDS[self.protocol][0]
        # PostgreSQL documentation, "Message Formats": StartupMessage.
        text = f"user\0{self.user}\0database\0{self.database}\0\0".encode()
        return struct.pack("!ii", 8 + len(text), 3 << 16) + text

    def context(self, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """TLS as it offers it; only `version` where one is given."""
        context = ssl.create_default_context(cadata=self.ca)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        if version:
            # OpenSSL allows versions before 1.2 only at security level 0.
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
        return context

    def ask(self, context: ssl.SSLContext | None) -> bytes:
        """The beginning of the answer; empty where the server hangs up. Raises ssl.SSLError and OSError.

        `context`: None for no TLS at all.
        """
        with socket.create_connection((self.address, self.port), TIMEOUT_SECONDS) as plain:
            if context is None:
                return _talk(plain, self.hello)
            if self.protocol == "postgresql" and _talk(plain, _SSL_REQUEST) != b"S":
                raise ssl.SSLError("the server does not offer TLS")
            with context.wrap_socket(plain, server_hostname=self.name) as secured:
                return _talk(secured, self.hello)

    def is_served(self, answer: bytes) -> bool:
        """Whether the server went on: any response to a request, whatever its status, and no error of PostgreSQL."""
        if self.protocol == "https":
            # What TLS servers say to plaintext: nginx and Go answer 400.
            return answer.startswith(b"HTTP/") and b" 400 " not in answer.split(b"\r\n")[0]
        return answer.startswith(_WORDS[self.protocol][1] if self.protocol in _WORDS else (b"R",))


def faults(client: Client, names: tuple[str, ...], mutual: bool) -> list[str]:
    """What is wrong with a listener that should have a certificate for each of `names`, in words; nothing, if right.

    `client` has a certificate of its own, if the listener is `mutual`.
    """
    where = f"port {client.port}"
    found = [f"{where}: {text}" for name in names for text in _unserved(replace(client, name=name))]
    found += [f"{where}: {text}" for text in _impostor(client)]
    found += [f"{where}: {text}" for version in OLD for text in _outdated(client, version)]
    found += [f"{where}: {text}" for text in _unprotected(client)]
    if mutual:
        found += [f"{where}: {text}" for text in _anonymous(client)]
    return found


def _unserved(client: Client) -> Iterator[str]:
    try:
        answer = client.ask(client.context())
    except OSError as error:
        yield f"no TLS as {client.name}: {error}"
    else:
        if not client.is_served(answer):
            yield f"not served as {client.name}: {answer!r}"


def _impostor(client: Client) -> Iterator[str]:
    """A certificate for every name, or a client that looks at none, would make all else worthless."""
    stranger = replace(client, name=_WRONG_NAME)
    try:
        stranger.ask(stranger.context())
    except OSError:
        return
    yield f"proves to be {_WRONG_NAME}"


def _outdated(client: Client, version: ssl.TLSVersion) -> Iterator[str]:
    try:
        client.ask(client.context(version))
    except ssl.SSLError as error:
        # Any other reason would be one for which this client never got as far as its version.
        if error.reason not in _NOT_IN_THIS_VERSION:
            yield f"{version.name}: refused for another reason: {error}"
    except OSError as error:
        yield f"{version.name}: refused for another reason: {error}"
    else:
        yield f"{version.name} accepted"


def _unprotected(client: Client) -> Iterator[str]:
    try:
        answer = client.ask(None)
    except OSError:
        return
    if client.is_served(answer):
        yield f"plaintext answered: {answer[:40]!r}"


def _anonymous(client: Client) -> Iterator[str]:
    unknown = replace(client, certificate="", key="")
    try:
        answer = unknown.ask(unknown.context())
    except OSError:
        return
    if client.is_served(answer):
        yield "a client without a certificate is served"


def _talk(connection: socket.socket, words: bytes) -> bytes:
    connection.sendall(words)
    return connection.recv(200)
