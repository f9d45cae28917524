"""Brings the images of pods to the node, which reaches no registry itself: this machine asks on its behalf."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from toolchain import image_recipes
from toolchain.errors import ToolchainError
from toolchain.images import Log, bring
from toolchain.node import machine, profile, services, settings

STOPPED = "the cluster with a real node does not run; python3 -m toolchain cluster start --node"


def ensure_images(references: Sequence[str], log: Log = print) -> None:
    """Bring every image to the node, pulled by this machine or made here; quick when all are there.

    Raises ToolchainError when the node does not run, and for an image that can be neither pulled nor made.
    """
    command = _ctr(log)
    listed = subprocess.run([*command, "list", "--quiet"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        raise ToolchainError(f"node: containerd does not answer: {listed.stderr.strip()}; {STOPPED}")
    present = set(listed.stdout.split())
    missing = [name for name in dict.fromkeys(map(full_name, references)) if name not in present]
    bring(missing, [*command, "pull"], [*command, "import", "-"], log)


def full_name(reference: str) -> str:
    """The name that a kubelet asks for, with the registry. Docker documentation, "docker image tag"."""
    host = image_recipes.registry(reference)
    name = reference.removeprefix(f"{host}/")
    return f"{host}/library/{name}" if host == "docker.io" and "/" not in name else f"{host}/{name}"


def _ctr(log: Log) -> list[str]:
    """`ctr images` as a program of this machine: it fetches an image itself and passes it on through the socket."""
    process = machine.holder(profile.folder())
    if process is None:
        raise ToolchainError(STOPPED)
    found = services.environment(log)
    program = shutil.which("ctr", path=found["PATH"]) or "ctr"
    own = [f"{name}={value}" for name, value in found.items()]
    return ["env", *own, program, f"--address=/proc/{process}/root{settings.SOCKET}", "--namespace=k8s.io", "images"]
