"""server.properties and client properties of Kafka, and log4j2.properties beside them.

Kafka documentation, "Listener Configuration", "Encryption and Authentication using SSL", "Broker Configs"; Log4j
manual, "Appenders". Reads one setting a line, each once, as `name=value`: the server's own format also joins lines and
decodes characters, behind which a setting could hide. Knows only what opens a listener or a connection.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from policies.readers.problem import Problem, listed

_SECURED = ("SSL", "SASL_SSL")
_HIDING = {
    "config.providers": "has settings come from elsewhere, where this rule can't read them",
    "ssl.engine.factory.class": "puts TLS of its own in place of the server's",
    "ssl.trustmanager.algorithm": "puts checks of its own in place of the server's",
    "security.providers": "puts TLS of its own in place of the server's",
}
_SETTING = re.compile(r"([a-z0-9._-]+)=([^\\]*)", re.IGNORECASE)
Found = Mapping[str, tuple[int, str]]
"""Line and value of each setting."""


def check_kafka_server(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of a server's or controller's configuration; `protocols` are the TLS versions allowed."""
    found, unread = _settings(text)
    yield from unread
    yield from _listeners(found)
    yield from _between_servers(found)
    yield from _client_certificates(found)
    yield from _tls(found, protocols)


def check_kafka_client(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of the configuration of a client or tool."""
    found, unread = _settings(text)
    yield from unread
    line, value = found.get("security.protocol", (0, "PLAINTEXT"))
    if value.upper() not in _SECURED:
        what = "connects in plaintext" if line else "is not set, so it connects in plaintext"
        yield Problem(line, "security.protocol", what, listed(_SECURED), "set `security.protocol=SSL`")
    yield from _tls(found, protocols)


def check_log4j(text: str) -> Iterator[Problem]:
    """Problems of a logging configuration: logs go to standard output, where nobody else listens."""
    found, unread = _settings(text)
    yield from unread
    for name, (line, value) in found.items():
        if re.fullmatch(r"appender\.[^.]+\.type", name) and value != "Console":
            what, allowed = "may send logs to others in plaintext", "Console"
            yield Problem(line, f"{name}={value}", what, allowed, f"set `{name}=Console`")


def _settings(text: str) -> tuple[Found, list[Problem]]:
    found: dict[str, tuple[int, str]] = {}
    problems: list[Problem] = []
    allowed, fix = "name=value, each name once", "write one setting a line, without backslashes and colons"
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip()[0] in "#!":
            continue
        match = _SETTING.fullmatch(line.strip())
        if match is None:
            problems.append(Problem(number, "syntax", "can't be read", allowed, fix))
            continue
        name, value = match[1], match[2].strip()
        if name in found:
            problems.append(Problem(number, name, "occurs twice, and the last one counts", allowed, "remove one"))
        found[name] = (number, value)
    for name, (number, _) in found.items():
        hiding = next((what for begin, what in _HIDING.items() if _plain(name).startswith(begin)), None)
        if hiding:
            problems.append(Problem(number, name, hiding, f"no {name}", f"remove `{name}`"))
    return found, problems


def _plain(name: str) -> str:
    """A setting's name without the listener that it is for."""
    return re.sub(r"^listener\.name\.[^.]+\.", "", name)


def _each(found: Found, wanted: str) -> Iterator[tuple[int, str, str]]:
    """Line, name and value of a setting, for all listeners and for single ones."""
    return ((line, name, value) for name, (line, value) in found.items() if _plain(name) == wanted)


def _listeners(found: Found) -> Iterator[Problem]:
    """Without a listener of its own the server opens one in plaintext."""
    if "listeners" not in found:
        what, fix = "is not set, so the default opens a plaintext listener", "set `listeners=CLIENT://:9093`"
        yield Problem(0, "listeners", what, "listeners with TLS", fix)
    protocol_of = _protocols_of(found)
    for setting in ("listeners", "advertised.listeners"):
        line, value = found.get(setting, (0, ""))
        for listener in filter(None, (part.strip() for part in value.split(","))):
            name = listener.partition("://")[0].upper()
            # One that the map does not have speaks the protocol of its name.
            if name not in protocol_of and name not in _SECURED:
                fix = f"add `{name}:SSL` to listener.security.protocol.map, or remove the listener"
                yield Problem(line, f"{setting} {name}", "is a plaintext listener", listed(_SECURED), fix)
    line, _ = found.get("listener.security.protocol.map", (0, ""))
    for name, protocol in protocol_of.items():
        if protocol not in _SECURED:
            what, fix = "accepts plaintext", f"write `{name}:SSL`"
            yield Problem(line, f"listener.security.protocol.map {name}", what, listed(_SECURED), fix)


def _protocols_of(found: Found) -> dict[str, str]:
    pairs = (part.partition(":") for part in found.get("listener.security.protocol.map", (0, ""))[1].split(","))
    return {name.strip().upper(): protocol.strip().upper() for name, _, protocol in pairs if name.strip()}


def _between_servers(found: Found) -> Iterator[Problem]:
    """The name of a listener decides; else the protocol, which is plaintext by default."""
    line, protocol = found.get("security.inter.broker.protocol", (0, "PLAINTEXT"))
    if "inter.broker.listener.name" in found or protocol.upper() in _SECURED:
        return
    what = "connects servers in plaintext" if line else "is not set, so servers connect to one another in plaintext"
    fix = "set it to a listener with TLS"
    yield Problem(line, "inter.broker.listener.name", what, "a listener with TLS", fix)


def _client_certificates(found: Found) -> Iterator[Problem]:
    name = "ssl.client.auth"
    if name not in found:
        what = "is not set, so clients are let in without a certificate"
        yield Problem(0, name, what, "required", f"set `{name}=required`")
    for line, setting, value in _each(found, name):
        if value.lower() != "required":
            what = "lets clients in without a certificate"
            yield Problem(line, f"{setting}={value}", what, "required", f"set `{setting}=required`")


def _tls(found: Found, protocols: Sequence[str]) -> Iterator[Problem]:
    for name in ("ssl.keystore.location", "ssl.truststore.location"):
        if not found.get(name, (0, ""))[1]:
            yield Problem(0, name, "is not set", "the path of a mounted file", f"set `{name}` to the mounted file")
    for line, name, value in _each(found, "ssl.endpoint.identification.algorithm"):
        if value.lower() != "https":
            what = "connects without verifying the other's name"
            yield Problem(line, name, what, "https", f"set `{name}=https` or remove the line")
    fix = f"set `ssl.enabled.protocols={','.join(protocols)}`"
    if "ssl.enabled.protocols" not in found:
        what = "is not set, so older TLS versions are accepted"
        yield Problem(0, "ssl.enabled.protocols", what, listed(protocols), fix)
    for wanted in ("ssl.enabled.protocols", "ssl.protocol"):
        for line, name, value in _each(found, wanted):
            if not {part.strip() for part in value.split(",")} <= set(protocols):
                yield Problem(line, f"{name}={value}", "accepts other TLS versions", listed(protocols), fix)
