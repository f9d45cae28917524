"""redis.conf, valkey.conf and sentinel.conf (redis.conf, section TLS/SSL; Redis documentation, "TLS").

Reads each occurrence of a directive, so that a second one can't undo the first. Knows no other directives.
"""

from collections.abc import Iterator, Sequence

from policies.readers.problem import Problem, listed

_FILES = ("tls-cert-file", "tls-key-file", "tls-ca-cert-file")


def directives(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, lower-case name and value of each directive."""
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, value = line.strip().partition(" ")
        if name and not name.startswith("#"):
            yield number, name.lower(), value.strip().strip("\"'")


def check_redis(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of a server or Sentinel configuration; `protocols` are the TLS versions allowed."""
    found: dict[str, list[tuple[int, str]]] = {}
    for number, name, value in directives(text):
        found.setdefault(name, []).append((number, value))
    yield from _port(found)
    yield from _switches(found)
    yield from _protocols(found, protocols)
    for name in _FILES:
        if not any(value for _, value in found.get(name, [])):
            yield Problem(0, name, "is not set", "the path of a PEM file", f"set `{name}` to the mounted file")
    for number, _ in found.get("include", []):
        yield Problem(
            number, "include", "hides settings from this rule", "no include", "put the settings into this file"
        )


def _port(found: dict[str, list[tuple[int, str]]]) -> Iterator[Problem]:
    allowed, fix = "port 0 with tls-port", "remove the line and set `port 0`"
    if "port" not in found:
        yield Problem(0, "port", "is not set, so the default opens a plaintext listener", allowed, "set `port 0`")
    for number, value in found.get("port", []):
        if value != "0":
            yield Problem(number, f"port {value}", "opens a plaintext listener", allowed, fix)
    ports = [value for _, value in found.get("tls-port", [])]
    if not ports or "0" in ports:
        yield Problem(0, "tls-port", "is not set", "a port above 0", "set `tls-port` to the service's port")


def _switches(found: dict[str, list[tuple[int, str]]]) -> Iterator[Problem]:
    wanted = {"tls-replication": "replicas and Sentinel connect in plaintext"}
    if any(value == "yes" for _, value in found.get("cluster-enabled", [])):
        wanted["tls-cluster"] = "the cluster bus is plaintext"
    for name, why in wanted.items():
        if name not in found:
            yield Problem(0, name, f"is not set, so {why}", "yes", f"set `{name} yes`")
        for number, value in found.get(name, []):
            if value != "yes":
                yield Problem(number, f"{name} {value}", f"means {why}", "yes", f"set `{name} yes`")
    for number, value in found.get("tls-auth-clients", []):
        if value != "yes":
            what = "lets clients in without a certificate"
            yield Problem(
                number, f"tls-auth-clients {value}", what, "yes", "set `tls-auth-clients yes` or remove the line"
            )


def _protocols(found: dict[str, list[tuple[int, str]]], protocols: Sequence[str]) -> Iterator[Problem]:
    fix = f'set `tls-protocols "{" ".join(protocols)}"`'
    if "tls-protocols" not in found:
        yield Problem(0, "tls-protocols", "is not set, so older TLS versions are accepted", listed(protocols), fix)
    for number, value in found.get("tls-protocols", []):
        if not value.split() or not set(value.split()) <= set(protocols):
            yield Problem(number, f"tls-protocols {value}", "accepts other TLS versions", listed(protocols), fix)
