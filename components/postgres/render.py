"""Configuration files, scripts and password verifiers of PostgreSQL, rendered from a plan. Pure.

PostgreSQL documentation, chapters "Client Authentication" and "Server Configuration"; RFC 5802 and RFC 7677 for SCRAM.
Holds no password: servers receive verifiers, from which a password can't be read back.
"""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping

from components.core.backups.contract import Restore
from components.postgres.plan import METRICS_PORT, PORT, PostgresPlan

CONFIG = "/etc/postgresql"
SECRETS = "/run/secrets/postgresql"
SOCKET = "/var/run/postgresql"
DATA = "/var/lib/postgresql"
RESTORED = f"{DATA}/restore"
"""Where a helper puts what it fetches of a backup, on the server's volume."""
SCRATCH = "/tmp"  # noqa: S108 - private to the pod
APPLIED = f"{SCRATCH}/roles-applied"
TRIED = f"{SCRATCH}/roles-tried"
METRICS_ROLE = "groundwork_metrics"
"""Can't be the name of a consumer, since service names hold no underscore."""
BACKUP_SLOT = "groundwork_backup"
"""Where a backup is in the log. One that nobody reads any more would keep the log for ever."""

REFUSE_PLAINTEXT = "hostnossl all all all reject"
REFUSE_REST = "host all all all reject"

_ITERATIONS = 4096
_PRELUDE = f"""\
\\set ON_ERROR_STOP on
SET client_min_messages = warning;
SELECT 'CREATE ROLE {METRICS_ROLE} LOGIN'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{METRICS_ROLE}') \\gexec
SELECT 'GRANT pg_monitor TO {METRICS_ROLE}'
  WHERE NOT pg_has_role('{METRICS_ROLE}', 'pg_monitor', 'MEMBER') \\gexec
"""  # noqa: S608
_BACKUP_ROLE = """
SELECT 'CREATE ROLE "{role}" LOGIN REPLICATION'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec
SELECT 'ALTER ROLE "{role}" LOGIN REPLICATION NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD NULL'
  FROM pg_authid WHERE rolname = '{role}' AND (rolpassword IS NOT NULL OR NOT rolcanlogin
  OR NOT rolreplication OR rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls) \\gexec
"""
_NO_BACKUP = f"""
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{BACKUP_SLOT}' AND NOT active;
"""  # noqa: S608
_INITDB = """\
  initdb --pgdata={data}.new --username=postgres --auth-local=peer --auth-host=reject --no-instructions \\
    --encoding=UTF8 --locale=C.UTF-8 --locale-provider=builtin --builtin-locale=C.UTF-8 --data-checksums"""


def data_directory(plan: PostgresPlan) -> str:
    """Where the official image keeps the cluster since version 18: below the volume, by major version."""
    return f"{DATA}/{plan.version.split('.')[0]}/docker"


def render_conf(plan: PostgresPlan) -> str:
    """postgresql.conf of a single server."""
    settings = {
        **plan.settings,
        **(_recovery(plan.spec.restore) if plan.spec.restore else {}),
        # The default is files in /dev/shm, of which a container has 64 MiB: parallel queries would fail for want of it.
        # System V segments are bounded by the container's memory alone; the data directory (mmap) would be written to.
        "dynamic_shared_memory_type": "sysv",
        "hba_file": f"{CONFIG}/pg_hba.conf",
        "ident_file": f"{CONFIG}/pg_ident.conf",
        "listen_addresses": "",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "port": str(PORT),
        "ssl": "on",
        "ssl_ca_file": f"{SECRETS}/ca.crt",
        "ssl_cert_file": f"{SECRETS}/tls.crt",
        "ssl_key_file": f"{SECRETS}/tls.key",
        "unix_socket_directories": SOCKET,
        "unix_socket_permissions": "0700",
    }
    return "".join(f"{key} = '{settings[key]}'\n" for key in sorted(settings))


def _recovery(restore: Restore) -> dict[str, str]:
    """Settings that a server heeds while it recovers, and never again. "Archive Recovery", "Recovery Target"."""
    until = {"recovery_target_time": restore.until.replace("T", " ").replace("Z", "+00")} if restore.until else {}
    return {
        "hot_standby": "off",
        "recovery_target_action": "promote",
        "restore_command": f"sh {CONFIG}/wal.sh {RESTORED} {RESTORED} %f %p",
        **until,
    }


def render_hba(plan: PostgresPlan) -> str:
    """pg_hba.conf of a single server: on the socket, each role that the pooler has let in, to its own database."""
    consumers = [f'local "{role}" "{role}" peer map=process' for role in plan.roles]
    # Before it passes replication through, the pooler logs in once as anybody would.
    backup = [f'local replication,postgres "{plan.backup_role}" peer map=process'] if plan.backup_role else []
    local = [
        "local all postgres peer map=process",
        f"local postgres {METRICS_ROLE} peer map=process",
        *consumers,
        *backup,
        "local all all reject",
    ]
    return "\n".join([REFUSE_PLAINTEXT, *local, REFUSE_REST, ""])


