"""Configuration of ClickHouse: servers, Keeper, and clients (ClickHouse documentation, "Server Settings", "Composable
Protocols", "Configuring SSL-TLS", "ClickHouse Keeper").

Reads JSON only, a subset of YAML in which nothing is said twice. What is put in from elsewhere may be a secret or a
name of the instance, and nothing else, so that no setting can hide there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policies.readers.problem import Problem, listed

_PLAINTEXT = (
    "http_port", "tcp_port", "tcp_with_proxy_port", "tcp_ssh_port", "interserver_http_port", "mysql_port",
    "postgresql_port", "grpc_port", "arrowflight_port", "graphite",
)  # fmt: skip
"""Settings that open a listener, or send metrics, without TLS or without asking for it."""
_KEEPER_PLAINTEXT = ("tcp_port", "http_control")
_FILES = ("certificateFile", "privateKeyFile", "caConfig")
_OLDER = {"sslv2": "SSLv2", "sslv3": "SSLv3", "tlsv1": "TLSv1", "tlsv1_1": "TLSv1.1", "tlsv1_2": "TLSv1.2"}
_WATCHED = ("ping", "prometheus", "replicas_status")
"""Handlers that give nothing of the data away, so that who has no certificate may ask them."""
_PUT_IN = {
    "@incl": ("password", "password_sha256_hex", "secret"),
    "@from_env": ("interserver_https_host", "replica", "server_id", "shard"),
    "@from_zk": (),
}
"""Settings whose value may come from elsewhere."""
Block = Mapping[str, Any]


def check_clickhouse(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of a server's or Keeper's configuration; `protocols` are the TLS versions allowed."""
    conf, unread = _read(text)
    yield from unread
    if conf is None:
        return
    for name in _PLAINTEXT:
        if name in conf:
            yield Problem(0, name, "is plaintext, or lets it in", f"no {name}", f"remove `{name}`")
    if "port" in _block(conf, "prometheus"):
        fix = "remove `prometheus.port`, and serve metrics by `protocols`"
        yield Problem(0, "prometheus.port", "serves metrics in plaintext", "no port", fix)
    if "address" in _block(_block(conf, "logger"), "syslog"):
        yield Problem(0, "logger.syslog.address", "sends logs in plaintext", "no address", "remove it")
    for side in ("server", "client"):
        yield from _tls(f"openSSL.{side}", _block(_block(conf, "openSSL"), side), protocols)
    for name in _block(conf, "protocols"):
        yield from _endpoint(conf, name, protocols)
    yield from _between_servers(conf)
    yield from _keeper(_block(conf, "keeper_server"))


