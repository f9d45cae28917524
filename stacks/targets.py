"""Which target an environment goes to: finds the cluster or engine it names and makes sure that it answers.

Reads kubeconfig files and dials once. Changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pulumi

from components.core.compatibility import load_matrix
from components.core.problems import ConfigError, Problem
from components.core.target import Target
from stacks import servers
from stacks.config import ENVIRONMENT
from stacks.environment import ClusterSpec, EngineSpec, Environment
from stacks.versions import ended, operators_of, platform_texts

if TYPE_CHECKING:
    from components.targets.kubernetes import Cluster

_CLUSTER = f"{ENVIRONMENT}.cluster"
_EMBEDDED_PROVISIONER = "kubernetes.io/host-path"
_START = {
    "embedded": "start it: python3 -m toolchain cluster start",
    "node": "start it: python3 -m toolchain cluster start --node",
}
_TIMEOUT_SECONDS = 5.0


def target_of(environment: Environment) -> Target:
    """The target, ready to create on. Raises ConfigError where it can't be found or does not answer."""
    if environment.target == "docker":
        return _docker(environment)
    from components.targets.kubernetes import Kubernetes

    cluster = cluster_of(environment)
    _dial(cluster, _START.get(str(environment.cluster), ""))
    if isinstance(environment.cluster, ClusterSpec):
        _check_cluster(environment, cluster)
    return Kubernetes(environment.name, environment.placement, environment.owner, environment.data_class.value, cluster)


def engine_of(docker: object) -> str:
    """Address of the engine that an environment's `docker:` names."""
    if isinstance(docker, EngineSpec):
        return docker.host
    from toolchain.docker import existing

    found = existing(log=lambda _: None)
    if found is None:
        text = "auto given; no engine answers on this machine; start Docker, or: python3 -m toolchain docker start"
        raise ConfigError([Problem(f"{ENVIRONMENT}.docker", text)])
    return found


def _docker(environment: Environment) -> Target:
    from components.targets.docker import Docker

    host = engine_of(environment.docker)
    path = host.removeprefix("unix://")
    if path != host:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
        except OSError as error:
            reason = error.strerror or str(error)
            text = f"{host} given; no engine answers ({reason}); start Docker, or: python3 -m toolchain docker start"
            raise ConfigError([Problem(f"{ENVIRONMENT}.docker", text)]) from None
        _check_engine(environment, host, servers.engine_version(path))
    return Docker(environment.name, host, environment.images.registry)


def cluster_of(environment: Environment) -> Cluster:
    """The cluster an environment names, as the target needs to know it."""
    from components.targets.kubernetes import Cluster

    spec = environment.cluster
    if isinstance(spec, ClusterSpec):
        return Cluster(
            kubeconfig=str(Path(spec.kubeconfig).expanduser()),
            context=spec.context,
            identity=spec.context,
            load_balancer=spec.load_balancer,
            storage_class=spec.storage_class,
            provisioner=spec.provisioner,
            storage_parameters=spec.storage_parameters,
        )
    if spec == "node":
        from toolchain.node import profile

        return Cluster(
            kubeconfig=str(profile.kubeconfig_file()),
            context=profile.CONTEXT,
            identity="node",
            single_node=True,
            provisioner=profile.PROVISIONER,
        )
    from toolchain.cluster_files import CONTEXT, kubeconfig_file

    return Cluster(
        kubeconfig=str(kubeconfig_file()),
        context=CONTEXT,
        identity="embedded",
        simulated=True,
        provisioner=_EMBEDDED_PROVISIONER,
    )


def _check_cluster(environment: Environment, cluster: Cluster) -> None:
    """Refuse a cluster in a version that does not go with what is to run there, or whose operators don't.

    Asked of one's own: those of the toolchain are of the version that is tested."""
    version = servers.cluster_version(cluster)
    if not version:
        pulumi.log.warn(f"{cluster.context} does not tell its version, so nobody knows whether it is supported")
        return
    if warning := ended("kubernetes", version, date.today()):
        pulumi.log.warn(f"{cluster.context}: {warning}")
    texts = [f"its Kubernetes is {version}; {t}" for t in platform_texts("kubernetes", version, environment.services)]
    texts += _unfit_operators(environment, cluster)
    if texts:
        fix = "upgrade it, or name another cluster"
        raise ConfigError([Problem(f"{_CLUSTER}.context", f"{cluster.context} given; {t}; {fix}") for t in texts])


def _unfit_operators(environment: Environment, cluster: Cluster) -> Iterator[str]:
    for system in operators_of(environment.services):
        row = load_matrix().systems[system]
        version = servers.operator_version(cluster, row.deployment)
        if reason := row.unsupported(version):
            yield f"its {row.title} is {version}; {reason}; allowed: {row.supported}"


def _check_engine(environment: Environment, host: str, version: str) -> None:
    texts = platform_texts("docker", version, environment.services)
    fix = "upgrade it, or name another engine"
    if texts:
        problems = [f"{host} given; its Docker Engine is {version}; {text}; {fix}" for text in texts]
        raise ConfigError([Problem(f"{ENVIRONMENT}.docker", text) for text in problems])


def _dial(cluster: Cluster, start: str) -> None:
    """Fail early and plainly: the provider would report an unreachable cluster once per resource."""
    path = Path(cluster.kubeconfig)
    if not path.is_file():
        hint = start or "correct cluster.kubeconfig"
        raise _unreachable(f"{path} given; there is no such kubeconfig; {hint}")
    server = _server(path, cluster.context)
    address = urlsplit(server)
    try:
        socket.create_connection((address.hostname or "", address.port or 443), _TIMEOUT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        hint = start or "check it with kubectl, or name another"
        raise _unreachable(f"{cluster.context} given; {server} does not answer ({reason}); {hint}") from None


def _server(kubeconfig: Path, context: str) -> str:
    from ruamel.yaml import YAML

    content: Any = YAML(typ="safe").load(kubeconfig)
    contexts = {entry["name"]: entry["context"] for entry in content.get("contexts") or []}
    if context not in contexts:
        allowed = ", ".join(sorted(contexts)) or "none"
        raise _unreachable(f"{context} given; {kubeconfig} has no such context; allowed: {allowed}", ".context")
    clusters = {entry["name"]: entry["cluster"] for entry in content["clusters"]}
    return str(clusters[contexts[context]["cluster"]]["server"])


def _unreachable(text: str, field: str = "") -> ConfigError:
    return ConfigError([Problem(_CLUSTER + field, text)])
