"""PgBouncer in front of a single PostgreSQL: its configuration, beside the server's. Pure.

PgBouncer documentation, "Configuration", "Authentication file format", "HBA file format". It listens where consumers
call, asks for a certificate that names the role, and reaches the server by its socket. Each consumer is one pool.
"""

from collections.abc import Mapping

from components.postgres.plan import PORT, PostgresPlan
from components.postgres.render import CONFIG, METRICS_ROLE, REFUSE_PLAINTEXT, REFUSE_REST, SECRETS, SOCKET

_LOOPBACK = "127.0.0.1"
_PROBE_MAP = "probe"
_RESETS = {"transaction": "RESET ALL", "session": "DISCARD ALL"}
"""What follows each use of a server connection. Without it a variable that a client sets for its session, such as the
tenant of a row-level security policy, would be the next client's too."""
_ASK = (
    f'$s = IO::Socket::INET->new(PeerAddr => "{_LOOPBACK}:{PORT}", Timeout => 2) or exit 1; '
    '$s->syswrite(pack "NN", 8, 80877104); $s->sysread($answer, 1); exit($answer ne "N")'
)
_PERL = ("perl", "-MIO::Socket::INET", "-e")
"""In every image that is made of Debian, which a client of PostgreSQL is not."""
ANSWERS = (*_PERL, _ASK)
"""Whether it says that it has no GSSAPI encryption, of all questions that need no certificate the one that it logs
nothing of. PostgreSQL documentation, "Message Formats", GSSENCRequest."""
LEADS = (*_PERL, f'-S "{SOCKET}/.s.PGSQL.{PORT}" or exit 1; {_ASK}')
"""The same, and whether there is a server to lead to."""
_START = f"""\
set -eu
trap 'exit 143' TERM INT
pgbouncer {CONFIG}/pgbouncer.ini &
pooler=$!
# On SIGTERM PgBouncer would wait for its clients to leave; the server's own shutdown doesn't either.
trap 'kill -QUIT $pooler' TERM INT
# A signal ends the first wait; the process has ended by the end of the second.
wait $pooler || wait $pooler
"""


def render_pooler(plan: PostgresPlan) -> Mapping[str, str]:
    """Its files by name. None holds a secret: a certificate is all that a client needs."""
    return {
        "pg_hba_pooler.conf": _render_hba(plan),
        "pgbouncer.ini": _render_ini(plan),
        "pooler.sh": _START,
        "userlist.txt": "".join(f'"{user}" ""\n' for user in (*plan.users, METRICS_ROLE)),
    }


def served(plan: PostgresPlan) -> tuple[str, ...]:
    """Command that asks the server a question through the pooler, as a consumer would, by the server's certificate."""
    files = f"sslrootcert={SECRETS}/ca.crt sslcert={SECRETS}/tls.crt sslkey={SECRETS}/tls.key"
    address = f"host={plan.host} hostaddr={_LOOPBACK} port={PORT} sslmode=verify-full {files} connect_timeout=3"
    return ("psql", "-X", "-w", "-Atqc", "SELECT 1", f"{address} user={METRICS_ROLE} dbname=postgres")


def probe_map(plan: PostgresPlan) -> str:
    """Line of pg_ident.conf by which the server's certificate may ask that question."""
    return f"{_PROBE_MAP} {plan.hosts[0]} {METRICS_ROLE}\n"


def reset_settings(mode: str) -> dict[str, str]:
    """Settings by which a server connection forgets each of its users."""
    return {"server_reset_query": _RESETS[mode], "server_reset_query_always": "1"}


def _render_ini(plan: PostgresPlan) -> str:
    databases = dict.fromkeys((*plan.roles, "postgres"), f"host={SOCKET}")
    if plan.backup_role:
        # What asks for replication asks for this name, and passes through unpooled.
        databases["replication"] = f"host={SOCKET} dbname=postgres"
    return f"[databases]\n{_lines(databases)}\n[pgbouncer]\n{_lines(_settings(plan))}"


def _settings(plan: PostgresPlan) -> dict[str, str]:
    return {
        "auth_file": f"{CONFIG}/userlist.txt",
        "auth_hba_file": f"{CONFIG}/pg_hba_pooler.conf",
        "auth_ident_file": f"{CONFIG}/pg_ident.conf",
        "auth_type": "hba",
        "client_tls_ca_file": f"{SECRETS}/ca.crt",
        "client_tls_cert_file": f"{SECRETS}/tls.crt",
        "client_tls_key_file": f"{SECRETS}/tls.key",
        "client_tls_protocols": "tlsv1.3",
        "client_tls_sslmode": "verify-full",
        "default_pool_size": str(plan.pooler.pool_size),
        # Drivers for Java send it, and it changes nothing since version 12 of the server.
        "ignore_startup_parameters": "extra_float_digits",
        "listen_addr": "*",
        "listen_port": str(PORT),
        # One of each per probe; refusals are logged all the same.
        "log_connections": "0",
        "log_disconnections": "0",
        "max_client_conn": str(plan.pooler.max_clients),
        "pool_mode": plan.pooler.mode,
        # Whoever was refused is refused for so long again; the default outlasts a restart of the server.
        "server_login_retry": "1",
        **reset_settings(plan.pooler.mode),
        # No socket of its own: there the name pgbouncer would be let in without proof.
        "unix_socket_dir": "",
    }


def _render_hba(plan: PostgresPlan) -> str:
    consumers = [f'hostssl "{role}" "{role}" all cert' for role in plan.roles]
    probe = f"hostssl postgres {METRICS_ROLE} {_LOOPBACK}/32 cert map={_PROBE_MAP}"
    backup = [f'hostssl replication "{plan.backup_role}" all cert'] if plan.backup_role else []
    return "\n".join([REFUSE_PLAINTEXT, *consumers, probe, *backup, REFUSE_REST, ""])


def _lines(settings: Mapping[str, str]) -> str:
    return "".join(f"{key} = {value}".rstrip() + "\n" for key, value in sorted(settings.items()))
