"""TLS settings of CloudNativePG resources (CloudNativePG API reference; Barman Cloud plugin, "Object stores").

The operator writes postgresql.conf, pg_hba.conf and pgbouncer.ini from these; this reads what they are made of.
"""

from collections.abc import Sequence

from policies.kit.node import TRUE, all_known
from policies.kit.rule import Check
from policies.kit.secrets import shown
from policies.readers.postgres import check_minimum, check_pg_hba

BARMAN = "barmancloud.cnpg.io"
_CERTIFICATES = ("serverTLSSecret", "serverCASecret", "clientCASecret", "replicationTLSSecret")


def check_cluster(check: Check, protocols: Sequence[str], methods: Sequence[str]) -> None:
    """A Cluster: certificates of our own, no plaintext connection, TLS on its metrics."""
    spec = check.root.at("spec")
    for name in _CERTIFICATES:
        node = spec.at("certificates", name)
        if node.missing:
            fix = "name the Secret of the service's own certificate"
            check.fail(
                node.path, "is not set, so the operator signs with a root of its own", "the name of a Secret", fix
            )
    parameters = spec.at("postgresql", "parameters")
    if parameters.at("ssl").differs(None, "on"):
        check.fail(parameters.at("ssl").path, "turns TLS off", "on", "remove the parameter")
    minimum = parameters.at("ssl_min_protocol_version")
    if minimum.known:
        for problem in check_minimum([(0, minimum.text)] if minimum.text else [], protocols):
            check.fail(minimum.path, problem.what, problem.allowed, problem.fix)
    _host_rules(check, methods)
    metrics = spec.at("monitoring", "tls", "enabled")
    if metrics.differs(TRUE):
        check.fail(
            metrics.path, "is not true, so metrics are served in plaintext", "true", f"set {metrics.path} to true"
        )


def _host_rules(check: Check, methods: Sequence[str]) -> None:
    entries = check.root.at("spec", "postgresql", "pg_hba")
    lines = entries.items
    if not all_known(entries, *lines):
        return
    for problem in check_pg_hba("\n".join(line.text for line in lines), methods):
        where = f"{entries.path}[{problem.line - 1}] `{problem.setting}`" if problem.line else f"{entries.path}"
        check.fail(where, problem.what, problem.allowed, problem.fix)


def check_pooler(check: Check, protocols: Sequence[str], metrics_tls: bool) -> None:
    """A Pooler: clients must use TLS, the server is verified, metrics use TLS."""
    spec = check.root.at("spec")
    parameters = spec.at("pgbouncer", "parameters")
    client = parameters.at("client_tls_sslmode")
    if client.differs("require", "verify-ca", "verify-full"):
        what = f"is {shown(client.value)}, so clients may connect in plaintext"
        check.fail(client.path, what, "require, verify-ca, verify-full", f"set {client.path} to verify-full")
    server = parameters.at("server_tls_sslmode")
    if server.differs(None, "verify-ca", "verify-full"):
        what = f"is {shown(server.value)}, so the server is not verified"
        check.fail(server.path, what, "verify-ca, verify-full", f"set {server.path} to verify-full")
    versions = parameters.at("server_tls_protocols")
    if versions.known and versions.text and not set(_versions(versions.text)) <= set(protocols):
        what = f"is {shown(versions.value)}, which accepts other TLS versions"
        check.fail(versions.path, what, ", ".join(protocols), f"set {versions.path} to tlsv1.3")
    metrics = spec.at("monitoring", "tls", "enabled")
    if metrics_tls and metrics.differs(TRUE):
        check.fail(
            metrics.path, "is not true, so metrics are served in plaintext", "true", f"set {metrics.path} to true"
        )


def check_object_store(check: Check) -> None:
    """An ObjectStore of the Barman Cloud plugin: its endpoint, where it names one, is reached by TLS."""
    endpoint = check.root.at("spec", "configuration", "endpointURL")
    if endpoint.known and endpoint.text and not endpoint.text.startswith("https://"):
        check.fail(endpoint.path, "is reached in plaintext", "an address with https://", "use https://")


def _versions(text: str) -> list[str]:
    return [word.strip().replace("tls", "TLS", 1) for word in text.lower().split(",")]
