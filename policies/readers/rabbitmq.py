"""Files of RabbitMQ: rabbitmq.conf, rabbitmq-env.conf, Erlang's options for connections between nodes, and the plugins.

RabbitMQ documentation, "Configuration", "TLS Support", "Securing Cluster (Inter-node) Communication with TLS" and
"Plugins". Reads each occurrence of a setting, so that a second one can't undo the first.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from policies.readers.problem import Problem, listed

_LISTENERS = ("ssl_options", "management.ssl", "prometheus.ssl")
_FILES = ("cacertfile", "certfile", "keyfile")
_NO_LISTENERS = {"listeners.tcp": "none", "prometheus.tcp.listener": "none"}
_PLUGINS = ("rabbitmq_management", "rabbitmq_management_agent", "rabbitmq_prometheus")
"""Those whose listeners are set in rabbitmq.conf and read there, and those without any."""
_VARIABLES = (
    "CTL_ERL_ARGS", "DIST_PORT", "ERL_AFLAGS", "ERL_CRASH_DUMP_SECONDS", "HOME", "LOGS", "NODENAME",
    "SERVER_ADDITIONAL_ERL_ARGS", "USE_LONGNAME",
)  # fmt: skip
_BETWEEN_NODES = ("-proto_dist inet_tls", "-ssl_dist_optfile")
_SIDES = re.compile(r"\{(server|client),\s*\[(.*?)\]\}(?=,\s*\{(?:server|client),|\s*\]\.\s*$)", re.DOTALL)
_PATH = ('"', "a path")
_OF_BOTH = {"cacertfile": _PATH, "certfile": _PATH, "keyfile": _PATH, "verify": ("verify_peer", "verify_peer")}
_OF_SERVER = {"fail_if_no_peer_cert": ("true", "true"), "verify_fun": ("{", "a function that knows the nodes")}
"""What each option begins with, and what that is in words."""
Lines = list[tuple[int, str]]


def check_rabbitmq(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of rabbitmq.conf; `protocols` are the TLS versions allowed."""
    found: dict[str, Lines] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals:
            what, fix = "hides settings from this rule", "put the settings into this file"
            yield Problem(number, "a line without =", what, "lines of the form name = value", fix)
        found.setdefault(name.strip(), []).append((number, value.strip()))
    yield from _listeners(found)
    for prefix in _LISTENERS:
        yield from _secured(found, prefix, protocols)
    wanted = {"verify": "verify_peer", "fail_if_no_peer_cert": "true"}
    yield from _needed(found, {f"ssl_options.{name}": value for name, value in wanted.items()})
    yield from _connections(found)


def check_environment(text: str) -> Iterator[Problem]:
    """Problems of rabbitmq-env.conf, from which the server and its tools take Erlang's arguments."""
    found: dict[str, Lines] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, equals, value = line.removeprefix("export ").partition("=")
        if equals and name in _VARIABLES and not re.search(r"[;&|]", value):
            found.setdefault(name, []).append((number, value.strip("\"'")))
        elif line.strip() and not line.startswith("#"):
            what = "may hide settings from this rule"
            setting = name if equals and name.isidentifier() else "a line"
            yield Problem(number, setting, what, listed(_VARIABLES), "put what it says into rabbitmq.conf")
    for name in ("SERVER_ADDITIONAL_ERL_ARGS", "CTL_ERL_ARGS"):
        for number, value in found.get(name, [(0, "")]):
            for argument in _BETWEEN_NODES:
                # Erlang takes no notice of an argument that is given twice.
                if value.count(argument.split()[0]) != 1 or argument not in value:
                    what = f"does not have {argument} once, so that nodes and tools talk in plaintext"
                    yield Problem(number, name, what, listed(_BETWEEN_NODES), f"add {argument}")
    for number, value in found.get("ERL_AFLAGS", [(0, "")]):
        if "-start_epmd false" not in value:
            what = "starts epmd, which listens in plaintext"
            yield Problem(number, "ERL_AFLAGS", what, "-start_epmd false", "add -start_epmd false and an epmd module")


