"""The Docker target: workloads as groups of hardened containers on one machine, closed off by a network per edge."""

from components.targets.docker.target import Docker

__all__ = ["Docker"]
