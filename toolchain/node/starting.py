"""The steps from nothing, or from what a crash has left, to a node that serves. Call them with the lock held."""

from __future__ import annotations

import json
import socket
from functools import partial
from pathlib import Path
from typing import Any

from toolchain import control_plane, operators
from toolchain.cluster_files import binary
from toolchain.errors import ToolchainError
from toolchain.kube_api import ApiError, KubeApi
from toolchain.locking import point
from toolchain.node import addons, machine, network, profile, services, settings
from toolchain.node.images import Image, images, write_archive
from toolchain.node.pins import NODE_TOOL
from toolchain.node.services import Node
from toolchain.progress import Progress
from toolchain.simulated_nodes import is_ready
from toolchain.waiting import wait_until

API_SECONDS, RUNTIME_SECONDS, NODE_SECONDS, ADDON_SECONDS = 60, 30, 90, 180
MERGE = "application/merge-patch+json"
NODE = f"/api/v1/nodes/{settings.NAME}"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{settings.NAME}"
SERVICES = (("kube-system", "kube-dns", 53), ("cnpg-system", "cnpg-webhook-service", 443))
"""What answers when name resolution and the operator do: namespace, service, TCP port."""


class Start:
    """One start: each step leaves alone what is as it should be. `started` says whether anything was not."""

    def __init__(self, region: str, told: Progress) -> None:
        self.region = region
        self.told = told
        self.started = False
        self.images = images()

    def run(self, applied: str | None) -> tuple[str, str]:
        """Returns the cluster's identity and what it has been given; `applied` is what it was given last time."""
        node = self._machine()
        self.started |= bool(services.down(node.folder))
        self._control_plane(node, new=applied is None)
        api = profile.connect()
        texts = addons.documents(node.network, self.images)
        current = addons.fingerprint(texts)
        self._runtime(node, new_images=current != applied)
        if _find(api, NODE):
            # Services and policies are in force before the pods of an earlier run start again.
            self._others(node)
        self._kubelet(node, api)
        self._others(node)
        operators.install(api, self.told.say)
        if current != applied:
            with self.told.step("applying name resolution and the operator of PostgreSQL"):
                addons.apply(node.profile, texts)
        if self.started or current != applied:
            with self.told.step("name resolution and the operator of PostgreSQL"):
                wait_until(
                    "the cluster's services", ADDON_SECONDS, partial(_serves, node, api), partial(_missing, node, api)
                )
                operators.wait_until_served(api)
        return str(api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]), current

    def _machine(self) -> Node:
        """Namespaces and the link to them; whatever is left of earlier ones ends first."""
        environment = services.environment(self.told.say)
        folder = profile.folder()
        with network.exclusively(self.told.say):
            own = profile.network() or profile.choose_network()
            network.require(own, folder)
            process = machine.holder(folder)
            if process is None:
                self.started = True
                with self.told.step("namespaces and network of the node"):
                    control_plane.stop(profile.UNKNOWN)
                    network.disconnect(own, folder)
                    point(folder / "bin" / machine.HOLDER, binary(NODE_TOOL, machine.HOLDER))
                    process = machine.start(folder, own.name)
            network.connect(own, process, folder)
        return Node(profile.profile(), own, process, environment)

    def _control_plane(self, node: Node, *, new: bool) -> None:
        missing = control_plane.down(node.profile)
        if not new and not missing and profile.connect().ready():
            return
        self.started = True
        with self.told.step("control plane"):
            if new:
                control_plane.create(node.profile)
            up = partial(control_plane.all_up, node.profile, profile.connect().ready)
            wait_until("the API server", API_SECONDS, up, partial(control_plane.last_words, node.profile))

    def _runtime(self, node: Node, *, new_images: bool) -> None:
        missing = services.down(node.folder)
        if "containerd" in missing:
            with self.told.step("containerd"):
                services.start(node, ["containerd"], self.images)
                wait_until("containerd", RUNTIME_SECONDS, lambda: _answers(node), lambda: _words(node))
        if missing or new_images:
            self._load(node)

    def _load(self, node: Node) -> None:
        present = node.run("ctr", "--namespace=k8s.io", "images", "list", "--quiet").stdout.split()
        wanted = [image for image in self.images.values() if image.reference not in present]
        if wanted:
            with self.told.step("images of the node"):
                for image in wanted:
                    _load_own(node, image)

    def _kubelet(self, node: Node, api: KubeApi) -> None:
        """Wait for the node and put it where `region` is."""
        if "kubelet" in services.down(node.folder):
            before = _renewed(api)

            def ready() -> bool:
                """The lease is new only when this kubelet lives; the condition may be from before a crash."""
                found = _find(api, NODE)
                return found is not None and is_ready(found) and _renewed(api) != before and _knows_its_pods(api)

            with self.told.step("kubelet"):
                services.start(node, ["kubelet"], self.images)
                wait_until("the node", NODE_SECONDS, ready, lambda: _words(node))
        place = {"topology.kubernetes.io/region": self.region, "topology.kubernetes.io/zone": f"{self.region}a"}
        if not place.items() <= api.get(NODE)["metadata"]["labels"].items():
            api.send("PATCH", NODE, {"metadata": {"labels": place}}, content=MERGE)
            self.told.say(f"the node is in zone {self.region}a of region {self.region}")

    def _others(self, node: Node) -> None:
        """What looks for the node among the API server's objects, and so comes after it."""
        missing = [name for name in services.down(node.folder) if name != "kubelet"]
        if missing:
            self.told.say(f"starting {', '.join(missing)}")
            services.start(node, missing, self.images)


