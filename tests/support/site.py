"""The place in which tests plan services."""

from __future__ import annotations

from components.core.site import Placement
from components.core.workload import Workload
from components.targets.kubernetes.target import KubernetesNames

PLACEMENT = Placement(region="eu-central-1", zones=3)
NAMES = KubernetesNames("groundwork-test")


def contents(workload: Workload) -> dict[str, str]:
    """Content of each configuration file by its name."""
    return {file.path.rpartition("/")[2]: file.content for file in workload.files}
