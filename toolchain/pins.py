"""Every version in one table: what is downloaded, what is built, what the Python packages must match.

Change a version here, in the module's `go.mod` below `toolchain/go/` and, for Pulumi's packages, in `pyproject.toml`;
a test compares the three. The addresses are those where each project publishes its own releases.
"""

from __future__ import annotations

from toolchain.tool import Asset, Copy, Recipe, Release, Tool

PULUMI = "3.259.0"
OLDEST_PULUMI = (3, 259)
KUBERNETES_PROVIDER = "4.27.0"
RANDOM_PROVIDER = "4.21.4"
TLS_PROVIDER = "5.6.2"
DOCKER_PROVIDER = "5.2.0"
KUBERNETES = "1.36.3"
ETCD = "3.7.3"
KWOK = "0.8.0"

PULUMI_SDK = "github.com/pulumi/pulumi/sdk/v3"
PULUMI_CLI = "github.com/pulumi/pulumi/pkg/v3"
PULUMI_VERSION = {f"{PULUMI_SDK}/go/common/version.Version": f"v{PULUMI}"}
KUBERNETES_MODULE = "github.com/pulumi/pulumi-kubernetes/provider/v4"
BRIDGE = {"github.com/pulumi/pulumi-terraform-bridge/v3": "v3.137.0"}
COMPONENT_BASE = "k8s.io/component-base/version"
KUBERNETES_VARIABLES = {
    f"{COMPONENT_BASE}.gitVersion": f"v{KUBERNETES}",
    f"{COMPONENT_BASE}.gitMajor": KUBERNETES.split(".", maxsplit=1)[0],
    f"{COMPONENT_BASE}.gitMinor": KUBERNETES.split(".")[1],
}
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")


def kubernetes_tool(name: str, programs: tuple[str, ...], minutes: float) -> Tool:
    """Some programs of a Kubernetes release, as a tool whose module bears its name."""
    address = "https://dl.k8s.io/release/v{version}/bin/{os}/{arch}/"
    assets = [Asset(address + one, checksums=f"{address}{one}.sha256", binaries=(one,)) for one in programs]
    recipe = Recipe(
        module=name,
        requires={"k8s.io/kubernetes": f"v{KUBERNETES}"},
        binaries={one: f"k8s.io/kubernetes/cmd/{one}" for one in programs},
        variables=KUBERNETES_VARIABLES,
    )
    return Tool(name, KUBERNETES, Release(tuple(assets), systems=("linux",)), (recipe,), minutes)


def _provider_release(name: str) -> Release:
    project = f"pulumi/pulumi-{name}"
    file = f"pulumi-resource-{name}-v{{version}}-{{os}}-{{arch}}.tar.gz"
    asset = Asset(
        url=f"https://github.com/{project}/releases/download/v{{version}}/{file}",
        # The sums file of these releases holds SHA-1; the release's description has SHA-256.
        checksums=f"https://api.github.com/repos/{project}/releases/tags/v{{version}}",
        binaries=(f"pulumi-resource-{name}",),
    )
    return Release((asset,))


def _bridged(name: str, version: str, module: str, requires: dict[str, str], tags: tuple[str, ...] = ()) -> Tool:
    recipe = Recipe(
        module=f"provider-{name}",
        requires={**BRIDGE, **requires},
        binaries={f"pulumi-resource-{name}": f"./cmd/pulumi-resource-{name}"},
        variables={f"{module}/plugin.Version": version},
        tags=tags,
        bridge=name,
    )
    return Tool(f"provider-{name}", version, _provider_release(name), (recipe,), minutes=2.5, plugin=name)


