"""nats.conf (NATS documentation, "Configuration", "TLS", "Clustering", "WebSocket", "Leaf Nodes").

Reads JSON only, a subset of the server's own language in which nothing is included and no variable is put in. Names of
settings count in any case, as they do for the server. Knows only what opens a listener or a connection.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from policies.readers.problem import Problem, listed

_LISTENERS = {
    "cluster": ("cluster",),
    "gateway": ("gateway",),
    "leafnodes": ("leafnodes", "leaf"),
    "websocket": ("websocket", "ws"),
    "mqtt": ("mqtt",),
}
"""Blocks that open a listener besides that of clients, each with every name that the server knows it by."""
_PLAINTEXT = {
    "http": "serves monitoring in plaintext",
    "http_port": "serves monitoring in plaintext",
    "monitor_port": "serves monitoring in plaintext",
    "prof_port": "serves profiles in plaintext",
    "allow_non_tls": "admits clients without TLS",
    "remote_syslog": "sends logs in plaintext",
    "include": "hides settings from this rule",
}
_VERIFIES = ("verify", "verify_and_map", "verify_cert_and_check_known_urls")
_FIRST = ("handshake_first", "first", "immediate")
_FILES = ("cert_file", "key_file", "ca_file")


def check_nats(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of a server's configuration; `protocols` are the TLS versions allowed."""
    try:
        conf = json.loads(text, object_pairs_hook=_block)
    except ValueError as error:
        line, allowed = getattr(error, "lineno", 0), "JSON, each setting once"
        yield Problem(line, "syntax", "can't be read", allowed, "write it as JSON, which the server takes as well")
        return
    for name, what in _PLAINTEXT.items():
        if conf.get(name):
            yield Problem(0, name, what, f"no {name}", f"remove `{name}`")
    yield from _listener("", conf, protocols)
    for name, spellings in _LISTENERS.items():
        for block in (conf[spelling] for spelling in spellings if spelling in conf):
            yield from _listener(f"{name}.", block, protocols)
            yield from _remotes(f"{name}.", block)


def _block(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Settings by lower-case name. Raises ValueError for one that occurs twice: the last would count."""
    found = {name.lower(): value for name, value in pairs}
    if len(found) < len(pairs):
        raise ValueError("a setting occurs twice")
    return found


def _listener(prefix: str, block: Any, protocols: Sequence[str]) -> Iterator[Problem]:
    tls = block.get("tls") if isinstance(block, dict) and not block.get("no_tls") else None
    if not isinstance(tls, dict):
        fix = f"set `{prefix}tls` with cert_file, key_file, ca_file, min_version and verify"
        yield Problem(0, f"{prefix}tls", "is not in force, so the listener is plaintext", "a block of settings", fix)
        return
    for name in _FILES:
        if not tls.get(name):
            fix = f"set `{prefix}tls.{name}` to the mounted file"
            yield Problem(0, f"{prefix}tls.{name}", "is not set", "the path of a PEM file", fix)
    lowest = f"TLSv{tls.get('min_version', '1.2')}"
    if lowest not in protocols:
        fix = f'set `{prefix}tls.min_version: "{protocols[0].removeprefix("TLSv")}"`'
        yield Problem(0, f"{prefix}tls.min_version", f"accepts {lowest}", listed(protocols), fix)
    if not any(tls.get(name) is True for name in _VERIFIES):
        allowed, fix = " or ".join(_VERIFIES), f"set `{prefix}tls.verify: true`"
        yield Problem(0, f"{prefix}tls", "lets clients in without a certificate", allowed, fix)
    if tls.get("insecure"):
        what = "connects without verifying the other's certificate"
        yield Problem(0, f"{prefix}tls.insecure", what, "false", "remove it")
    if not prefix and not any(tls.get(name) is True for name in _FIRST):
        what = "is not true, so the server greets clients in plaintext before TLS begins"
        yield Problem(0, "tls.handshake_first", what, "true", "set `tls.handshake_first: true`")


def _remotes(prefix: str, block: Any) -> Iterator[Problem]:
    """Leaf nodes and gateways dial others."""
    others = block if isinstance(block, dict) else {}
    for remote in (*others.get("remotes", ()), *others.get("gateways", ())):
        urls = [remote.get("url", ""), *remote.get("urls", [])]
        if not remote.get("tls") and not all(url.startswith(("tls://", "wss://")) for url in urls if url):
            yield Problem(0, f"{prefix}remotes", "connects in plaintext", "tls://, wss://", "write `tls://`")
