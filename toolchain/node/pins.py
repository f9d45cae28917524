"""Versions of the programs of a real node, beside those of `toolchain/pins.py`; nobody else pays for them.

`cluster start --node` installs them. Most are published as container images only and are built from Go modules.
"""

from __future__ import annotations

from toolchain.operators import CLOUDNATIVE_PG
from toolchain.pins import kubernetes_tool
from toolchain.tool import UNRELEASED, Copy, Recipe, Tool

PLUGINS = "github.com/containernetworking/plugins"
KUBE_ROUTER = "github.com/cloudnativelabs/kube-router/v2"
LOCAL_PATH = "github.com/rancher/local-path-provisioner"
OPERATOR, OPERATOR_VERSION = CLOUDNATIVE_PG
OPERATOR_MANIFEST = f"cnpg-{OPERATOR_VERSION.removeprefix('v')}.yaml"
PROGRAMS = ("kubelet", "kube-proxy")


def _unreleased(name: str, requires: dict[str, str], binaries: dict[str, str], minutes: float, *scripts: Copy) -> Tool:
    """A tool of one module whose folder bears its name; its version is that of what it requires."""
    version = next(iter(requires.values())).removeprefix("v")
    return Tool(name, version, UNRELEASED, (Recipe(name, requires, binaries, scripts=scripts),), minutes)


KUBELET_TOOL = kubernetes_tool("kubernetes-node", PROGRAMS, minutes=2)

NODE_TOOL = _unreleased(
    "node",
    {PLUGINS: "v1.9.1"},
    {
        "init": "./cmd/init",
        "volume": "./cmd/volume",
        "bridge": f"{PLUGINS}/plugins/main/bridge",
        "host-local": f"{PLUGINS}/plugins/ipam/host-local",
        "loopback": f"{PLUGINS}/plugins/main/loopback",
        "portmap": f"{PLUGINS}/plugins/meta/portmap",
    },
    0.5,
)
KUBE_ROUTER_TOOL = _unreleased(
    "kube-router", {KUBE_ROUTER: "v2.1.0"}, {"kube-router": f"{KUBE_ROUTER}/cmd/kube-router"}, 2
)
LOCAL_PATH_TOOL = _unreleased(
    "local-path-provisioner", {LOCAL_PATH: "v0.0.30"}, {"local-path-provisioner": LOCAL_PATH}, 2
)
COREDNS_TOOL = _unreleased("coredns", {"github.com/coredns/coredns": "v1.15.0"}, {"coredns": "."}, 1.5)
OPERATOR_TOOL = _unreleased(
    "cloudnative-pg",
    {OPERATOR: OPERATOR_VERSION},
    {"manager": f"{OPERATOR}/cmd/manager"},
    2,
    Copy(OPERATOR, f"releases/{OPERATOR_MANIFEST}"),
)

NODE_TOOLS = (KUBELET_TOOL, NODE_TOOL, KUBE_ROUTER_TOOL, LOCAL_PATH_TOOL, COREDNS_TOOL, OPERATOR_TOOL)
