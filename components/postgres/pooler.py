"""The connection pooler in front of a replicated PostgreSQL: PgBouncer, run by CloudNativePG. Pure.

CloudNativePG documentation, "Connection pooling"; PgBouncer documentation, "Configuration".
The operator's own integration needs the key of the client authority to make the pooler's certificate. That key stays
with the environment's authority, so what the integration would make is declared here and in the cluster's first SQL.
"""

from collections.abc import Mapping

from components.core.site import Placement
from components.postgres.pgbouncer import reset_settings
from components.postgres.plan import PostgresPlan
from components.postgres.pods import inherited_labels, pooler_selector, resources, spread
from components.targets.kubernetes.labels import Manifest
from components.targets.kubernetes.placement import region_affinity

_TLS13_ONLY = "PSK-AES256-GCM-SHA384"
"""The operator offers no setting for the pooler's TLS version. With a cipher that only pre-shared keys can use, and no
such key, no TLS 1.2 handshake succeeds; TLS 1.3 has ciphers of its own."""
_FAILOVER = {
    # Whoever was refused is refused for so long again: the default of 15 s outlasts the failover itself.
    "server_login_retry": "1",
    # A primary whose node is gone answers nothing; after this much a connection to its successor is tried.
    "server_connect_timeout": "5",
    "tcp_keepidle": "5",
    "tcp_keepintvl": "1",
    "tcp_user_timeout": "5000",
}
"""How soon the pooler leaves a lost primary, in seconds, the last in milliseconds. PgBouncer documentation, "Connection
sanity checks, timeouts" and "Low-level network settings". Measured through the pooler: a lost primary is replaced in
4 to 10 s instead of 20 to 31 with the defaults."""


def render_pooler(plan: PostgresPlan, placement: Placement, labels: Mapping[str, str]) -> Manifest:
    """Spec of the Pooler."""
    instances, size = plan.pooler.instances, plan.pooler.resources
    return {
        "cluster": {"name": plan.name},
        "type": "rw",
        "instances": instances,
        "monitoring": {"tls": {"enabled": True}},
        "pgbouncer": _pgbouncer(plan),
        "template": {
            "metadata": {"labels": inherited_labels(labels)},
            "spec": {
                "affinity": {"nodeAffinity": region_affinity(placement)},
                "topologySpreadConstraints": spread(
                    plan.name, placement, instances, pooler_selector(plan), rolling=True
                ),
                "containers": [{"name": "pgbouncer", "resources": resources(size.cpu, size.memory)}],
            },
        },
    }


def _pgbouncer(plan: PostgresPlan) -> Manifest:
    pooler, own = plan.pooler, {"name": f"{plan.pooler_name}-tls"}
    users = [f'hostssl "{role}" "{role}" all scram-sha-256' for role in plan.roles]
    return {
        "image": plan.pooler_image,
        "poolMode": pooler.mode,
        "authQuery": "SELECT usename, passwd FROM public.user_search($1)",
        # One certificate in both directions and no Secret of the instances: a pooler can't pose as one of them.
        **dict.fromkeys(("clientCASecret", "clientTLSSecret", "serverCASecret", "serverTLSSecret"), own),
        "pg_hba": [*users, "host all all all reject"],
        "parameters": {
            **_FAILOVER,
            "client_tls_ciphers": _TLS13_ONLY,
            "client_tls_sslmode": "verify-full",
            "default_pool_size": str(pooler.pool_size),
            "max_client_conn": str(pooler.max_clients),
            "server_tls_sslmode": "verify-full",
            **reset_settings(pooler.mode),
        },
    }
