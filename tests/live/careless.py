"""A server as nobody should run one, for controls: each carelessness must be found by the proof of the real ones."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from contextlib import suppress

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def serve(certificate: str = "", key: str = "", *, old: bool = False) -> int:
    """Serve HTTP in this process's network until the process ends; returns the port.

    Without a certificate it does so in plaintext; `old` allows every version of TLS. It never asks for a client's.
    """
    context = _context(certificate, key, old) if certificate else None
    listener = socket.create_server(("", 0))
    threading.Thread(target=_serve, args=(listener, context), daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def _context(certificate: str, key: str, old: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if old:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def _serve(listener: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.settimeout(2)
            with context.wrap_socket(connection, server_side=True) if context else connection as talking:
                talking.recv(1000)
                talking.sendall(_ANSWER)
