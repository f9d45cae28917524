"""What an embedded cluster is made of: its folders, programs, ports, flags and kubeconfig. Starts nothing.

A `Profile` says which one; without it the cluster with simulated nodes is meant, where everything listens on 127.0.0.1
only. Ports are chosen when the cluster is created and kept.
"""

from __future__ import annotations

import json
import os
import random
import socket
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain import paths
from toolchain.errors import ToolchainError
from toolchain.locate import locate, mode
from toolchain.pins import ETCD_TOOL, KUBERNETES_TOOL, KWOK_TOOL
from toolchain.tool import Tool

NAME = "groundwork"
CONTEXT = "groundwork-embedded"
LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections, so a stopped cluster keeps its own.
PORTS = range(20000, 32000)


@dataclass(frozen=True)
class Component:
    """One process: its program, where that comes from, and the kwokctl option that sets its port."""

    name: str
    tool: Tool
    binary: str
    port_option: str


COMPONENTS = (
    Component("etcd", ETCD_TOOL, "etcd", "etcdPort"),
    Component("kube-apiserver", KUBERNETES_TOOL, "kube-apiserver", "kubeApiserverPort"),
    Component("kube-controller-manager", KUBERNETES_TOOL, "kube-controller-manager", "kubeControllerManagerPort"),
    Component("kube-scheduler", KUBERNETES_TOOL, "kube-scheduler", "kubeSchedulerPort"),
    Component("kwok-controller", KWOK_TOOL, "kwok", "kwokControllerPort"),
)
# Flags beyond kwokctl's own. Kubernetes documentation, "Command line tools reference".
FLAGS = {
    "kube-apiserver": {
        # No pod can reach this server, and without a default route it could not find an address to announce.
        "advertise-address": LOOPBACK,
        "endpoint-reconciler-type": "none",
        "service-cluster-ip-range": "10.96.0.0/16",
        "disable-admission-plugins": "StorageObjectInUseProtection",
    },
    "kube-controller-manager": {
        "enable-hostpath-provisioner": "true",
        # One instance: an election would only delay a start after a crash until the old lease has run out.
        "leader-elect": "false",
        "horizontal-pod-autoscaler-sync-period": "2s",
        # Nothing reads or writes the simulated volumes; protecting them costs each namespace five seconds at its end.
        "controllers": "*,-persistentvolumeclaim-protection-controller,-persistentvolume-protection-controller",
    },
    "kube-scheduler": {"leader-elect": "false"},
}


@dataclass(frozen=True)
class Profile:
    """One of the clusters a user can have: what its control plane consists of and how it is reached.

    `name` is its folder below the state folder. `address` is where its API server answers; the server's certificate
    holds `names` beside the usual ones. `enter` is the command that runs another one in the cluster's own network
    namespace; without it the cluster shares the machine's. `api_port` is the API server's port; 0 is any free one.
    """

    name: str
    context: str
    address: str
    components: tuple[Component, ...]
    flags: Mapping[str, Mapping[str, str]]
    names: tuple[str, ...] = ()
    enter: tuple[str, ...] = ()
    api_port: int = 0


SIMULATED = Profile("cluster", CONTEXT, LOOPBACK, COMPONENTS, FLAGS)


def folder(profile: Profile = SIMULATED) -> Path:
    """Everything of the cluster, data included."""
    # kwokctl cleans the path it is given; without links and dots both see the same one.
    return (paths.state_folder() / profile.name).resolve()


def work_folder(profile: Profile = SIMULATED) -> Path:
    """kwokctl's folder of this cluster."""
    return folder(profile) / "clusters" / NAME


def kubeconfig_file(profile: Profile = SIMULATED) -> Path:
    """The kubeconfig of this cluster, the only one that is ever written."""
    return folder(profile) / "kubeconfig"


def binary(tool: Tool, name: str) -> Path:
    """A program of the toolchain, downloaded or built; raises ToolchainError when it is not installed."""
    found = locate(tool, mode())
    if found is None:
        raise ToolchainError(
            f"{name} {tool.version} is not installed; run `make toolchain` (python3 -m toolchain install)"
        )
    return found.folder / name


def ports(profile: Profile = SIMULATED) -> dict[str, int]:
    """kwokctl option -> port, as chosen when the cluster was created; raises ToolchainError when that is lost."""
    try:
        options = json.loads((folder(profile) / "kwokctl.json").read_text(encoding="utf-8"))["options"]
    except (OSError, ValueError, KeyError) as error:
        raise ToolchainError(
            f"embedded cluster: {folder(profile)} is damaged ({error}); run `{command('delete', profile)}`, then start"
        ) from error
    return {name: port for name, port in options.items() if name.endswith("Port")}


def command(action: str, profile: Profile = SIMULATED) -> str:
    """What a person types to start, stop or delete this cluster."""
    return f"python3 -m toolchain cluster {action}{' --node' if profile is not SIMULATED else ''}"


def configuration(chosen: dict[str, int], profile: Profile = SIMULATED) -> dict[str, object]:
    """Input of kwokctl for a new cluster. kwok documentation, "KwokctlConfiguration"."""
    binaries = {
        "etcdBinary": binary(ETCD_TOOL, "etcd"),
        "kubectlBinary": binary(KUBERNETES_TOOL, "kubectl"),
        "kubeApiserverBinary": binary(KUBERNETES_TOOL, "kube-apiserver"),
        "kubeControllerManagerBinary": binary(KUBERNETES_TOOL, "kube-controller-manager"),
        "kubeSchedulerBinary": binary(KUBERNETES_TOOL, "kube-scheduler"),
        "kwokControllerBinary": binary(KWOK_TOOL, "kwok"),
    }
    patches = [
        {"name": name, "extraArgs": [{"key": key, "value": value} for key, value in flags.items()]}
        for name, flags in profile.flags.items()
    ]
    options: dict[str, object] = {"runtime": "binary", "bindAddress": LOOPBACK, "disableQPSLimits": True, **chosen}
    options |= {name: str(path) for name, path in binaries.items()}
    options["kubeApiserverCertSANs"] = list(profile.names)
    options["disable"] = [component.name for component in COMPONENTS if component not in profile.components]
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokctlConfiguration",
        "options": options,
        "componentsPatches": patches,
    }


def choose_ports(profile: Profile = SIMULATED) -> dict[str, int]:
    """kwokctl option -> a port that nobody uses now."""
    wanted = [*(component.port_option for component in profile.components), "etcdPeerPort"]
    free = (port for port in random.sample(PORTS, 500) if is_free(port))
    chosen = dict(zip(wanted, free, strict=False))
    return chosen | ({"kubeApiserverPort": profile.api_port} if profile.api_port else {})


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def write_kubeconfig(profile: Profile = SIMULATED) -> None:
    """Write the kubeconfig, keys included, readable by this user only."""
    pki, name = work_folder(profile) / "pki", profile.context
    ca, certificate, key = (
        b64encode((pki / file).read_bytes()).decode() for file in ("ca.crt", "admin.crt", "admin.key")
    )
    server = f"https://{profile.address}:{ports(profile)['kubeApiserverPort']}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": name, "user": {"client-certificate-data": certificate, "client-key-data": key}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }
    descriptor = os.open(kubeconfig_file(profile), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1)
