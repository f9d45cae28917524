"""Asks what an environment runs on for its version: a cluster by kubectl, which knows every way to sign in, an engine
by its socket. Changes nothing. What gives no answer has no version.
"""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from components.core.compatibility import tagged_version

if TYPE_CHECKING:
    from components.targets.kubernetes import Cluster

_SECONDS = 10


def cluster_version(cluster: Cluster) -> str:
    """Version of a cluster's API server, such as 1.36.3. Kubernetes API, "VersionInfo"."""
    return _plain(_get(cluster, "/version").get("gitVersion"))


def operator_version(cluster: Cluster, name: str) -> str:
    """Version of an operator, by the name that its Deployment bears in the label app.kubernetes.io/name."""
    selector = quote(f"app.kubernetes.io/name={name}")
    found = _get(cluster, f"/apis/apps/v1/deployments?labelSelector={selector}").get("items") or []
    containers = [one for item in found for one in item["spec"]["template"]["spec"]["containers"]]
    return next(filter(None, (tagged_version(one["image"]) for one in containers)), "")


def engine_version(path: str) -> str:
    """Version of the Docker engine on a unix socket, such as 29.8.2. Docker Engine API, "SystemVersion"."""
    connection = http.client.HTTPConnection("docker", timeout=_SECONDS)
    try:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(_SECONDS)
        connection.sock.connect(path)
        connection.request("GET", "/version")
        return _plain(json.loads(connection.getresponse().read()).get("Version"))
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        return ""
    finally:
        connection.close()


def _get(cluster: Cluster, path: str) -> dict[str, Any]:
    """What an API server answers; nothing where it does not, or where it may not be asked."""
    from components.targets.kubernetes.kubectl import KubectlError, kubectl

    try:
        answer = json.loads(kubectl(cluster, "get", "--raw", path, f"--request-timeout={_SECONDS}s"))
    except (KubectlError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _plain(version: object) -> str:
    """The numbers of a version as the server words it: `v1.36.3-eks-1`, `20.10.24+dfsg1`."""
    return tagged_version(f":{version}".replace("+", "-"))
