"""What a server was told, as the engine and as HAProxy take it. Pure.

ClickHouse documentation, "Configuration Files", "Server Settings", "SSL X.509 Certificate Authentication"; HAProxy
configuration manual, "bind", "http-request", "ssl_c_s_dn".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

HTTP_PORT, NATIVE_PORT = 8123, 9000
"""Where the engine listens, on the loopback address of the container."""
STOPPER = "gw_stop"
"""User that ends the engine."""
_LISTENER = "gw_listen"
"""Profile of the engine's own session, which no limit of a service's ends."""
_BY_HAPROXY = (
    "https_port", "include_from", "listen_host", "listen_try", "logger", "openSSL", "path", "protocols",
    "tcp_port_secure", "users_config", "watched_handlers",
)  # fmt: skip
_NOT_HERE = ("zookeeper", "keeper_server", "remote_servers", "interserver_https_port")


class NotHere(Exception):
    """What this image can't be."""


@dataclass(frozen=True)
class Signer:
    """A user whose certificate is its credential: the common name, and the addresses that it may come from."""

    user: str
    common_name: str
    addresses: tuple[str, ...]


def resolved(setting: Any, included: Mapping[str, str], environment: Mapping[str, str]) -> Any:
    """A setting with everything that it takes from elsewhere: from the file of secrets, or from the environment."""
    match setting:
        case {"@incl": name}:
            return included[name]
        case {"@from_env": name}:
            return environment[name]
        case dict():
            return {name: resolved(value, included, environment) for name, value in setting.items()}
        case list():
            return [resolved(value, included, environment) for value in setting]
        case _:
            return setting


def signers(users: Mapping[str, Any]) -> list[Signer]:
    """Users of the configuration that have no password."""
    return [
        Signer(name, user["ssl_certificates"]["common_name"], tuple(user.get("networks", {}).get("ip", ())))
        for name, user in users.items()
        if "ssl_certificates" in user
    ]


def engine_settings(server: Mapping[str, Any], users: Mapping[str, Any], secret: str) -> str:
    """config.xml of the engine. `secret`: the password of those who sign, which HAProxy alone knows.

    Raises NotHere for a server that others are needed for.
    """
    others = [name for name in _NOT_HERE if name in server]
    if others:
        raise NotHere(
            f"{', '.join(others)}: this image was made where no registry could be reached, and is one server by "
            "itself; set replicas: 1, or make the registry of the original reachable"
        )
    kept = {name: value for name, value in server.items() if name not in _BY_HAPROXY}
    handlers = {**server["watched_handlers"], "defaults": ""}
    root = ET.Element("clickhouse")
    # Unlike the server, it wants a right to the engine of each table otherwise.
    _fill(root, {"access_control_improvements": {"table_engines_require_grant": "false"}})
    _fill(root, {**kept, "http_port": HTTP_PORT, "tcp_port": NATIVE_PORT, "listen_host": "127.0.0.1"})
    _fill(root, {"http_handlers": handlers, "users_config": "config.xml", "quotas": {"default": {}, **users["quotas"]}})
    _fill(root, {"profiles": {"default": {}, **users["profiles"], _LISTENER: {}}})
    _fill(root, {"users": {**_users(users["users"], secret), **_own_users(secret)}})
    return ET.tostring(root, encoding="unicode")


def haproxy_settings(server: Mapping[str, Any], signing: Iterable[Signer], secret: str) -> str:
    """haproxy.cfg: TLS as the server was told to take it, and certificates in the place of passwords."""
    return "\n".join((*_general(), *_frontends(server), *_backends(signing, secret), ""))


def _general() -> Iterator[str]:
    # Otherwise it has room for as many as there may be open files, which a container may set no limit to.
    yield from ("global", "  ssl-load-extra-del-ext", "  maxconn 4000")
    yield from ("defaults", "  timeout connect 5s", "  timeout client 1h", "  timeout server 1h")


def _frontends(server: Mapping[str, Any]) -> Iterator[str]:
    """What it listens to. Who asks by HTTP at the port for ClickHouse's own protocol is answered, too."""
    tls = server["openSSL"]["server"]
    own = f"ssl crt {tls['certificateFile']} ssl-min-ver TLSv1.3 no-tls-tickets"
    asked = f"{own} ca-file {tls['caConfig']} verify required"
    watched = " ".join(rule["url"] for rule in server["watched_handlers"].values())
    yield from ("frontend https", "  mode http", f"  bind *:{server['https_port']} {asked}")
    yield "  default_backend asked"
    yield from ("frontend native", "  mode tcp", f"  bind *:{server['tcp_port_secure']} {asked}")
    yield "  tcp-request inspect-delay 10s"
    yield "  tcp-request content switch-mode http if HTTP"
    yield "  tcp-request content accept if { req.len gt 0 }"
    yield "  use_backend asked if HTTP"
    yield "  default_backend native"
    yield from ("frontend metrics", "  mode http", f"  bind *:{server['protocols']['metrics']['port']} {own}")
    yield f"  http-request deny deny_status 404 unless {{ path {watched} }}"
    yield "  default_backend told"


def _backends(signing: Iterable[Signer], secret: str) -> Iterator[str]:
    """Who answers: the engine, which knows who signs by a password that is put in here."""
    yield from ("backend asked", "  mode http")
    yield "  acl signed req.hdr(X-ClickHouse-SSL-Certificate-Auth) -m str on"
    yield "  http-request del-header X-ClickHouse-Key if signed"
    for signer in signing:
        yield f"  {_signed(signer, secret)}"
    yield "  http-request deny if signed !{ req.hdr(X-ClickHouse-Key) -m found }"
    yield "  http-request del-header X-ClickHouse-SSL-Certificate-Auth"
    yield f"  server engine 127.0.0.1:{HTTP_PORT}"
    yield from ("backend told", "  mode http", f"  server engine 127.0.0.1:{HTTP_PORT}")
    yield from ("backend native", "  mode tcp", f"  server engine 127.0.0.1:{NATIVE_PORT}")


def _signed(signer: Signer, secret: str) -> str:
    near = f" {{ src {' '.join(signer.addresses)} }}" if signer.addresses else ""
    who = f"{{ req.hdr(X-ClickHouse-User) -m str {signer.user} }} {{ ssl_c_s_dn(cn) -m str {signer.common_name} }}"
    return f"http-request set-header X-ClickHouse-Key {secret} if signed {who}{near}"


def _users(users: Mapping[str, Any], secret: str) -> dict[str, Any]:
    """The users; who signs has a password that nobody outside knows."""
    return {
        name: {**{key: value for key, value in user.items() if key != "ssl_certificates"}, "password": secret}
        if "ssl_certificates" in user
        else user
        for name, user in users.items()
    }


def _own_users(secret: str) -> dict[str, Any]:
    """The engine's own session can't have a password: whoever else logs in by its name finds nothing there."""
    return {
        "default": {
            "no_password": "",
            "profile": _LISTENER,
            "grants": {"query": ["GRANT SYSTEM LISTEN ON *.*"]},
        },
        STOPPER: {
            "password": secret,
            "profile": _LISTENER,
            "grants": {"query": ["GRANT KILL QUERY, SYSTEM FLUSH ON *.*", "GRANT SELECT ON system.processes"]},
        },
    }


def _fill(parent: ET.Element, settings: Mapping[str, Any]) -> None:
    """Settings as elements: a list is as many of one name."""
    for name, value in settings.items():
        for one in value if isinstance(value, list) else [value]:
            child = ET.SubElement(parent, name)
            if isinstance(one, Mapping):
                _fill(child, one)
            else:
                child.text = str(one)
