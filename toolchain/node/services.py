"""The programs that make a machine a node: containerd, kubelet, kube-proxy, kube-router, local-path-provisioner.

Each runs on the node (`machine.py`) and is found again by its program, whatever happened to who started it. Nothing
watches over them: the next start brings back what has ended.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain import debian, processes
from toolchain.cluster_files import Profile, binary, folder, kubeconfig_file, work_folder
from toolchain.control_plane import log_ends
from toolchain.errors import ToolchainError
from toolchain.locking import point
from toolchain.node import machine, settings
from toolchain.node.images import HELPER, SANDBOX, Image
from toolchain.node.network import Network
from toolchain.node.pins import KUBE_ROUTER_TOOL, KUBELET_TOOL, LOCAL_PATH_TOOL, NODE_TOOL

NAMES = ("containerd", "kubelet", "kube-proxy", "kube-router", "local-path-provisioner")
PACKAGES = ("containerd", "conntrack", "ipset", "iptables", "nftables", "runc")
NEEDED = ("containerd", "containerd-shim-runc-v2", "ctr", "conntrack", "ipset", "iptables", "nft", "runc")
TOOLS = {
    "kubelet": KUBELET_TOOL,
    "kube-proxy": KUBELET_TOOL,
    "kube-router": KUBE_ROUTER_TOOL,
    "local-path-provisioner": LOCAL_PATH_TOOL,
}
VARIABLES = ("PATH", "LD_LIBRARY_PATH", "XTABLES_LIBDIR")


@dataclass(frozen=True)
class Node:
    """A node whose namespaces exist: what its programs need to know. `process` holds the namespaces."""

    profile: Profile
    network: Network
    process: int
    environment: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """Everything of the cluster."""
        return folder(self.profile)

    def run(self, *command: str, stdin: int = subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
        """Run a command on the node and wait for it."""
        words = [*machine.enter(self.process), *command]
        return subprocess.run(
            words, env=dict(self.environment), stdin=stdin, capture_output=True, text=True, check=False, cwd="/"
        )


def environment(log: debian.Log) -> dict[str, str]:
    """The variables under which the programs of containers and packet filters are found, fetched where they lack.

    Proxies of the user are left out: everything that is asked for is on this machine.
    """
    path = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
    found: Mapping[str, str] = {**os.environ, "PATH": path}
    if any(shutil.which(name, path=path) is None for name in NEEDED):
        found = debian.programs(PACKAGES, log).environment()
    missing = [name for name in NEEDED if shutil.which(name, path=found["PATH"]) is None]
    if missing:
        raise ToolchainError(f"--node: {', '.join(missing)} not found; install the packages {', '.join(PACKAGES)}")
    return {name: found[name] for name in VARIABLES if name in found}


def alive(folder: Path) -> dict[str, int]:
    """Name -> process number, for the programs that run."""
    return {name: number for name, number in processes.running(folder / "bin").items() if name in NAMES}


def down(folder: Path) -> list[str]:
    """Names of the programs that do not run."""
    present = alive(folder)
    return [name for name in NAMES if name not in present]


def start(node: Node, names: Sequence[str], images: Mapping[str, Image]) -> None:
    """Configure and start these programs, those of the current toolchain; they outlive this process."""
    for name in names:
        for file, content in _files(node, name, images).items():
            text = content if isinstance(content, str) else json.dumps(content, indent=1)
            (node.folder / file).parent.mkdir(exist_ok=True)
            (node.folder / file).write_text(text, encoding="utf-8")
        point(node.folder / "bin" / name, _program(node, name))
        command = [*machine.enter(node.process), "setsid", "--fork", str(node.folder / "bin" / name)]
        with (node.folder / "logs" / f"{name}.log").open("ab") as log:
            subprocess.run(
                [*command, *_arguments(node, name)], env=dict(node.environment), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, check=False, cwd="/",
            )  # fmt: skip


def last_words(folder: Path) -> str:
    """The end of the log of each program that does not run, for an error message."""
    return log_ends([folder / "logs" / f"{name}.log" for name in down(folder)]) or f"logs are in {folder / 'logs'}"


def _program(node: Node, name: str) -> Path:
    if name in TOOLS:
        return binary(TOOLS[name], name)
    found = shutil.which(name, path=node.environment["PATH"])
    assert found is not None
    return Path(found)


def _files(node: Node, name: str, images: Mapping[str, Image]) -> dict[str, Any]:
    """File below the cluster's folder -> content: what the program reads."""
    pki, plugins = work_folder(node.profile) / "pki", binary(NODE_TOOL, "bridge").parent
    files: dict[str, dict[str, Any]] = {
        "containerd": {
            "containerd.toml": settings.containerd(node.folder, plugins, images[SANDBOX].reference),
            "cni/pods.conflist": settings.cni(node.network),
        },
        "kubelet": {
            "kubelet.json": settings.kubelet(node.network, pki, node.folder),
            "resolv.conf": settings.RESOLV_CONF,
        },
        "kube-proxy": {"kube-proxy.json": settings.kube_proxy(node.network, kubeconfig_file(node.profile))},
        "local-path-provisioner": {
            "local-path.json": settings.local_path(),
            "helper-pod.json": settings.helper_pod(images[HELPER].reference),
        },
    }
    return files.get(name, {})


def _arguments(node: Node, name: str) -> list[str]:
    """Documentation of Kubernetes, "Command line tools reference", and of kube-router, "User Guide"."""
    kubeconfig = f"--kubeconfig={kubeconfig_file(node.profile)}"
    options = {
        "containerd": [f"--config={node.folder / 'containerd.toml'}"],
        "kubelet": [
            f"--config={node.folder / 'kubelet.json'}",
            kubeconfig,
            f"--hostname-override={settings.NAME}",
            f"--node-ip={node.network.node}",
        ],
        "kube-proxy": [f"--config={node.folder / 'kube-proxy.json'}"],
        "kube-router": [
            kubeconfig,
            f"--hostname-override={settings.NAME}",
            f"--service-cluster-ip-range={node.network.services}",
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            "--run-loadbalancer=false",
            "--enable-ipv6=false",
            "--health-port=0",
        ],
        "local-path-provisioner": [
            "start",
            kubeconfig,
            f"--config={node.folder / 'local-path.json'}",
            f"--helper-pod-file={node.folder / 'helper-pod.json'}",
            "--namespace=kube-system",
            "--service-account-name=default",
        ],
    }
    return options[name]
