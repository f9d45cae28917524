"""The plan of a gateway -> nginx.conf and the exporter's web configuration. Pure.

nginx documentation: ngx_core_module, ngx_http_core_module, ngx_http_ssl_module, ngx_http_v2_module. Holds no secret:
certificates are files. `@name_servers@` is filled in where it runs, by start.sh.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import ceil

from components.core.bindings import Binding
from components.core.mounts import OWN
from components.nginx.locations import render_locations, render_proxying, render_shared, render_upstream, upstreams_of
from components.nginx.spec import RESERVED, NginxSpec

ETC = "/etc/gateway"
RUN = "/run/gateway"
PORT = 8443
PUBLISHED = 443
HEALTH_PORT = 8444
METRICS_PORT = 9113
STATUS_SOCKET = f"{RUN}/status.sock"
SELF_CHECK = f"{RESERVED}/ready"
"""Path on the public listener by which an instance checks itself."""

_HSTS = "max-age=31536000; includeSubDomains; preload"
_COMPRESSED = (
    "text/plain text/css text/xml text/javascript application/javascript application/json application/ld+json "
    "application/manifest+json application/problem+json application/xml application/xhtml+xml application/rss+xml "
    "application/wasm image/svg+xml font/ttf font/otf"
)
_LOG_FIELDS = {
    "time": "$time_iso8601",
    "request_id": "$request_id",
    "client": "$remote_addr",
    "host": "$host",
    "method": "$request_method",
    "path": "$logged_path",
    "protocol": "$server_protocol",
    "tls": "$ssl_protocol",
    "status": "$status",
    "sent_bytes": "$bytes_sent",
    "seconds": "$request_time",
    "upstream": "$upstream_addr",
    "upstream_status": "$upstream_status",
    "upstream_seconds": "$upstream_response_time",
    "user_agent": "$http_user_agent",
}


def render_nginx_conf(spec: NginxSpec, internal_hosts: Sequence[str], bindings: Mapping[str, Binding]) -> str:
    """nginx.conf of a gateway that is also reached by `internal_hosts` from inside."""
    upstreams = upstreams_of(spec.routes, bindings)
    http = (
        *_logging(spec),
        *_limits(),
        *_tls(),
        *_compression(spec.brotli),
        *_client_address(spec),
        *_maps(spec),
        *render_shared(spec.routes),
        *(line for upstream in upstreams for line in render_upstream(upstream)),
        *_block("server", _strangers()),
        *_block("server", _public(spec, internal_hosts, bindings)),
        *_block("server", _health(spec.hosts[0])),
        *_block("server", _status()),
    )
    lines = (*_process(spec), *_block("events", ("worker_connections 4096;",)), *_block("http", http))
    return "\n".join(lines) + "\n"


def render_web_config() -> str:
    """Web configuration of nginx-prometheus-exporter (exporter-toolkit, "web configuration")."""
    return f"tls_server_config:\n  cert_file: {OWN}/tls.crt\n  key_file: {OWN}/tls.key\n  min_version: TLS13\n"


def _block(name: str, lines: Sequence[str] | Iterator[str]) -> Iterator[str]:
    yield f"{name} {{"
    yield from (f"    {line}" for line in lines)
    yield "}"


def _process(spec: NginxSpec) -> Iterator[str]:
    cpu = spec.resources.cpu
    cores = int(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)
    yield f"worker_processes {ceil(cores)};"
    yield "worker_rlimit_nofile 16384;"
    yield "worker_shutdown_timeout 20s;"
    yield f"pid {RUN}/nginx.pid;"
    yield "error_log stderr warn;"


def _logging(spec: NginxSpec) -> Iterator[str]:
    """One JSON object per request, without the query: it may hold a token."""
    fields = ",".join(f'"{name}":"{value}"' for name, value in _LOG_FIELDS.items())
    yield f"error_log stderr {spec.error_log};"
    yield 'map $request_uri $logged_path { default ""; "~^(?<path_alone>[^?]*)" $path_alone; }'
    yield f"log_format json escape=json '{{{fields}}}';"
    yield "access_log /dev/stdout json;"


def _limits() -> Iterator[str]:
    """Slow or greedy clients cost little, and no body touches the disk."""
    yield "server_tokens off;"
    yield "default_type application/octet-stream;"
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        yield f"{kind}_temp_path {RUN}/{kind};"
    yield "proxy_max_temp_file_size 0;"
    yield "proxy_request_buffering off;"
    yield "proxy_http_version 1.1;"
    yield "proxy_connect_timeout 3s;"
    yield "proxy_next_upstream_tries 2;"
    yield "client_header_timeout 10s;"
    yield "client_body_timeout 30s;"
    yield "send_timeout 30s;"
    yield "keepalive_timeout 65s;"
    yield "large_client_header_buffers 4 16k;"
    yield "reset_timedout_connection on;"
    yield "limit_req_status 429;"
    yield "limit_req_log_level notice;"
    yield "resolver @name_servers@ valid=5s;"
    yield "resolver_timeout 5s;"


def _tls() -> Iterator[str]:
    yield "ssl_protocols TLSv1.3;"
    yield f"ssl_certificate {OWN}/tls.crt;"
    yield f"ssl_certificate_key {OWN}/tls.key;"
    yield "ssl_session_cache shared:tls:10m;"
    yield "ssl_session_timeout 1h;"
    yield "ssl_session_tickets off;"
    yield "ssl_early_data off;"
    yield "http2 on;"


def _compression(brotli: bool) -> Iterator[str]:
    """The service's own compression is left alone; of what both offer, clients that can get brotli."""
    yield "gzip on;"
    yield "gzip_comp_level 5;"
    yield "gzip_min_length 1024;"
    yield "gzip_proxied any;"
    yield "gzip_vary on;"
    yield f"gzip_types {_COMPRESSED};"
    if brotli:
        yield "brotli on;"
        yield "brotli_comp_level 5;"
        yield "brotli_min_length 1024;"
        yield f"brotli_types {_COMPRESSED};"


