"""The parts of a real node that can be judged without starting it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from components.postgres.network import _HTTPS
from components.targets.kubernetes.network import edges_only
from toolchain import cluster_command, cluster_files, debian, image_archive, locate
from toolchain.errors import ToolchainError
from toolchain.image_layers import Layer
from toolchain.node import addons, cluster, loading, machine, network, profile, services, settings
from toolchain.node.images import Image, write_archive
from toolchain.node.network import Network
from toolchain.tool import UNRELEASED, Recipe, Tool


@pytest.fixture
def interfaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without interfaces."""
    folder = tmp_path / "net"
    folder.mkdir()
    monkeypatch.setattr(network, "INTERFACES", folder)
    return folder


def owned_by(interfaces: Path, name: str, folder: Path) -> None:
    (interfaces / name).mkdir()
    (interfaces / name / "ifalias").write_text(f"{folder}\n")


def networks(chosen: Network) -> list[Any]:
    return [chosen.link, chosen.services, chosen.pods]


def no_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_clusters_share_no_address() -> None:
    every = [one for number in network.NUMBERS for one in networks(Network(number))]
    assert not [pair for pair in combinations(every, 2) if pair[0].overlaps(pair[1])]


def test_the_first_network_without_a_route_into_it_is_taken(interfaces: Path) -> None:
    assert network.choose([]) == Network(0)
    assert network.choose([Network(0).services]) == Network(1)
    assert network.choose([*networks(Network(0)), next(Network(1).pods.subnets(new_prefix=28))]) == Network(2)
    with pytest.raises(ToolchainError, match="remove a route"):
        network.choose([Network(number).link for number in network.NUMBERS])


def test_the_network_of_another_cluster_is_neither_taken_nor_removed(
    interfaces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned_by(interfaces, Network(0).name, tmp_path / "theirs")
    removed: list[Any] = []
    monkeypatch.setattr(network.subprocess, "run", lambda command, **_: removed.append(command))  # type: ignore[attr-defined]
    assert network.choose([]) == Network(1)
    with pytest.raises(ToolchainError, match=f"is used by the cluster in {tmp_path / 'theirs'}"):
        network.require(Network(0), tmp_path / "ours")
    network.disconnect(Network(0), tmp_path / "ours")
    assert removed == []
    network.require(Network(0), tmp_path / "theirs")
    network.disconnect(Network(0), tmp_path / "theirs")
    assert removed == [["ip", "link", "delete", Network(0).name]]


def test_interface_names_fit_the_kernel() -> None:
    assert max(len(Network(number).name) for number in network.NUMBERS) < 16


def test_the_api_server_is_certified_for_every_address_it_is_called_by(home: Path) -> None:
    chosen = Network(3)
    own = profile.profile_of(chosen)
    assert own.address == str(chosen.node)
    assert {str(chosen.node), str(chosen.api)} <= set(own.names)
    assert own.flags["kube-apiserver"]["advertise-address"] == str(chosen.node)
    assert own.flags["kube-apiserver"]["service-cluster-ip-range"] == str(chosen.services)


def test_only_real_nodes_are_managed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_files, "binary", lambda tool, name: Path(name))
    own = profile.profile_of(Network(0))
    options = cluster_files.configuration(cluster_files.choose_ports(own), own)["options"]
    assert isinstance(options, dict)
    assert options["disable"] == ["kwok-controller"]
    assert options["kubeApiserverCertSANs"] == list(own.names)
    assert "kwokControllerPort" not in options
    assert options["kubeApiserverPort"] in _HTTPS, "policies let pods reach the API server by this port"
    simulated = cluster_files.configuration({})["options"]
    assert isinstance(simulated, dict)
    assert (simulated["disable"], simulated["kubeApiserverCertSANs"]) == ([], [])


def test_its_folder_and_context_are_its_own(home: Path) -> None:
    assert profile.folder() != cluster_files.folder()
    assert profile.kubeconfig_file() != cluster_files.kubeconfig_file()
    assert profile.CONTEXT != cluster_files.CONTEXT