def pooled_hba(plan: PostgresPlan) -> list[str]:
    """pg_hba lines of replicated servers. Consumers arrive through the pooler, which shows its own certificate."""
    consumers = [f'hostssl "{role}" "{role}" all scram-sha-256 clientcert=verify-ca' for role in plan.roles]
    lookup = f'hostssl postgres "{plan.pooler_name}" all cert'
    return [REFUSE_PLAINTEXT, lookup, *consumers, REFUSE_REST]


def render_ident(plan: PostgresPlan) -> str:
    """pg_ident.conf of a single server: on the socket, the pod's processes are whoever they say they are."""
    roles = ["postgres", METRICS_ROLE, *(f'"{user}"' for user in plan.users)]
    return "".join(f"process postgres {role}\n" for role in roles)


def render_start(plan: PostgresPlan) -> str:
    """Script that makes the database cluster once and becomes the server.

    The image's own entry point is not used: it wants a superuser password and leaves it in the server's environment.
    """
    data = data_directory(plan)
    restore = plan.spec.restore
    begin = _INITDB.format(data=data)
    if restore:
        begin = f"  sh {CONFIG}/restore.sh {RESTORED} {restore.choice} {data}.new"
    return f"""\
set -eu
umask 077
if [ ! -s {data}/PG_VERSION ]; then
  # Made aside and moved, so that an interrupted first start leaves nothing half made; never moved over what is there.
  rm -rf {data}.new
  mkdir -p {data}.new
{begin}
  mv -T {data}.new {data}
fi
exec postgres -D {data} -c config_file={CONFIG}/postgresql.conf
"""


def render_roles_script() -> str:
    """Script that applies roles.sql once the server is up and again every minute, which heals changes made by hand."""
    return f"""\
export PGHOST={SOCKET} PGUSER=postgres PGDATABASE=postgres
# The first process of a container ignores signals that it has no trap for, and a shell looks at them between commands.
trap 'exit 0' TERM INT
pause() {{ sleep "$1" & wait $!; }}
rm -f {APPLIED}
while :; do
  touch {TRIED}
  if ! pg_isready -q; then pause 1; continue; fi
  if psql -X -q -f {CONFIG}/roles.sql; then touch {APPLIED}; pause 60; else pause 5; fi
done
"""


def render_roles(plan: PostgresPlan) -> str:
    """SQL that gives each consumer its role and database, and changes nothing where nothing is to be changed."""
    backup = _BACKUP_ROLE.format(role=plan.backup_role) if plan.backup_role else _NO_BACKUP
    return _PRELUDE + "".join(_role_sql(role) for role in plan.roles) + backup


def _role_sql(role: str) -> str:
    """No password: the pooler has seen a certificate."""
    attributes = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD NULL"
    return f"""
SELECT 'CREATE ROLE "{role}" LOGIN'
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec
SELECT 'ALTER ROLE "{role}" {attributes}'
  FROM pg_authid WHERE rolname = '{role}' AND (rolpassword IS NOT NULL OR NOT rolcanlogin
  OR rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls) \\gexec
SELECT 'CREATE DATABASE "{role}" OWNER "{role}"'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{role}') \\gexec
SELECT 'ALTER DATABASE "{role}" OWNER TO "{role}"'
  FROM pg_database WHERE datname = '{role}' AND pg_get_userbyid(datdba) <> '{role}' \\gexec
SELECT 'REVOKE ALL ON DATABASE "{role}" FROM PUBLIC'
  WHERE has_database_privilege('public', '{role}', 'CONNECT') \\gexec
"""  # noqa: S608


def exporter_environment() -> Mapping[str, str]:
    """The exporter enters by the socket, where its process is known: it needs no password."""
    return {"DATA_SOURCE_NAME": f"host={SOCKET} user={METRICS_ROLE} dbname=postgres"}


def exporter_arguments() -> tuple[str, ...]:
    """Command line of the exporter."""
    return (f"--web.listen-address=:{METRICS_PORT}", f"--web.config.file={CONFIG}/exporter.yml")


def scram_verifier(password: str, role: str) -> str:
    """What PostgreSQL stores for a password; the same input gives the same, so an unchanged `up` changes nothing.

    The salt is derived from the password, which is random and used once, so it is as unpredictable as a drawn one.
    """
    salt = hmac.digest(password.encode(), f"salt of {role}".encode(), "sha256")[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    text = [b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${_ITERATIONS}:{text[0]}${text[1]}:{text[2]}"
