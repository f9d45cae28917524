"""Text of every file that the server and its helpers read, but for accounts and buckets. Pure.

versitygw's wiki, "Global Options" and "POSIX Backend", for the variables; nginx documentation, ngx_http_proxy_module
and ngx_http_ssl_module.
"""

from collections.abc import Iterable, Iterator

from components.core.mounts import OWN, ROOT
from components.core.types import bytes_of

ETC = "/etc/objects"
"""Directory of the configuration and the scripts."""
ACCOUNTS = f"{ROOT}/accounts"
"""Directory of the accounts, which the server reads anew for each request."""
KEPT = f"{ROOT}/kept"
"""Directory of the declared buckets and of the account that keeps them."""
DATA = "/var/tmp"  # noqa: S108 - a volume
"""The image has no folder for data. A new volume takes over the mode of what it covers, and here any user may write."""
RUN = "/run/objects"
"""Directory of the socket between nginx and the server, in memory."""
SCRATCH = "/tmp"  # noqa: S108 - private to the instance
APPLIED, TRIED = f"{SCRATCH}/applied", f"{SCRATCH}/tried"
PORT = 7070
HEALTH, FRONT = "/-/health", "/-/front"
"""Paths that no bucket can have: the server's own answer, and nginx's."""
SOCKET = f"{RUN}/s3.sock"
BUCKETS, VERSIONS = f"{DATA}/buckets", f"{DATA}/versions"

SCRIPTS = ("buckets.sh", "front.sh", "start.sh")

_MEBIBYTE = 2**20
_OF_ONE_REQUEST = 4 * _MEBIBYTE
"""Memory that a request may take: the buffer of a mebibyte, twice while it is copied, and the rest."""


def render_server(region: str, memory: str) -> str:
    """versitygw.conf, the server's variables. It listens on a socket alone: of TLS it can't be told to refuse 1.2."""
    settings = {
        "VGW_PORT": SOCKET,
        "VGW_SOCKET_PERM": "0600",
        "VGW_REGION": region,
        "VGW_IAM_DIR": ACCOUNTS,
        "VGW_IAM_CACHE_DISABLE": "true",
        "VGW_VERSIONING_DIR": VERSIONS,
        "VGW_DISABLE_ACL": "true",
        "VGW_HEALTH": HEALTH,
        # Without, it closes connections before nginx has read what it said.
        "VGW_KEEP_ALIVE": "true",
        "VGW_POSIX_CONCURRENCY": bytes_of(memory) // _OF_ONE_REQUEST,
        "VGW_QUIET": "true",
        "GOMEMLIMIT": _memory_limit(memory),
    }
    return _lines(f"{name}={value}" for name, value in settings.items())


def render_drill(region: str, memory: str, socket: str) -> str:
    """versitygw-drill.conf, the variables of a scratch server on a socket. It has one account and no versions."""
    settings = {
        "VGW_PORT": socket,
        "VGW_SOCKET_PERM": "0600",
        "VGW_REGION": region,
        "VGW_KEEP_ALIVE": "true",
        "VGW_QUIET": "true",
        "GOMEMLIMIT": _memory_limit(memory),
    }
    return _lines(f"{name}={value}" for name, value in settings.items())


def render_front() -> str:
    """nginx.conf: TLS 1.3, and the request as it is, since its signature covers names, order and length."""
    http = (
        "server_tokens off;",
        "access_log off;",
        *(f"{kind}_temp_path {RUN}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
        "client_max_body_size 0;",
        "client_header_timeout 10s;",
        "client_body_timeout 60s;",
        "send_timeout 60s;",
        "large_client_header_buffers 4 32k;",
        # Names of metadata may have dots and underscores.
        "ignore_invalid_headers off;",
        "underscores_in_headers on;",
        "merge_slashes off;",
        "proxy_http_version 1.1;",
        "proxy_request_buffering off;",
        "proxy_max_temp_file_size 0;",
        # The parts of an upload are put together before it is acknowledged.
        "proxy_read_timeout 10m;",
        "ssl_protocols TLSv1.3;",
        f"ssl_certificate {OWN}/tls.crt;",
        f"ssl_certificate_key {OWN}/tls.key;",
        "ssl_session_cache shared:tls:2m;",
        "ssl_session_tickets off;",
        *_block("server", _server()),
    )
    # As a warning it would say at each upload that the server has said more than it should: it takes for a request what
    # it has left unread of this one's end. Each request has a connection of its own, so that nobody is given that.
    process = ("worker_processes 2;", f"pid {RUN}/nginx.pid;", "error_log stderr error;")
    return _lines((*process, *_block("events", ("worker_connections 2048;",)), *_block("http", http)))


def _server() -> Iterator[str]:
    yield f"listen {PORT} ssl;"
    yield f"location = {FRONT} {{ return 204; }}"
    yield "location / {"
    yield f"    proxy_pass http://unix:{SOCKET};"
    yield "    proxy_set_header Host $http_host;"
    yield '    proxy_set_header Connection "";'
    yield "}"


def _memory_limit(memory: str) -> str:
    return f"{bytes_of(memory) * 85 // 100 // _MEBIBYTE}MiB"


def _block(name: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"{name} {{"
    yield from (f"    {line}" for line in lines)
    yield "}"


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
