"""Where a process finds its own certificate and what its edges yielded. The same paths in every workload. Pure."""

from collections.abc import Iterator, Mapping
from operator import itemgetter

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
    return tuple(SecretFile(f"{directory(service)}/{file}", slot) for service, file, slot in _files(bindings))


def contents(certificate: Certificate, bindings: Mapping[str, Binding]) -> dict[str, pulumi.Input[str]]:
    """What is in a process's own files and in those of its edges, by the slot."""
    return {**certificate.files(), **edge_contents(bindings)}


def edge_contents(bindings: Mapping[str, Binding]) -> dict[str, pulumi.Input[str]]:
    """What is in the files of every edge, by the slot."""
    return {slot: bindings[service].files[file] for service, file, slot in _files(bindings)}


def _files(bindings: Mapping[str, Binding]) -> Iterator[tuple[str, str, str]]:
    """Service, file and slot of each. The certificate that a client has on all its edges is stored once."""
    client: dict[str, pulumi.Input[str]] = {}
    for service, binding in sorted(bindings.items()):
        for file, content in sorted(binding.files.items(), key=itemgetter(0)):
            is_client = file in _CERTIFICATE and client.setdefault(file, content) is content
            yield service, file, f"client_{file}" if is_client else f"{service}.{file}"
