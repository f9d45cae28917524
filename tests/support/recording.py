"""Runs an environment's program without an engine and keeps every resource that it declares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import pulumi
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks

from components.core.site import Placement
from components.core.target import Target
from components.targets.docker import Docker
from components.targets.kubernetes import Cluster, Kubernetes
from stacks.compose import Platform, compose
from stacks.environment import Environment

CLUSTER = Cluster("/kubeconfig", "test", "test", simulated=True, provisioner="test.example/disk")


@dataclass(frozen=True)
class Recorded:
    """One declared resource, with its inputs as a policy would see them."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    after: tuple[str, ...] = ()
    """URNs of what has to be there before it is made."""

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The Kubernetes object it declares, or None for anything else."""
        if not self.type.startswith("kubernetes:") or "metadata" not in self.inputs:
            return None
        _, group_version, kind = self.type.split(":")
        version = self.inputs.get("apiVersion") or group_version.removeprefix("core/")
        return {"apiVersion": version, "kind": self.inputs.get("kind", kind), **self.inputs}


@cache
def key_of(name: str) -> str:
    """The private key that resource `name` makes, as PEM: requests can be signed with it, and anybody can guess it."""
    number = int.from_bytes(sha256(name.encode()).digest()) >> 8
    key = ec.derive_private_key(number, ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


class Providers(Mocks):
    """Answers like the providers would, with material that is recognisably not real."""

    def __init__(self) -> None:
        self.recorded: list[tuple[str, str, dict[str, Any]]] = []

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.recorded.append((args.typ, args.name, args.inputs))
        outputs = dict(args.inputs)
        if args.typ.startswith("random:"):
            outputs |= {"result": f"(password {args.name})", "bcryptHash": "(hash)"}
        if args.typ.startswith("tls:"):
            for field in ("privateKeyPemPkcs8", "publicKeyPem", "certPem"):
                outputs[field] = f"({field} {args.name})"
            outputs["privateKeyPem"] = key_of(args.name)
        return f"{args.name}-id", outputs

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


class Monitor(MockMonitor):
    """Keeps what a resource depends on, too."""

    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.after: dict[str, tuple[str, ...]] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (the engine's name)
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        self.after[answer.urn] = tuple(request.dependencies)
        return answer


def run(program: Callable[[], Any], stack: str = "test", preview: bool = False) -> list[Recorded]:
    """Declare everything `program` declares; failures inside `apply` surface."""
    providers = Providers()
    monitor = Monitor(providers)
    set_mocks(providers, project="groundwork", stack=stack, preview=preview, monitor=monitor)
    pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
    after = {_shown(urn): tuple(map(_shown, earlier)) for urn, earlier in monitor.after.items()}
    urns = {(urn.split("::")[2].split("$")[-1], urn.split("::")[3]): urn for urn in map(_shown, monitor.resources)}
    return [
        Recorded(urn := urns.get((typ, name), ""), typ, name, inputs, after.get(urn, ()))
        for typ, name, inputs in providers.recorded
    ]


def _shown(urn: str) -> str:
    """As the engine has it, which leaves the stack out of the type of what lies directly below it."""
    return urn.replace("pulumi:pulumi:Stack$", "")


def record(environment: Environment, cluster: Cluster = CLUSTER) -> tuple[Platform, list[Recorded]]:
    """Compose an environment on its target and keep what it declares. `cluster`: the one a Kubernetes target is on."""
    platforms: list[Platform] = []

    def program() -> None:
        target: Target = (
            Docker(environment.name, "unix:///nowhere.sock", environment.images.registry)
            if environment.target == "docker"
            else kubernetes(environment.name, environment.placement, environment.owner, cluster)
        )
        platforms.append(compose(environment, target, keys=key_pairs(environment)))

    recorded = run(program, environment.name)
    return platforms[0], recorded


def key_pairs(environment: Environment) -> dict[str, dict[str, pulumi.Output[str]]]:
    """Every key pair that a service of the environment names."""
    existing = (getattr(spec, "existing", None) for spec in environment.services.values())
    parts = ("access_key_id", "secret_access_key")
    return {
        name: {part: pulumi.Output.secret(f"({part} {name})") for part in parts}
        for name in (one.credentials for one in existing if one)
    }


def kubernetes(name: str, placement: Placement, owner: str = "team-test", cluster: Cluster = CLUSTER) -> Kubernetes:
    """The Kubernetes target for a test, on a cluster nobody dials."""
    return Kubernetes(name, placement, owner, "internal", cluster)