def load(node: Node, archive: Path) -> None:
    """Import the images of an archive; raises ToolchainError when it holds none."""
    with archive.open("rb") as content:
        done = node.run("ctr", "--namespace=k8s.io", "images", "import", "-", stdin=content.fileno())
    if done.returncode != 0:
        raise ToolchainError(f"node: {archive} could not be imported: {done.stderr.strip()}")


def _load_own(node: Node, image: Image) -> None:
    archive = node.folder / f"{image.name}.tar"
    try:
        write_archive(image, archive)
        load(node, archive)
    finally:
        archive.unlink(missing_ok=True)


def _answers(node: Node) -> bool:
    return node.run("ctr", "version").returncode == 0


def _words(node: Node) -> str:
    return services.last_words(node.folder)


def _find(api: KubeApi, path: str) -> dict[str, Any] | None:
    try:
        return api.get(path)
    except ApiError as error:
        if error.status == 404:
            return None
        raise


def _knows_its_pods(api: KubeApi) -> bool:
    """Whether the kubelet answers the API server, as for logs and exec, and has heard of every pod that is its."""
    placed = api.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{settings.NAME}")["items"] or []
    try:
        known = api.get(f"{NODE}/proxy/pods")["items"] or []
    except ApiError:
        return False
    return len(known) >= len(placed)


def _renewed(api: KubeApi) -> str:
    lease = _find(api, LEASE)
    return str(lease["spec"].get("renewTime", "")) if lease else ""


def _serves(node: Node, api: KubeApi) -> bool:
    """Whether all programs run, the deployments are available and their services answer.

    What the API server says of a deployment may be from before a crash.
    """
    if services.down(node.folder) or addons.waiting_for(api):
        return False
    for space, name, port in SERVICES:
        address = api.get(f"/api/v1/namespaces/{space}/services/{name}")["spec"]["clusterIP"]
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            return False
    return True


def _missing(node: Node, api: KubeApi) -> str:
    if services.down(node.folder):
        return _words(node)
    names = ", ".join(addons.waiting_for(api)) or "their services"
    return f"not available: {names}; look at `python3 -m toolchain cluster kubectl --node -- get events -A`"


def write_marker(file: Path, identity: str, applied: str) -> None:
    """Say that the creation is complete, and what the cluster has been given."""
    file.write_text(json.dumps({"identity": identity, "applied": applied}), encoding="utf-8")