PULUMI_TOOL = Tool(
    name="pulumi",
    version=PULUMI,
    release=Release(
        (
            Asset(
                url="https://get.pulumi.com/releases/sdk/pulumi-v{version}-{os}-{cpu}.tar.gz",
                checksums="https://get.pulumi.com/releases/sdk/pulumi-{version}-checksums.txt",
                binaries=(
                    "pulumi",
                    "pulumi-language-python",
                    "pulumi-language-python-exec",
                    "pulumi-resource-pulumi-python",
                ),
            ),
        )
    ),
    recipes=(
        Recipe(
            module="pulumi",
            requires={PULUMI_CLI: f"v{PULUMI}", PULUMI_SDK: f"v{PULUMI}"},
            binaries={"pulumi": f"{PULUMI_CLI}/cmd/pulumi"},
            variables=PULUMI_VERSION,
            scripts=(
                Copy(PULUMI_SDK, "python/cmd/pulumi-language-python-exec"),
                Copy(PULUMI_SDK, "python/dist/pulumi-resource-pulumi-python"),
            ),
        ),
        Recipe(
            module="pulumi-language-python",
            requires={PULUMI_SDK: f"v{PULUMI}"},
            binaries={"pulumi-language-python": "."},
            variables=PULUMI_VERSION,
        ),
    ),
    minutes=5,
)

KUBERNETES_TOOL = kubernetes_tool("kubernetes", CONTROL_PLANE, minutes=9)

ETCD_TOOL = Tool(
    name="etcd",
    version=ETCD,
    release=Release(
        (
            Asset(
                url="https://github.com/etcd-io/etcd/releases/download/v{version}/etcd-v{version}-{os}-{arch}.tar.gz",
                checksums="https://github.com/etcd-io/etcd/releases/download/v{version}/SHA256SUMS",
                binaries=("etcd",),
            ),
        ),
        systems=("linux",),
    ),
    recipes=(
        Recipe(
            module="etcd",
            requires={"go.etcd.io/etcd/server/v3": f"v{ETCD}"},
            binaries={"etcd": "go.etcd.io/etcd/server/v3"},
        ),
    ),
    minutes=1,
)

KWOK_TOOL = Tool(
    name="kwok",
    version=KWOK,
    release=Release(
        tuple(
            Asset(
                url=f"https://github.com/kubernetes-sigs/kwok/releases/download/v{{version}}/{name}-{{os}}-{{arch}}",
                # No sums file is published with these releases; the release's description has SHA-256.
                checksums="https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v{version}",
                binaries=(name,),
            )
            for name in ("kwok", "kwokctl")
        )
    ),
    recipes=(
        Recipe(
            module="kwok",
            requires={"sigs.k8s.io/kwok": f"v{KWOK}"},
            binaries={name: f"sigs.k8s.io/kwok/cmd/{name}" for name in ("kwok", "kwokctl")},
            variables={"sigs.k8s.io/kwok/pkg/consts.Version": KWOK},
        ),
    ),
    minutes=1,
)

KUBERNETES_PROVIDER_TOOL = Tool(
    name="provider-kubernetes",
    version=KUBERNETES_PROVIDER,
    release=_provider_release("kubernetes"),
    recipes=(
        Recipe(
            module="provider-kubernetes",
            requires={KUBERNETES_MODULE: "v4.0.0-20260304044920-867400a6a208"},
            binaries={"pulumi-resource-kubernetes": "."},
            variables={f"{KUBERNETES_MODULE}/pkg/version.Version": KUBERNETES_PROVIDER},
            inputs=(Copy(KUBERNETES_MODULE, "cmd/pulumi-resource-kubernetes/*.json"),),
        ),
    ),
    minutes=7,
    plugin="kubernetes",
)

RANDOM_MODULE = "github.com/terraform-providers/terraform-provider-random"
TLS_MODULE = "github.com/hashicorp/terraform-provider-tls"
DOCKER_MODULE = "github.com/terraform-providers/terraform-provider-docker"

TOOLS: tuple[Tool, ...] = (
    PULUMI_TOOL,
    KUBERNETES_TOOL,
    ETCD_TOOL,
    KWOK_TOOL,
    KUBERNETES_PROVIDER_TOOL,
    _bridged("random", RANDOM_PROVIDER, RANDOM_MODULE, {RANDOM_MODULE: "v1.3.2-0.20260513075824-f8d869dc98d9"}),
    _bridged("tls", TLS_PROVIDER, TLS_MODULE, {TLS_MODULE: "v1.2.1-0.20260819085117-d044ca7c6f52"}),
    _bridged("docker", DOCKER_PROVIDER, DOCKER_MODULE, {DOCKER_MODULE: "v0.0.0"}, tags=("no_compose",)),
)
