"""require-tls: no listener and no connection without TLS, as the servers are really configured.

Judges rendered configuration files, custom resources, command lines and ports; no label counts. A file that is neither
understood nor on the list of reviewed names is a violation: a format nobody taught this rule could hold anything.
Reviewed names are those that configure no listener: scripts and SQL (searched for plaintext all the same), static
pages, public certificates, type and identity maps. Files in Secrets are judged under the same names, once known. So are
the files of a container on a Docker engine.
"""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from policies.kit.content import File, files_of, processes_of
from policies.kit.engine import image_of, is_container, never_runs
from policies.kit.resource import CNPG, DOCKER
from policies.kit.rule import STRINGS, SWITCH, Check, Rule, StackCheck
from policies.kit.secrets import shown
from policies.readers import cnpg, ports
from policies.readers.clickhouse import check_clickhouse, check_clickhouse_client, check_clickhouse_users
from policies.readers.exporter import check_web_config
from policies.readers.kafka import check_kafka_client, check_kafka_server, check_log4j
from policies.readers.nats import check_nats
from policies.readers.nginx import check_nginx
from policies.readers.pgbouncer import check_pgbouncer
from policies.readers.postgres import check_pg_hba, check_postgresql_conf
from policies.readers.problem import Problem
from policies.readers.rabbitmq import (
    check_advanced,
    check_environment,
    check_inter_node_tls,
    check_plugins,
    check_rabbitmq,
)
from policies.readers.redis import check_redis
from policies.readers.versitygw import check_versitygw

_BUILT_IN = ("core", "apps", "batch", "autoscaling", "policy")
_ENGINE = ("Container", "Network", "RemoteImage", "Volume")
_DOCKER_PROVIDER = "pulumi:providers:docker"
_LOCAL_LOGS = ("json-file", "local", "journald", "none")
_PRIVATE = ("unix://", "npipe://", "ssh://")


def _check(check: Check) -> None:
    resource, params = check.resource, check.params
    if resource.is_service:
        ports.check_listeners(check)
    elif resource.is_a("core", "ConfigMap", "Secret") or is_container(resource):
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
    elif resource.type == _DOCKER_PROVIDER:
        _check_engine(check)
    else:
        _check_kind(check)
    ports.check_ports(check)
    ports.check_command_lines(check, params["plaintext_patterns"], params["needed_flags"])


def _check_engine(check: Check) -> None:
    """The engine receives secrets, so that it is reached by TLS or not by the network at all."""
    host = check.root.at("host")
    secured = any(not check.root.at(name).missing for name in ("caMaterial", "certPath"))
    allowed, fix = "unix, ssh, or tcp with certificates", "name it by an address that begins with unix:// or ssh://"
    if host.missing:
        check.fail(host.path, "is not given, so a variable decides", allowed, fix)
    elif host.known and not host.text.startswith(_PRIVATE) and not (host.text.startswith("tcp://") and secured):
        check.fail(host.path, "is reached in plaintext", allowed, fix)


def _check_stack(check: StackCheck) -> None:
    """Programs that serve plaintext by themselves, where a container's image is known only by another resource."""
    for container in filter(is_container, check.resources):
        single, image = check.on(container), image_of(container, check.resources)
        process = next(processes_of(container, single.root))
        if not never_runs(single.root):
            ports.check_needed(single, process, image, check.params["needed_flags"])


def _check_kind(check: Check) -> None:
    """Kinds and packages whose content this rule does not understand must have been reviewed."""
    group, kind = check.resource.group, check.resource.kind
    name = f"{group}/{kind}" if group else check.resource.type.split(":", 1)[0]
    read = group == DOCKER and kind in _ENGINE
    known = read or group in _BUILT_IN or (group.endswith(".k8s.io") and not group.startswith("gateway."))
    if (not known or kind.endswith("List")) and name not in check.params["reviewed_kinds"]:
        fix = "teach the rule this kind, or review it and add it to reviewed_kinds in packs/"
        check.fail("", f"{name} is not known to require-tls", "kinds that are read or reviewed", fix)


def _check_files(check: Check) -> None:
    files = list(files_of(check.resource, check.root))
    names = [file.name for file in files]
    for file in files:
        if file.awaited or not file.content.known:
            continue
        reader = _reader(file.name, check, names)
        if reader:
            for problem in reader(file.content.text):
                where = f"{file.name} line {problem.line}" if problem.line else file.name
                check.fail(f"{where} {shown(problem.setting)}", problem.what, problem.allowed, problem.fix)
        elif not file.secret:
            _check_unread(check, file)
    if is_container(check.resource):
        _check_beside(check)


def _check_beside(check: Check) -> None:
    """What a container takes and gives besides what can be read here."""
    for source in (upload.at("source") for upload in check.root.at("uploads").items):
        if not source.missing and source.known:
            what = "takes a file of this machine, which this rule can't read"
            check.fail(source.path, what, "content or contentBase64", "give the file's content")
    logs = check.root.at("logDriver")
    if logs.differs(None, "", *_LOCAL_LOGS):
        what = f"is {shown(logs.value)}, which may send logs to others in plaintext"
        check.fail(logs.path, what, ", ".join(_LOCAL_LOGS), "let the engine keep them")


def _reader(name: str, check: Check, names: list[str]) -> Callable[[str], Iterator[Problem]] | None:
    """What reads a file of this name; None if nothing does."""
    protocols, params = check.params["protocols"], check.params

    def readable(included: str) -> bool:
        return included in names or any(fnmatchcase(included, pattern) for pattern in params["reviewed_files"])

    readers: dict[str, Callable[[str], Iterator[Problem]]] = {
        "redis*.conf": lambda text: check_redis(text, protocols),
        "valkey*.conf": lambda text: check_redis(text, protocols),
        "*sentinel*.conf": lambda text: check_redis(text, protocols),
        "*server*.properties": lambda text: check_kafka_server(text, protocols),
        "*client*.properties": lambda text: check_kafka_client(text, protocols),
        "*admin*.properties": lambda text: check_kafka_client(text, protocols),
        "log4j2*.properties": check_log4j,
        "*nats*.conf": lambda text: check_nats(text, protocols),
        "*clickhouse-client*.y*ml": lambda text: check_clickhouse_client(text, protocols),
        "*clickhouse-users*.y*ml": check_clickhouse_users,
        "*clickhouse*.y*ml": lambda text: check_clickhouse(text, protocols),
        "rabbitmq-env*.conf": check_environment,
        "rabbitmq*.conf": lambda text: check_rabbitmq(text, protocols),
        "inter_node_tls*.config": lambda text: check_inter_node_tls(text, protocols),
        "advanced*.config": check_advanced,
        "enabled_plugins": check_plugins,
        "*nginx*.conf": lambda text: check_nginx(text, protocols, readable),
        "versitygw*.conf": check_versitygw,
        "postgresql*.conf": lambda text: check_postgresql_conf(text, protocols),
        "pg_hba*.conf": lambda text: check_pg_hba(text, params["hba_methods"]),
        "*pgbouncer*.ini": lambda text: check_pgbouncer(text, protocols),
        "*web*.y*ml": lambda text: check_web_config(text, protocols),
        "*exporter*.y*ml": lambda text: check_web_config(text, protocols),
    }
    return next((reader for pattern, reader in readers.items() if fnmatchcase(name, pattern)), None)


def _check_unread(check: Check, file: File) -> None:
    name = file.name
    if any(fnmatchcase(name, pattern) for pattern in check.params["reviewed_files"]):
        for number, line in enumerate(file.content.text.splitlines(), start=1):
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
    check_stack=_check_stack,
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
