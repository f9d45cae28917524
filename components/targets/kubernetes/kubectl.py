"""kubectl for the cluster of an environment: for what Pulumi's provider can't do, or would have to be asked first."""

import subprocess

from components.targets.kubernetes.cluster import Cluster

_SECONDS = 120


class KubectlError(Exception):
    """kubectl is not there, or has said why it failed."""


def kubectl(cluster: Cluster, *words: str) -> str:
    """What it prints. Raises KubectlError."""
    command = ["kubectl", "--kubeconfig", cluster.kubeconfig, "--context", cluster.context, *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise KubectlError("there is no kubectl on PATH") from None
    except subprocess.TimeoutExpired:
        raise KubectlError(f"kubectl {words[0]} gave no answer within {_SECONDS} s") from None
    if done.returncode:
        raise KubectlError(done.stderr.strip())
    return done.stdout
