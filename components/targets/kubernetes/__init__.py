"""The Kubernetes target: workloads as hardened, placed and closed-off objects of one namespace."""

from components.targets.kubernetes.cluster import Cluster
from components.targets.kubernetes.target import Kubernetes

__all__ = ["Cluster", "Kubernetes"]
