"""The configuration files of the node's programs, as plain data. Pure: reads and writes nothing.

JSON is YAML, so no YAML is written here. Paths are those that the node sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolchain.node.network import Network

NAME = "node"
SOCKET = "/run/containerd/containerd.sock"
VOLUMES = "/var/lib/volumes"
RESOLV_CONF = "# Names beyond the cluster are not resolved.\n"


def containerd(folder: Path, plugins: Path, sandbox: str) -> str:
    """containerd's config.toml. containerd documentation, "CRI Plugin Config Guide"."""
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "{SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{sandbox}"
# Without the capability CAP_SYS_RESOURCE, as in some virtual machines, no container could lower its score.
restrict_oom_score_adj = true
# A profile would be loaded for the whole machine.
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder}/cni"
"""


def cni(network: Network) -> dict[str, Any]:
    """The pods' network: one bridge. CNI plugins documentation, "bridge", "host-local", "portmap"."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(network.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            # Gone with the namespaces, as are the pods that had the addresses.
            "dataDir": "/run/cni",
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]}


def kubelet(network: Network, pki: Path, folder: Path) -> dict[str, Any]:
    """Kubernetes documentation, "Kubelet Configuration (v1beta1)"."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": str(network.node),
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": str(pki / "ca.crt")}},
        "tlsCertFile": str(pki / "admin.crt"),
        "tlsPrivateKeyFile": str(pki / "admin.key"),
        "clusterDNS": [str(network.dns)],
        "clusterDomain": "cluster.local",
        "resolvConf": str(folder / "resolv.conf"),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{network.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        # The only node: that it lives is known within a second or two instead of ten.
        "nodeLeaseDurationSeconds": 8,
        "nodeStatusUpdateFrequency": "2s",
        # This machine's disk is shared with others: how full it is says nothing about the pods, and an image that was
        # loaded and then collected could not be pulled again.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def kube_proxy(network: Network, kubeconfig: Path) -> dict[str, Any]:
    """Kubernetes documentation, "kube-proxy Configuration (v1alpha1)"."""
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "clusterCIDR": str(network.pods),
        "hostnameOverride": NAME,
        # Limits of the whole machine, which a network namespace must not change.
        "conntrack": {"maxPerCore": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }


def local_path() -> dict[str, Any]:
    """config.json of local-path-provisioner; its documentation, "Configuration"."""
    paths = [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [VOLUMES]}]
    return {"nodePathMap": paths, "setupCommand": "/volume", "teardownCommand": "/volume"}


def helper_pod(image: str) -> dict[str, Any]:
    """The pod in which local-path-provisioner makes and removes a volume's folder."""
    container = {"name": "helper-pod", "image": image, "imagePullPolicy": "IfNotPresent"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "volume"},
        "spec": {"containers": [container], "enableServiceLinks": False, "automountServiceAccountToken": False},
    }
