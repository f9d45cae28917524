"""The embedded cluster: a real Kubernetes API server, scheduler and controllers on this machine, without root.

Nodes and pods are simulated: the scheduler places pods and controllers act on them, but no container runs. It serves
development and tests; it is no place for data. One per user; several environments share it in their own namespaces.
It never reads or writes a kubeconfig other than its own. Storage classes belong to the environments: the provisioner
`kubernetes.io/host-path` serves their volumes with empty folders below /tmp/hostpath_pv and deletes them again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from toolchain import cluster_files, control_plane, operators, paths
from toolchain import simulated_nodes as simulation
from toolchain.errors import ToolchainError
from toolchain.kube_api import ApiError, KubeApi
from toolchain.locking import exclusive
from toolchain.waiting import wait_until

Log = Callable[[str], None]

RUNNING, STOPPED, ABSENT = "running", "stopped", "absent"
READY_SECONDS = 60
# Fixed in the controller manager (pkg/volume/hostpath).
VOLUMES = Path("/tmp/hostpath_pv")  # noqa: S108


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    `created` says that it is new and empty: what a stack's state says about an earlier one is no longer true, so the
    state has to be refreshed. `identity` is the uid of the namespace kube-system: another value is another cluster.
    """

    kubeconfig: Path
    context: str
    identity: str
    created: bool
    started: bool


def ensure(region: str = simulation.DEFAULT_REGION, other_region: str | None = None, log: Log = print) -> Cluster:
    """Bring the cluster to life, whatever state it is in, with nodes in both regions; quick when all is well.

    Data survive a stop, a crash and a reboot. A creation that was interrupted is undone and done again. Raises
    ToolchainError when a program is missing, a port is taken or a component does not come up.
    """
    nodes = simulation.plan_nodes(region, other_region or simulation.other_than(region))
    _require_volumes()
    with _locked(log):
        created = not _marker().is_file()
        started = _bring_up(created, log)
        api = connect()
        try:
            added = simulation.add_missing(api, nodes)
            wait_until("the simulated nodes", READY_SECONDS, lambda: simulation.all_ready(api, nodes), _hint)
            if added:
                log(f"added {added} simulated nodes")
            if operators.install(api, log) or started:
                operators.wait_until_served(api)
            identity = str(api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"])
        except ApiError as error:
            raise ToolchainError(f"embedded cluster: {error}; {_hint()}") from error
        if created:
            _marker().write_text(json.dumps({"identity": identity}), encoding="utf-8")
        return Cluster(cluster_files.kubeconfig_file(), cluster_files.CONTEXT, identity, created, started)


def stop(log: Log = print) -> None:
    """End every process of the cluster; its content stays and is there after the next start."""
    with _locked(log):
        log(f"stopped {control_plane.stop()} processes; the content is kept")


def delete(log: Log = print) -> None:
    """End every process and delete the cluster's content, ports and keys, and its volumes' folders if it runs."""
    with _locked(log):
        there = cluster_files.folder().exists()
        volumes = _volumes() if state() == RUNNING else []
        control_plane.remove()
        for volume in volumes:
            volume.rmdir()
        log("deleted the embedded cluster" if there else "there is no embedded cluster")


def state() -> str:
    """`running` (every component is up and the API answers), `stopped` (some or all are down) or `absent`."""
    if not _marker().is_file():
        return ABSENT
    return RUNNING if not control_plane.down() and connect().ready() else STOPPED


def connect() -> KubeApi:
    """A client for the cluster's API server, whether it answers or not."""
    return KubeApi(cluster_files.ports()["kubeApiserverPort"], cluster_files.work_folder() / "pki")


def await_release(namespace: str, client: KubeApi | None = None) -> None:
    """Wait until no volume of a deleted namespace is left: they are reclaimed after it, one by one.

    `client` names another cluster than this one. Raises ToolchainError when one stays.
    """
    api = client or connect()

    def released() -> bool:
        volumes = api.get("/api/v1/persistentvolumes")["items"]
        return all(volume["spec"].get("claimRef", {}).get("namespace") != namespace for volume in volumes)

    wait_until(f"the volumes of {namespace} to be reclaimed", READY_SECONDS, released, _hint)


def _locked(log: Log) -> AbstractContextManager[None]:
    lock = paths.state_folder() / "cluster.lock"
    return exclusive(lock, lambda: log("another process starts or stops the embedded cluster; waiting for it"))


def _marker() -> Path:
    """Written last, so its absence means that the creation did not finish."""
    return cluster_files.folder() / "complete.json"


def _bring_up(create: bool, log: Log) -> bool:
    """Start what does not run; returns whether anything had to be started."""
    if create:
        if cluster_files.folder().exists():
            log("an earlier creation did not finish; starting afresh")
            control_plane.remove()
        log("creating the embedded cluster")
        control_plane.create()
    missing = control_plane.down()
    if missing and not create:
        log(f"starting {', '.join(missing)}")
    up = partial(control_plane.all_up, cluster_files.SIMULATED, lambda: connect().ready())
    wait_until("the API server", READY_SECONDS, up, _hint)
    return create or bool(missing)


def _volumes() -> list[Path]:
    """The folders of the volumes; they are empty, since nothing that runs here writes."""
    found = connect().get("/api/v1/persistentvolumes")["items"] or []
    folders = [Path(volume["spec"].get("hostPath", {}).get("path", "/")) for volume in found]
    return [folder for folder in folders if folder.parent == VOLUMES and folder.is_dir()]


def _require_volumes() -> None:
    """Make the folder as /tmp itself is, so that clusters of other users find room too."""
    if not VOLUMES.exists():
        VOLUMES.mkdir(exist_ok=True)
        VOLUMES.chmod(0o1777)
    if not os.access(VOLUMES, os.W_OK | os.X_OK):
        raise ToolchainError(
            f"{VOLUMES} belongs to another user, so no volume could be made. Let its owner run `chmod 1777 {VOLUMES}`"
        )


def _hint() -> str:
    return f"{control_plane.last_words()}\nto start afresh: python3 -m toolchain cluster delete, then start"
