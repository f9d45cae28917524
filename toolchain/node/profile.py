"""Which cluster this is: its folder, addresses and control plane. Starts nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from toolchain import cluster_files, docker_files
from toolchain.cluster_files import Profile
from toolchain.errors import ToolchainError
from toolchain.kube_api import KubeApi
from toolchain.node import machine
from toolchain.node.network import Network, choose

NAME = "node"
CONTEXT = "groundwork-node"
PROVISIONER = "rancher.io/local-path"
COMPONENTS = tuple(one for one in cluster_files.COMPONENTS if one.name != "kwok-controller")
API_PORT = 6443
"""The usual one, which network policies name: where they act, a connection to the service has been sent on to it."""
UNKNOWN = Profile(NAME, CONTEXT, "", COMPONENTS, {})
"""Enough to find the cluster's files and processes."""


def folder() -> Path:
    """Everything of the cluster, data included."""
    return cluster_files.folder(UNKNOWN)


def kubeconfig_file() -> Path:
    """The kubeconfig of this cluster."""
    return cluster_files.kubeconfig_file(UNKNOWN)


def choose_network() -> Network:
    """Choose the addresses of a new cluster and keep them."""
    network = choose(docker_files.routes())
    folder().mkdir(mode=0o700, parents=True)
    _file().write_text(json.dumps({"number": network.number}), encoding="utf-8")
    return network


def network() -> Network | None:
    """The addresses of the cluster; None when it has none yet or they are lost."""
    try:
        return Network(int(json.loads(_file().read_text(encoding="utf-8"))["number"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def profile() -> Profile:
    """The control plane of this cluster; raises ToolchainError when there is no cluster or it is damaged."""
    own = network()
    if own is None:
        raise ToolchainError(
            f"node: {_file()} is missing or damaged; run `{cluster_files.command('delete', UNKNOWN)}`, then start"
        )
    process = machine.holder(folder())
    enter = ("nsenter", f"--target={process}", "--net") if process else ()
    return replace(profile_of(own), enter=enter)


def profile_of(network: Network) -> Profile:
    """The control plane on these addresses. Kubernetes documentation, "Command line tools reference"."""
    pki = cluster_files.work_folder(UNKNOWN) / "pki"
    server = {
        # All addresses of a network namespace that is the cluster's own; pods have to reach one of them.
        "bind-address": "0.0.0.0",  # noqa: S104
        "advertise-address": str(network.node),
        "service-cluster-ip-range": str(network.services),
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-certificate-authority": str(pki / "ca.crt"),
        "kubelet-client-certificate": str(pki / "admin.crt"),
        "kubelet-client-key": str(pki / "admin.key"),
    }
    # One instance each: an election would end it when the API server pauses for ten seconds on a busy machine.
    alone = {"leader-elect": "false"}
    flags = {"kube-apiserver": server, "kube-controller-manager": alone, "kube-scheduler": alone}
    names = (str(network.node), str(network.api))
    return Profile(NAME, CONTEXT, str(network.node), COMPONENTS, flags, names, api_port=API_PORT)


def connect() -> KubeApi:
    """A client for the cluster's API server, whether it answers or not."""
    own = profile()
    port = cluster_files.ports(own)["kubeApiserverPort"]
    return KubeApi(port, cluster_files.work_folder(own) / "pki", address=own.address)


def _file() -> Path:
    return folder() / "network.json"
