"""A component by itself, declared in surroundings that keep what they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pulumi

from components.core.bindings import Certificate
from components.core.component import Component, Context
from components.core.site import Site
from components.core.target import Target
from components.core.workload import Workload
from tests.support.recording import Recorded, run
from tests.support.site import NAMES, PLACEMENT

C = TypeVar("C", bound=Component)


class Surroundings:
    """A target and an issuer that keep what they are asked for."""

    kind = "kubernetes"
    names = NAMES

    def __init__(self) -> None:
        self.made: list[pulumi.Resource] = []
        self.workloads: list[Workload] = []
        self.secrets: dict[str, pulumi.Input[str]] = {}
        self.certificates: list[tuple[str, ...]] = []

    def growth(self) -> None:
        return None

    def following(self, services: object) -> Surroundings:
        return self

    def realise(self, parent: Any, workload: Workload, secrets: Any) -> list[pulumi.Resource]:
        self.workloads.append(workload)
        self.secrets = dict(secrets)
        return []

    def server(self, service: str, hosts: tuple[str, ...], parent: pulumi.Resource) -> Certificate:
        self.certificates.append((service, *hosts))
        return self._certificate(service)

    def client(self, consumer: str) -> Certificate:
        self.certificates.append((consumer,))
        return self._certificate(consumer)

    def _certificate(self, name: str) -> Certificate:
        return Certificate(*(pulumi.Output.secret(f"({part} {name})") for part in ("ca", "chain", "key")))


def declare(
    component: type[C], name: str, spec: Any, check: Callable[[C, Surroundings], None], *consumers: str
) -> list[Recorded]:
    """Declare service `name` with these consumers, and check it while outputs can still be read."""

    def program() -> None:
        around = Surroundings()
        target: Target = around
        made: Any = component
        context = Context(Site("test", PLACEMENT, NAMES, {name: consumers}), target, around)
        check(made(name, spec, context), around)

    return run(program)


def reads(value: pulumi.Input[Any], check: Callable[[Any], None]) -> None:
    """Check the value of an output; a failure fails the test."""
    output = pulumi.Output.from_input(value)
    pulumi.export(f"checked-{id(output)}", output.apply(check))


def same(expected: object) -> Callable[[Any], None]:
    """A check that a value is this one."""

    def check(value: Any) -> None:
        assert value == expected

    return check


async def secrecy(slot: str, content: pulumi.Input[str]) -> str:
    """Whether a content is secret, as a sentence."""
    return f"{slot} is secret: {await pulumi.Output.from_input(content).is_secret()}"
