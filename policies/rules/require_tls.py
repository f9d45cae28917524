"""require-tls: no listener and no connection without TLS, as the servers are really configured.

Judges rendered configuration files, custom resources, command lines and ports; no label counts. A file that is neither
understood nor on the list of reviewed names is a violation: a format nobody taught this rule could hold anything.
Reviewed names are those that configure no listener: scripts and SQL (searched for plaintext all the same), static
pages, public certificates, type and identity maps. Files in Secrets are judged under the same names, once known.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from policies.kit.resource import CNPG, pods_of
from policies.kit.rule import STRINGS, SWITCH, Check, Rule
from policies.kit.secrets import shown
from policies.readers import cnpg, ports
from policies.readers.exporter import check_web_config
from policies.readers.nginx import check_nginx
from policies.readers.postgres import check_pg_hba, check_postgresql_conf
from policies.readers.problem import Problem
from policies.readers.redis import check_redis

_BUILT_IN = ("core", "apps", "batch", "autoscaling", "policy")


def _check(check: Check) -> None:
    resource, params = check.resource, check.params
    if resource.is_service:
        ports.check_listeners(check)
    elif resource.is_a("core", "ConfigMap", "Secret"):
        _check_files(check)
    elif resource.is_a("core", "Service"):
        ports.check_service_ports(check)
    elif resource.is_a("networking.k8s.io", "Ingress"):
        ports.check_ingress(check)
    elif resource.is_a(CNPG, "Cluster"):
        cnpg.check_cluster(check, params["protocols"], params["hba_methods"])
    elif resource.is_a(CNPG, "Pooler"):
        cnpg.check_pooler(check, params["protocols"], params["pooler_metrics_tls"])
    elif resource.is_a(cnpg.BARMAN, "ObjectStore"):
        cnpg.check_object_store(check)
    else:
        _check_kind(check)
    for pod in pods_of(resource, check.root):
        ports.check_pod_ports(check, pod)
        ports.check_command_lines(check, pod, params["plaintext_patterns"], params["needed_flags"])


def _check_kind(check: Check) -> None:
    """Kinds and packages whose content this rule does not understand must have been reviewed."""
    group, kind = check.resource.group, check.resource.kind
    name = f"{group}/{kind}" if group else check.resource.type.split(":", 1)[0]
    known = group in _BUILT_IN or (group.endswith(".k8s.io") and not group.startswith("gateway."))
    if (not known or kind.endswith("List")) and name not in check.params["reviewed_kinds"]:
        fix = "teach the rule this kind, or review it and add it to reviewed_kinds in packs/"
        check.fail("", f"{name} is not known to require-tls", "kinds that are read or reviewed", fix)


def _check_files(check: Check) -> None:
    if check.resource.kind == "Secret":
        files = _secret_files(check)
    else:
        nodes = {**check.root.at("data").fields, **check.root.at("binaryData").fields}
        files = {name: node.text for name, node in nodes.items() if node.known}
    for name, text in files.items():
        reader = _reader(name, check, list(files))
        if reader:
            for problem in reader(text):
                where = f"{name} line {problem.line}" if problem.line else name
                check.fail(f"{where} {shown(problem.setting)}", problem.what, problem.allowed, problem.fix)
        elif check.resource.kind == "ConfigMap":
            _check_unread(check, name, text)


def _secret_files(check: Check) -> dict[str, str]:
    """Files of a Secret that are known; unknown ones are expected at preview and judged once they are known."""
    plain, encoded = check.resource.props.get("stringData"), check.resource.props.get("data")
    files = {k: v for k, v in plain.items() if isinstance(v, str)} if isinstance(plain, dict) else {}
    if isinstance(encoded, dict):
        files |= {k: _decoded(v) for k, v in encoded.items() if isinstance(v, str)}
    return files


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _reader(name: str, check: Check, names: list[str]) -> Callable[[str], Iterator[Problem]] | None:
    """What reads a file of this name; None if nothing does."""
    protocols, params = check.params["protocols"], check.params

    def readable(included: str) -> bool:
        return included in names or any(fnmatchcase(included, pattern) for pattern in params["reviewed_files"])

    readers: dict[str, Callable[[str], Iterator[Problem]]] = {
        "redis*.conf": lambda text: check_redis(text, protocols),
        "valkey*.conf": lambda text: check_redis(text, protocols),
        "*sentinel*.conf": lambda text: check_redis(text, protocols),
        "*nginx*.conf": lambda text: check_nginx(text, protocols, readable),
        "postgresql*.conf": lambda text: check_postgresql_conf(text, protocols),
        "pg_hba*.conf": lambda text: check_pg_hba(text, params["hba_methods"]),
        "*web*.y*ml": lambda text: check_web_config(text, protocols),
        "*exporter*.y*ml": lambda text: check_web_config(text, protocols),
    }
    return next((reader for pattern, reader in readers.items() if fnmatchcase(name, pattern)), None)


def _check_unread(check: Check, name: str, text: str) -> None:
    if any(fnmatchcase(name, pattern) for pattern in check.params["reviewed_files"]):
        for number, line in enumerate(text.splitlines(), start=1):
            ports.check_patterns(check, f"{name} line {number}", line, check.params["plaintext_patterns"])
        return
    fix = "teach the rule this format, or review it and add its name to reviewed_files in packs/"
    check.fail(f"file {name}", "is not known to require-tls", "files that are read or reviewed", fix)


RULE = Rule(
    name="require-tls",
    description="Every listener and every connection uses TLS, as the rendered configuration shows.",
    severity="critical",
    references=("NSA Network separation and hardening: Encryption",),
    fix="Turn TLS on in the setting that the message names.",
    check=_check,
    parameters={
        "protocols": STRINGS,
        "hba_methods": STRINGS,
        "reviewed_files": STRINGS,
        "reviewed_kinds": STRINGS,
        "plaintext_patterns": STRINGS,
        "needed_flags": {"type": "object", "additionalProperties": STRINGS},
        "pooler_metrics_tls": SWITCH,
    },
)