def test_pods_ask_the_name_service_that_policies_let_them_ask(home: Path) -> None:
    chosen = Network(2)
    objects = {one["kind"]: one for one in addons.name_service(chosen, "image")}
    pod, service = objects["Deployment"]["spec"]["template"], objects["Service"]
    kubelet = settings.kubelet(chosen, Path("/pki"), Path("/folder"))
    assert kubelet["clusterDNS"] == [service["spec"]["clusterIP"]]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    policy: Any = edges_only("app", [], [{}])
    peer = policy["egress"][-1]["to"][0]
    assert peer["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert list(peer["namespaceSelector"]["matchLabels"].values()) == [objects["Deployment"]["metadata"]["namespace"]]


def test_another_configuration_of_the_name_service_is_another_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    def template() -> Any:
        return addons.name_service(Network(0), "image")[-1]["spec"]["template"]

    before = template()
    monkeypatch.setattr(addons, "COREFILE", addons.COREFILE.replace("health", "health :8085"))
    assert template() != before


def test_the_operator_runs_from_the_image_that_was_made_here() -> None:
    upstream = "ghcr.io/cloudnative-pg/cloudnative-pg:1.0.0"
    manifest = f"value: {upstream}\nimage: {upstream}\nimagePullPolicy: Always\n"
    changed = addons.own_image(manifest, upstream, "groundwork.dev/cloudnative-pg:abc")
    assert changed == (
        "value: groundwork.dev/cloudnative-pg:abc\nimage: groundwork.dev/cloudnative-pg:abc\n"
        "imagePullPolicy: IfNotPresent\n"
    )
    for broken in (manifest.replace("1.0.0", "1.0.1"), manifest.replace("Always", "Never")):
        with pytest.raises(ToolchainError, match="expected, but not in it"):
            addons.own_image(broken, upstream, "image")


def test_an_image_holds_the_program_under_all_its_names_and_nothing_else(tmp_path: Path) -> None:
    program = tmp_path / "tool-1-abc" / "program"
    program.parent.mkdir()
    program.write_bytes(b"\x7fELF content")
    image = Image("name", program, "/folder/program", 65532, {"/short": "folder/program"})
    write_archive(image, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        files = {name: archive.extractfile(name) for name in archive.getnames()}
        content = {name: file.read() for name, file in files.items() if file}
    manifest, config = json.loads(content["manifest.json"]), json.loads(content["config.json"])
    assert manifest == [{"Config": "config.json", "RepoTags": [image.reference], "Layers": ["layer.tar"]}]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(content['layer.tar']).hexdigest()}"]
    assert config["config"] == {"Entrypoint": ["/short"], "User": "65532", "WorkingDir": "/"}
    (tmp_path / "layer.tar").write_bytes(content["layer.tar"])
    with tarfile.open(tmp_path / "layer.tar") as layer:
        members = {member.name: member for member in layer}
        inside = layer.extractfile("folder/program")
        assert inside is not None
        assert inside.read() == program.read_bytes()
    assert set(members) == {"folder", "folder/program", "short"}
    assert (members["folder/program"].mode, members["short"].linkname) == (0o755, "folder/program")
    assert sorted(path.name for path in tmp_path.glob("image*")) == ["image.tar"]


def test_another_program_is_another_image(tmp_path: Path) -> None:
    first, second = (Image("name", tmp_path / folder / "program", "/program", 0) for folder in ("t-1-abc", "t-1-def"))
    assert first.reference != second.reference
    assert first.reference == Image("name", tmp_path / "t-1-abc" / "program", "/program", 0).reference


def test_what_the_system_has_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/sbin/{name}")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    found = services.environment(print)
    assert "/usr/sbin" in found["PATH"].split(os.pathsep)
    assert "HTTPS_PROXY" not in found


def test_what_no_package_brought_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name == "ipset" else f"/usr/sbin/{name}")
    monkeypatch.setattr(debian, "programs", lambda packages, log: debian.Programs(tmp_path, {}))
    with pytest.raises(ToolchainError, match="--node: ipset not found"):
        services.environment(print)


@pytest.mark.parametrize(
    ("written", "asked_for"),
    [
        ("redis:8.2", "docker.io/library/redis:8.2"),
        ("someone/app:1.0", "docker.io/someone/app:1.0"),
        ("docker.io/redis:8.2", "docker.io/library/redis:8.2"),
        ("docker.io/groundwork/demo:0.3.0", "docker.io/groundwork/demo:0.3.0"),
        ("mirror.example:5000/docker.io/library/redis:8", "mirror.example:5000/docker.io/library/redis:8"),
    ],
)
def test_an_image_is_kept_under_the_name_that_a_kubelet_asks_for(written: str, asked_for: str) -> None:
    assert loading.full_name(written) == asked_for


