"""An embedded cluster with one real node: pods run, services and network policies act, volumes hold data.

A cluster of its own beside the simulated one, with its own folder, addresses and kubeconfig context. The control plane
runs in the node's network namespace, so nothing but the cluster's own programs meets it. For development and tests on
Linux as root: every program of the node uses the administrator's key, and pods reach nothing beyond this machine, so
images come by `loading.ensure_images`, or by `load_image` from archives. Storage classes belong to the environments:
`profile.PROVISIONER` serves their volumes.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from toolchain import cluster, control_plane, paths
from toolchain.cluster import Cluster
from toolchain.errors import ToolchainError
from toolchain.kube_api import ApiError
from toolchain.locate import locate, mode
from toolchain.locking import exclusive, remove_tree
from toolchain.node import machine, network, profile, services, starting
from toolchain.node.pins import NODE_TOOLS
from toolchain.progress import Progress
from toolchain.simulated_nodes import DEFAULT_REGION, REGION_FORM


def ensure(region: str = DEFAULT_REGION, progress: Progress | None = None) -> Cluster:
    """Bring the cluster to life, whatever state it is in, with its node in `region`; quick when all is well.

    Data survive a stop, a crash and a reboot. A creation that was interrupted is undone and done again. Raises
    ToolchainError without Linux or root, when a program cannot be had, and when a part does not come up.
    """
    told = progress or Progress()
    machine.require()
    if not REGION_FORM.fullmatch(region):
        raise ToolchainError(f"region: {region!r} given; lower-case letters, digits and hyphens, such as eu-central-1")
    _install(told)
    with _locked(told):
        applied = _applied()
        if applied is None and profile.folder().exists():
            told.say("an earlier creation did not finish; starting afresh")
            _remove(told)
        start = starting.Start(region, told)
        try:
            identity, given = start.run(applied)
        except ApiError as error:
            raise ToolchainError(f"node: {error}; logs are in {profile.folder() / 'logs'}") from error
        if given != applied:
            starting.write_marker(_marker(), identity, given)
        return Cluster(profile.kubeconfig_file(), profile.CONTEXT, identity, applied is None, start.started)


def stop(progress: Progress | None = None) -> None:
    """End every process of the cluster, its pods politely; its content stays and is there after the next start."""
    told = progress or Progress()
    with _locked(told):
        _stop(told)
        told.say("stopped the cluster with a real node; its content is kept")


def delete(progress: Progress | None = None) -> None:
    """End every process and delete the cluster's content; nothing of it is left on this machine."""
    told = progress or Progress()
    with _locked(told):
        there = profile.folder().exists()
        _remove(told)
        told.say("deleted the cluster with a real node" if there else "there is no cluster with a real node")


def load_image(archive: Path) -> None:
    """Give the node the images of an archive (of `docker save`, or an OCI layout), under the names it gives them.

    Pods that use them need imagePullPolicy IfNotPresent or Never. Raises ToolchainError when the node does not run
    or the archive holds no image.
    """
    own, process = profile.network(), machine.holder(profile.folder())
    if own is None or process is None:
        raise ToolchainError("the cluster with a real node does not run; python3 -m toolchain cluster start --node")
    environment = services.environment(print)
    starting.load(services.Node(profile.profile(), own, process, environment), archive)


def state() -> str:
    """`running` (every part is up and the API answers), `stopped` (some or all are down) or `absent`."""
    if _applied() is None:
        return cluster.ABSENT
    up = machine.holder(profile.folder()) is not None and not services.down(profile.folder())
    if not up or control_plane.down(profile.profile()):
        return cluster.STOPPED
    return cluster.RUNNING if profile.connect().ready() else cluster.STOPPED


def _install(told: Progress) -> None:
    """Get the node's programs, which `install` leaves out."""
    from toolchain.install import Installer

    if not all(locate(tool, mode()) for tool in NODE_TOOLS):
        Installer(mode(), told, NODE_TOOLS).run()


def _locked(told: Progress) -> AbstractContextManager[None]:
    lock = paths.state_folder() / "node.lock"
    return exclusive(lock, lambda: told.say("another process starts or stops the node's cluster; waiting for it"))


def _marker() -> Path:
    """Written last, so its absence means that the creation did not finish."""
    return profile.folder() / "complete.json"


def _applied() -> str | None:
    """What the cluster has been given; None when there is no complete cluster."""
    try:
        return str(json.loads(_marker().read_text(encoding="utf-8"))["applied"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _stop(told: Progress) -> None:
    own = profile.network()
    with network.exclusively(told.say) if own else nullcontext():
        # While this one was stopped, another may have taken its network, and with it the name of its control groups.
        machine.stop(profile.folder(), own.name if own and network.usable(own, profile.folder()) else None)
        control_plane.stop(profile.UNKNOWN)
        if own:
            network.disconnect(own, profile.folder())


def _remove(told: Progress) -> None:
    _stop(told)
    remove_tree(profile.folder())