def _client_address(spec: NginxSpec) -> Iterator[str]:
    if spec.trusted_proxies:
        yield from (f"set_real_ip_from {network};" for network in spec.trusted_proxies)
        yield "real_ip_header X-Forwarded-For;"
        yield "real_ip_recursive on;"


def _maps(spec: NginxSpec) -> Iterator[str]:
    yield 'map $http_upgrade $websocket_upgrade { default ""; ~*^websocket$ websocket; }'
    yield 'map $websocket_upgrade $connection_upgrade { default ""; websocket upgrade; }'
    yield "map $upstream_http_content_security_policy $own_csp {"
    yield '    default "";'
    yield f'    "" "{spec.content_security_policy}";'
    yield "}"


def _strangers() -> Iterator[str]:
    """Whoever asks for another name: no handshake, and no answer to a name slipped in after one."""
    yield f"listen {PORT} ssl default_server;"
    yield "server_name _;"
    yield "ssl_reject_handshake on;"
    yield "return 421;"


def _public(spec: NginxSpec, internal_hosts: Sequence[str], bindings: Mapping[str, Binding]) -> Iterator[str]:
    security = (
        f'add_header Strict-Transport-Security "{_HSTS}" always;',
        "add_header X-Frame-Options DENY always;",
        "add_header X-Content-Type-Options nosniff always;",
        "add_header Referrer-Policy strict-origin-when-cross-origin always;",
        "add_header Content-Security-Policy $own_csp always;",
        "add_header X-Request-ID $request_id always;",
    )
    yield f"listen {PORT} ssl;"
    yield f"server_name {' '.join((*spec.hosts, *internal_hosts))};"
    yield from security
    yield from render_proxying()
    yield f"location = {SELF_CHECK} {{ access_log off; return 204; }}"
    yield from render_locations(spec.routes, bindings, security)


def _health(host: str) -> Iterator[str]:
    """Alive: nginx answers. Ready: its public listener proves the name that clients ask for."""
    yield f"listen {HEALTH_PORT} ssl;"
    yield "server_name _;"
    yield "access_log off;"
    yield "location = /live { return 204; }"
    yield "location = /ready {"
    yield f"    proxy_pass https://127.0.0.1:{PORT}{SELF_CHECK};"
    yield "    proxy_ssl_protocols TLSv1.3;"
    yield "    proxy_ssl_verify on;"
    yield "    proxy_ssl_verify_depth 2;"
    yield f"    proxy_ssl_trusted_certificate {OWN}/ca.crt;"
    yield "    proxy_ssl_server_name on;"
    yield f"    proxy_ssl_name {host};"
    yield f"    proxy_set_header Host {host};"
    yield "}"
    yield "location / { return 404; }"


def _status() -> Iterator[str]:
    """For the exporter beside it, which serves the figures with TLS."""
    yield f"listen unix:{STATUS_SOCKET};"
    yield "access_log off;"
    yield "location = /stub_status { stub_status; }"
    yield "location / { return 404; }"
