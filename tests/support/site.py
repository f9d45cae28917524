"""The place in which tests plan services."""

from __future__ import annotations

from components.core.site import Placement
from components.targets.kubernetes.target import KubernetesNames

PLACEMENT = Placement(region="eu-central-1", zones=3)
NAMES = KubernetesNames("groundwork-test")