def test_images_that_the_node_lacks_are_pulled_or_made_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ctr` stands for the real one: it knows one image, reaches one registry, and keeps what it is given."""
    given = home / "given.tar"
    script = f"""#!/bin/sh
    case "$4 $5" in
      "list --quiet") echo docker.io/library/redis:8 ;;
      "pull quay.io/"*) echo "layer complete" ;;
      "pull "*) echo "dial tcp: lookup docker.io: no such host" >&2; exit 1 ;;
      "import -") cat > "{given}" ;;
    esac
    """
    (home / "bin" / "ctr").write_text(script)
    (home / "bin" / "ctr").chmod(0o755)
    layer = home / "layer.tar"
    with tarfile.open(layer, "w"):
        pass
    monkeypatch.setattr(
        image_archive, "debian_layer", lambda *_: Layer(layer, "0" * 64, {"nginx": "1.30.1-1", "curl": "8.17.0-1"})
    )
    monkeypatch.setattr(machine, "holder", lambda folder: 4711)
    monkeypatch.setattr(services, "environment", lambda log: {"PATH": os.environ["PATH"]})
    said: list[str] = []
    wanted = ["redis:8", "docker.io/curlimages/curl:8", "quay.io/curl/curl:8", "docker.io/curlimages/curl:8"]
    loading.ensure_images(wanted, said.append)
    assert [line for line in said if line.startswith("[")] == [
        "[1/2] docker.io/curlimages/curl:8", "[2/2] quay.io/curl/curl:8",
    ]  # fmt: skip
    assert any("docker.io not reachable; made here from" in line for line in said)
    with tarfile.open(given) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None
        assert json.load(manifest)[0]["RepoTags"] == ["docker.io/curlimages/curl:8"]


def test_images_for_a_node_that_does_not_run(home: Path) -> None:
    with pytest.raises(ToolchainError, match="cluster start --node"):
        loading.ensure_images(["redis:8"])


def test_a_node_without_root_is_refused_before_anything_is_done(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_root(monkeypatch)
    with pytest.raises(ToolchainError, match=r"as an ordinary user given; a real node needs Linux and root"):
        cluster.ensure()
    assert not profile.folder().exists()


def test_missing_commands_of_the_system_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(machine.sys, "platform", "linux")  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "nsenter" else name)
    with pytest.raises(ToolchainError, match="--node: nsenter not found"):
        machine.require()


def test_every_hierarchy_of_control_groups_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)
    for name in ("cpu,cpuacct", "memory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    (tmp_path / "cpu").symlink_to("cpu,cpuacct")
    assert machine._hierarchies() == [tmp_path / "cpu,cpuacct", tmp_path / "memory"]
    (tmp_path / "cgroup.controllers").touch()
    assert machine._hierarchies() == [tmp_path]


def test_words_about_a_cluster_that_is_not_there(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster_command.main(["status", "--node"]) == 4
    assert "start it: python3 -m toolchain cluster start --node" in capsys.readouterr().out
    for words in (["kubeconfig", "--node"], ["kubectl", "--node", "--", "get", "pods"]):
        with pytest.raises(ToolchainError, match="there is no cluster with a real node"):
            cluster_command.main(words)
    with pytest.raises(ToolchainError, match="does not run"):
        cluster_command.main(["load", "--node", "image.tar"])


def test_kubectl_keeps_a_node_option_of_its_own(home: Path) -> None:
    with pytest.raises(ToolchainError, match="there is no embedded cluster"):
        cluster_command.main(["kubectl", "--", "debug", "--node"])


def test_a_damaged_cluster_is_deleted_without_touching_another(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profile.folder().mkdir(parents=True)
    (profile.folder() / "complete.json").write_text('{"applied": "x"}')
    monkeypatch.setattr(network, "disconnect", lambda *_: pytest.fail("it has no network to remove"))
    with pytest.raises(ToolchainError, match="cluster delete --node"):
        profile.connect()
    cluster.delete()
    assert not profile.folder().exists()


def test_a_tool_that_nobody_publishes_is_found_where_it_was_built(tmp_path: Path) -> None:
    tool = Tool("made", "1.0", UNRELEASED, (Recipe("made", {}, {"one": ".", "two": "./cmd/two"}),), 1)
    assert tool.binaries() == ("one", "two")
    assert not locate.is_complete(tool, tmp_path)
    for name in tool.binaries():
        (tmp_path / name).touch(mode=0o755)
    assert locate.is_complete(tool, tmp_path)
