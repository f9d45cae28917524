"""Where a process finds its own certificate and what its edges yielded. The same paths in every workload. Pure."""

from collections.abc import Iterable, Mapping

import pulumi

from components.core.bindings import Binding, Certificate
from components.core.problems import ConfigError, Problem
from components.core.workload import SecretFile

ROOT = "/run/groundwork"
OWN = f"{ROOT}/tls"
"""Directory of the process's own certificate: ca.crt, tls.crt, tls.key."""
_CERTIFICATE = ("ca.crt", "tls.crt", "tls.key")


def own_files() -> tuple[SecretFile, ...]:
    """The files of a process's own certificate."""
    return tuple(SecretFile(f"{OWN}/{file}", file) for file in _CERTIFICATE)


def directory(service: str) -> str:
    """Directory of the files that the edge to a service yields."""
    return f"{ROOT}/{service}"


def edge_files(name: str, bindings: Mapping[str, Binding]) -> tuple[SecretFile, ...]:
    """The files of every edge of service `name`. Raises ConfigError where one would take the place of its own."""
    if "tls" in bindings:
        text = f"tls given; {OWN} holds the service's own certificate; give the service tls another name"
        raise ConfigError([Problem(f"groundwork:services.{name}.uses", text)])
    return tuple(
        SecretFile(f"{directory(service)}/{file}", _slot(service, file))
        for service, file in _files(bindings)
    )  # fmt: skip


def contents(certificate: Certificate, bindings: Mapping[str, Binding]) -> dict[str, pulumi.Input[str]]:
    """What is in each of these files, by its slot."""
    edges = {_slot(service, file): bindings[service].files[file] for service, file in _files(bindings)}
    return {**certificate.files(), **edges}


def _files(bindings: Mapping[str, Binding]) -> Iterable[tuple[str, str]]:
    return ((service, file) for service, binding in sorted(bindings.items()) for file in sorted(binding.files))


def _slot(service: str, file: str) -> str:
    return f"{service}.{file}"
