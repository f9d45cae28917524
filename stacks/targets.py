"""Which target an environment goes to: finds the cluster it names and makes sure that it answers.

Reads kubeconfig files and dials the API server once. Changes nothing.
"""

import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components.core.problems import ConfigError, Problem
from components.core.target import Target
from components.targets.kubernetes import Cluster, Kubernetes
from stacks.config import ENVIRONMENT
from stacks.environment import ClusterSpec, Environment

_CLUSTER = f"{ENVIRONMENT}.cluster"
_EMBEDDED_PROVISIONER = "kubernetes.io/host-path"
_TIMEOUT_SECONDS = 5.0


def target_of(environment: Environment) -> Target:
    """The target, ready to create on. Raises ConfigError where its cluster can't be found or does not answer."""
    cluster = cluster_of(environment)
    _dial(cluster)
    return Kubernetes(environment.name, environment.placement, environment.owner, environment.data_class.value, cluster)


def cluster_of(environment: Environment) -> Cluster:
    """The cluster an environment names, as the target needs to know it."""
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
    from toolchain.cluster_files import CONTEXT, kubeconfig_file

    return Cluster(
        kubeconfig=str(kubeconfig_file()),
        context=CONTEXT,
        identity="embedded",
        simulated=True,
        provisioner=_EMBEDDED_PROVISIONER,
    )


def _dial(cluster: Cluster) -> None:
    """Fail early and plainly: the provider would report an unreachable cluster once per resource."""
    start = (
        "start it: python3 -m toolchain cluster start"
        if cluster.simulated
        else "check it with kubectl, or name another"
    )
    path = Path(cluster.kubeconfig)
    if not path.is_file():
        hint = start if cluster.simulated else "correct cluster.kubeconfig"
        raise _unreachable(f"{path} given; there is no such kubeconfig; {hint}")
    server = _server(path, cluster.context)
    address = urlsplit(server)
    try:
        socket.create_connection((address.hostname or "", address.port or 443), _TIMEOUT_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise _unreachable(f"{cluster.context} given; {server} does not answer ({reason}); {start}") from None


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