def check_inter_node_tls(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of Erlang's options for connections between nodes, for a server and for a client."""
    sides = dict(_SIDES.findall(text))
    for side in ("server", "client"):
        options = sides.get(side, "")
        for name, (value, allowed) in {**_OF_BOTH, **(_OF_SERVER if side == "server" else {})}.items():
            given = re.findall(rf"\{{{name},\s*([^}}]*)", options)
            if len(given) != 1 or not given[0].startswith(value):
                what = "is not set once as it must be, so that nodes are not sure of each other"
                yield Problem(0, f"{side} {name}", what, allowed, f"set `{name}` once for the {side}")
        versions = re.findall(r"\{versions,\s*\[([^\]]*)\]", options)
        if len(versions) != 1 or not _only(re.findall(r"[\w.]+", versions[0]), protocols):
            what, fix = "is not set once, or accepts other TLS versions", f"set `versions` once for the {side}"
            yield Problem(0, f"{side} versions", what, listed(protocols), fix)


def check_plugins(text: str) -> Iterator[Problem]:
    """Problems of enabled_plugins: a plugin may open listeners, and most of them do so in plaintext."""
    for number, line in enumerate(text.splitlines(), start=1):
        for name in re.findall(r"\w+", line):
            if name not in _PLUGINS:
                what = "may open listeners that this rule does not know"
                plugin = name if name.startswith("rabbitmq_") else "a plugin"
                yield Problem(number, plugin, what, listed(_PLUGINS), "remove it, or teach the rule its listeners")


def check_advanced(text: str) -> Iterator[Problem]:
    """Problems of advanced.config, which can undo any setting of rabbitmq.conf."""
    if re.sub(r"\s|%.*", "", text) not in ("", "[]."):
        what, fix = "hides settings from this rule", "put the settings into rabbitmq.conf"
        yield Problem(0, "advanced.config", what, "an empty list", fix)


def _listeners(found: dict[str, Lines]) -> Iterator[Problem]:
    if "listeners.tcp" not in found:
        what = "is not set, so the default opens a plaintext listener"
        yield Problem(0, "listeners.tcp", what, "none", "set `listeners.tcp = none`")
    for name, lines in found.items():
        for number, value in lines:
            if {"tcp", "listener"} & set(name.split(".")) and _NO_LISTENERS.get(name) != value:
                what, allowed = (
                    "opens a listener that may be plaintext",
                    "listeners.ssl, management.ssl, prometheus.ssl",
                )
                yield Problem(number, f"{name} = {value}", what, allowed, "remove it, or set it to none")
    for name in ("management.ssl.port", "prometheus.ssl.port"):
        if name not in found:
            what = "is not set, so the default opens a plaintext listener"
            yield Problem(0, name, what, "a port", f"set `{name}` to the service's port")


def _secured(found: dict[str, Lines], prefix: str, protocols: Sequence[str]) -> Iterator[Problem]:
    for name in (f"{prefix}.{file}" for file in _FILES):
        if not any(value for _, value in found.get(name, [])):
            yield Problem(0, name, "is not set", "the path of a PEM file", f"set `{name}` to the mounted file")
    versions = {name: lines for name, lines in found.items() if name.startswith(f"{prefix}.versions.")}
    fix = f"set `{prefix}.versions.1 = tlsv1.3` alone"
    if not versions:
        yield Problem(0, f"{prefix}.versions", "is not set, so older TLS versions are accepted", listed(protocols), fix)
    for name, lines in versions.items():
        for number, value in lines:
            if not _only([value], protocols):
                yield Problem(number, f"{name} = {value}", "accepts another TLS version", listed(protocols), fix)


def _needed(found: dict[str, Lines], wanted: dict[str, str]) -> Iterator[Problem]:
    for name, value in wanted.items():
        for number, given in found.get(name, [(0, "")]):
            if given != value:
                setting, what = f"{name} = {given}" if given else name, "lets clients in without a certificate"
                yield Problem(number, setting, what, value, f"set `{name} = {value}`")


def _connections(found: dict[str, Lines]) -> Iterator[Problem]:
    """What it sends to others."""
    for name, lines in found.items():
        for number, value in lines:
            if name.startswith("log.syslog") or re.match(r"(?:http|ldap|amqp)://", value):
                what = "may talk to others in plaintext"
                yield Problem(number, name, what, "TLS connections", "use TLS there, or remove it")


def _only(versions: Iterable[str], protocols: Sequence[str]) -> bool:
    """Whether Erlang's names of TLS versions are among those allowed; tlsv1.3 is TLSv1.3."""
    given = set(versions)
    return bool(given) and given <= {protocol.lower() for protocol in protocols}
