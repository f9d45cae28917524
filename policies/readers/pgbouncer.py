"""pgbouncer.ini (PgBouncer documentation, "Configuration").

Who is let in stands in its HBA file, which has the form of pg_hba.conf and is read as that.
"""

import re
from collections.abc import Iterator, Sequence

from policies.readers.problem import Problem, listed

_LINE = re.compile(r"\s*(?P<name>[^\s=;#\[]+)\s*=\s*(?P<value>.*?)\s*")
_HIDING = re.compile(r"\s*(?P<name>%\S*)")
_SECTION = re.compile(r"\s*\[(?P<name>\w+)\]")
_SERVERS = ("databases", "peers")
_PROOFS = ("hba", "cert", "scram-sha-256")
_CLIENT_MODES = ("verify-full", "verify-ca", "require")
_SERVER_MODES = ("verify-full", "verify-ca")


def check_pgbouncer(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of pgbouncer.ini; `protocols` are the TLS versions allowed."""
    settings: dict[str, list[tuple[int, str]]] = {}
    section, networked = "", False
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _SECTION.match(line):
            section = match["name"]
        elif match := _HIDING.match(line):
            fix = "put the settings into this file"
            yield Problem(number, match["name"], "hides settings from this rule", "no include", fix)
        elif match := _LINE.fullmatch(line):
            networked |= section in _SERVERS and not _by_socket(match["value"])
            if section not in _SERVERS:
                settings.setdefault(match["name"], []).append((number, match["value"]))
    listens = any(value for _, value in settings.get("listen_addr", []))
    for name, allowed, what in _wanted(listens, networked, [version.lower() for version in protocols]):
        for number, value in settings.get(name) or [(0, "")]:
            if not {word.strip() for word in value.lower().split(",")} <= set(allowed):
                shown, state = (f"{name} = {value}", "") if value else (name, "is not set, and by default ")
                yield Problem(number, shown, f"{state}{what}", listed(allowed), f"set `{name} = {allowed[0]}`")


def _wanted(listens: bool, networked: bool, versions: Sequence[str]) -> Iterator[tuple[str, Sequence[str], str]]:
    """Each setting that must be there, what it may be, and what it does otherwise."""
    yield "auth_type", _PROOFS, "lets in clients that prove nothing"
    if listens:
        yield "client_tls_sslmode", _CLIENT_MODES, "lets clients connect in plaintext"
        yield "client_tls_protocols", versions, "accepts other TLS versions"
    if networked:
        yield "server_tls_sslmode", _SERVER_MODES, "does not verify a server that is reached by the network"
        yield "server_tls_protocols", versions, "accepts other TLS versions"


def _by_socket(connection: str) -> bool:
    """Whether a connection string leads to sockets alone, as one without a host does."""
    hosts = re.findall(r"(?:^|\s)host\s*=\s*'?([^\s']*)", connection)
    return all(host.startswith("/") for one in hosts for host in one.split(","))
