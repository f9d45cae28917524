"""kubectl for one of the toolchain's clusters and no other."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from toolchain import cluster_files
from toolchain.cluster_files import Profile
from toolchain.pins import KUBERNETES_TOOL


def program() -> Path:
    """The program; raises ToolchainError where it is not installed."""
    return cluster_files.binary(KUBERNETES_TOOL, "kubectl")


def variables(profile: Profile) -> dict[str, str]:
    """What binds it to the cluster, and has it keep nothing elsewhere. Kubernetes documentation, "kubectl"."""
    return {
        "KUBECONFIG": str(cluster_files.kubeconfig_file(profile)),
        "KUBECACHEDIR": str(cluster_files.folder(profile) / "kubectl-cache"),
    }


def become(profile: Profile, arguments: list[str], **more: str) -> NoReturn:
    """Let kubectl take this process's place, with the user's variables, its own and `more`.

    `arguments` are kubectl's own words, with or without the `--` that keeps them apart.
    """
    path = program()
    words = arguments[1:] if arguments[:1] == ["--"] else arguments
    sys.stdout.flush()
    os.execve(path, [str(path), *words], {**os.environ, **variables(profile), **more})  # noqa: S606