def check_clickhouse_client(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of a client's configuration."""
    conf, unread = _read(text)
    yield from unread
    if conf is None:
        return
    if not _is_on(conf.get("secure")):
        yield Problem(0, "secure", "is not true, so it connects in plaintext", "true", "set `secure: true`")
    yield from _tls("openSSL.client", _block(_block(conf, "openSSL"), "client"), protocols)


def check_clickhouse_users(text: str) -> Iterator[Problem]:
    """Problems of users: each proves itself, and no password is here in plain."""
    conf, unread = _read(text)
    yield from unread
    for name, user in _block(conf or {}, "users").items():
        for field, what in (("no_password", "lets anybody in"), ("password", "is kept in plain")):
            if field in user:
                fix = "set password_sha256_hex or ssl_certificates"
                yield Problem(0, f"users.{name}.{field}", what, "a hash or a certificate", fix)


def _read(text: str) -> tuple[Block | None, list[Problem]]:
    """The configuration, if it can be read, and what hides in it."""
    try:
        conf = json.loads(text, object_pairs_hook=_once)
    except ValueError as error:
        line, allowed = getattr(error, "lineno", 0), "JSON, each setting once"
        fix = "write it as JSON, which is YAML as well"
        return None, [Problem(line, "syntax", "can't be read", allowed, fix)]
    return conf, list(_hidden("", conf))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a setting occurs twice")
    return found


def _hidden(path: str, value: Any) -> Iterator[Problem]:
    """Whatever is put in where this rule does not see it."""
    if isinstance(value, list):
        for item in value:
            yield from _hidden(path, item)
    for name, inner in value.items() if isinstance(value, dict) else ():
        where = f"{path}.{name}".lstrip(".")
        setting = path.rpartition(".")[2]
        if name == "include" or (name in _PUT_IN and setting not in _PUT_IN[name]):
            allowed = listed(_PUT_IN.get(name, ())) or "settings in this file"
            yield Problem(0, where, "hides settings from this rule", allowed, "put the settings into this file")
        yield from _hidden(where, inner)


def _tls(path: str, block: Block, protocols: Sequence[str], *, mutual: bool = True) -> Iterator[Problem]:
    for name in _FILES:
        if not block.get(name):
            fix = f"set `{path}.{name}` to the mounted file"
            yield Problem(0, f"{path}.{name}", "is not set", "the path of a PEM file", fix)
    refused = [word.strip() for word in str(block.get("disableProtocols", "")).split(",")]
    accepted = [name for word, name in _OLDER.items() if word not in refused and name not in protocols]
    if accepted:
        wanted = ",".join(word for word, name in _OLDER.items() if name not in protocols)
        fix = f"set `{path}.disableProtocols: {wanted}`"
        yield Problem(0, f"{path}.disableProtocols", f"accepts {listed(accepted)}", listed(protocols), fix)
    if mutual and block.get("verificationMode") != "strict":
        what = "is not strict, so the other side need not prove itself"
        yield Problem(0, f"{path}.verificationMode", what, "strict", f"set `{path}.verificationMode: strict`")
    if _block(block, "invalidCertificateHandler").get("name") == "AcceptCertificateHandler":
        what = "takes any certificate"
        yield Problem(0, f"{path}.invalidCertificateHandler", what, "RejectCertificateHandler", "remove it")


def _endpoint(conf: Block, name: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """An entry of `protocols` with a port, and the layers it is made of."""
    layers = list(_layers(_block(conf, "protocols"), name))
    if "port" not in layers[0][1]:
        return
    path = f"protocols.{name}"
    secured = [(layer, block) for layer, block in layers if block.get("type") == "tls"]
    if not secured:
        fix = f"set `{path}.type: tls` and `impl` to the protocol below it"
        yield Problem(0, path, "is a plaintext listener", "a layer of type tls", fix)
    for layer, block in secured:
        # Without a certificate of its own it has all of the server's settings.
        if any(file in block for file in _FILES):
            yield from _tls(f"protocols.{layer}", block, protocols, mutual=not _only_watched(conf, layers))


def _layers(entries: Block, name: str) -> Iterator[tuple[str, Block]]:
    met: set[str] = set()
    while name and name not in met:
        met.add(name)
        block = _block(entries, name)
        yield name, block
        name = str(block.get("impl", ""))


def _only_watched(conf: Block, layers: Sequence[tuple[str, Block]]) -> bool:
    """Whether an endpoint offers nothing but health and metrics."""
    _, last = layers[-1]
    if last.get("type") == "prometheus":
        return not _block(conf, "prometheus").get("handlers")
    rules = _block(conf, str(last.get("handlers", "")))
    kinds = [_block(rule, "handler").get("type") for rule in rules.values() if isinstance(rule, dict)]
    return last.get("type") == "http" and bool(rules) and len(kinds) == len(rules) and set(kinds) <= set(_WATCHED)


def _between_servers(conf: Block) -> Iterator[Problem]:
    """Whom a server connects to: the others of its cluster, and Keeper."""
    nodes = [("zookeeper.node", node) for node in _items(_block(conf, "zookeeper"), "node")]
    for cluster, block in _block(conf, "remote_servers").items():
        for shard in _items(block, "shard"):
            nodes += [(f"remote_servers.{cluster}", replica) for replica in _items(shard, "replica")]
    plain = {path: None for path, node in nodes if not _is_on(node.get("secure"))}
    for path in plain:
        what, fix = "has a node that is reached in plaintext", "set `secure: 1` on each node"
        yield Problem(0, path, what, "secure nodes", fix)
    if "zookeeper" in conf and "interserver_https_port" not in conf:
        what, fix = "is not set, so replicas could only talk in plaintext", "set `interserver_https_port: 9010`"
        yield Problem(0, "interserver_https_port", what, "a port", fix)


def _keeper(keeper: Block) -> Iterator[Problem]:
    for name in _KEEPER_PLAINTEXT:
        if name in keeper:
            path = f"keeper_server.{name}"
            yield Problem(0, path, "opens a plaintext listener", f"no {name}", f"remove `{path}`")
    if keeper and not _is_on(_block(keeper, "raft_configuration").get("secure")):
        path = "keeper_server.raft_configuration.secure"
        yield Problem(0, path, "is not true, so Keepers talk in plaintext", "true", f"set `{path}: true`")


def _block(conf: Block, name: str) -> Block:
    found = conf.get(name)
    return found if isinstance(found, dict) else {}


def _items(conf: Block, name: str) -> Iterator[Block]:
    """One or several; the server reads both alike."""
    found = conf.get(name, [])
    yield from (item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict))


def _is_on(value: Any) -> bool:
    return str(value).lower() in ("1", "true", "yes", "on")
