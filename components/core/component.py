"""The base of every component: a typed Pulumi resource that says what it is and what it needs.

Its inputs are registered as plain data, so policies and the inventory read the same facts that built it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pulumi

from components.core.backups.contract import Store, facts_of, makes_backups, part_of
from components.core.bindings import Binding, Endpoint, Issuer
from components.core.catalogue import CATALOGUE, release_of
from components.core.changes import Kept, Refusal
from components.core.site import Placement, Site
from components.core.spec import ServiceSpec
from components.core.target import Target
from components.core.workload import Listener

_PER_PART = (("object", ""), ("object", "-peers"), ("certificate", "-server"))


@dataclass(frozen=True)
class Context:
    """What a component is given besides its spec: its surroundings, and those who act for it."""

    site: Site
    target: Target
    issuer: Issuer
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    """One binding for each service it uses."""
    backups: Store | None = None
    """The store of its backups, as the part is given it that makes them."""
    restored: Store | None = None
    """The store of the backup that it begins with, as it is given to the part that has made that."""
    keys: Mapping[str, Mapping[str, pulumi.Input[str]]] = field(default_factory=dict, repr=False)
    """Key pairs for services outside of the environment, by name: `access_key_id` and `secret_access_key`."""


class Component(pulumi.ComponentResource):
    """One service of an environment.

    Subclasses set `spec_type`, `token` and `stateful`, plan in a pure function, and create everything in `__init__`.
    """

    spec_type: ClassVar[type[ServiceSpec]] = ServiceSpec
    token: ClassVar[str]
    """Type token, `groundwork:<family>:<X>`; frozen for ever."""
    stateful: bool = False
    """Whether it keeps data that must survive."""
    parts: "tuple[Component, ...]" = ()
    """Components of its own, with names of their own."""

    def __init__(
        self,
        name: str,
        spec: ServiceSpec,
        context: Context,
        *,
        listeners: Sequence[Listener],
        version: str,
        replicas: int,
        facts: Mapping[str, Any] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        self.name = name
        self.spec = spec
        self.context = context
        self._bindings: dict[str, Binding] = {}
        self.facts = {
            **describe(spec, context.site, listeners, version, replicas, self.kept(spec)),
            **facts_of(spec, context.backups, context.site.placement),
            **(facts or {}),
        }
        super().__init__(self.token, name, self.facts, opts)

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:  # noqa: ARG003
        """Why `spec` can't run there: (field, text) pairs, as in WrongFields. Asked when the environment loads."""
        wrong = []
        if spec.publish and target != "docker":
            text = f"{spec.publish} given; only docker offers ports of this machine; remove it and use port-forward"
            wrong.append(("publish", text))
        if not spec.deletion_protection and cls.kept(spec) == Kept():
            wrong.append(("deletion_protection", "false given; the service keeps nothing to protect; remove it"))
        return wrong

    @staticmethod
    def shared_port(spec: ServiceSpec, target: str, replicas: int) -> list[tuple[str, str]]:
        """What is wrong where a port of one machine should lead to several instances."""
        if target != "docker" or not spec.publish or replicas == 1:
            return []
        return [("publish", f"{spec.publish} given; {replicas} instances can't share a port; remove it")]

    @classmethod
    def kept(cls, spec: Any) -> Kept:
        """What a service with this spec keeps; asked at load, and registered with its facts for the next change."""
        storage = getattr(spec, "storage", None)
        return Kept(cls.stateful, {"storage": storage} if storage else {})

    @classmethod
    def check_change(cls, deployed: Mapping[str, Any], spec: Any) -> list[Refusal]:  # noqa: ARG003
        """Why a service of this kind with the facts `deployed` can't become `spec`, besides what holds for every kind.

        Asked at load, for services that keep data. `deployed` was registered by an earlier release, perhaps, and may
        lack what this one adds.
        """
        return []

    @classmethod
    def systems(cls, spec: Any) -> dict[str, str]:
        """Version of each server and operator that runs it, by its name in the compatibility matrix."""
        chosen = getattr(spec, "version", None)
        return {spec.kind: release_of(spec.kind, chosen).version} if spec.kind in CATALOGUE else {}

    @classmethod
    def occupies(cls, name: str, spec: Any, consumers: Sequence[str]) -> list[str]:
        """Every name that service `name` takes from its environment, as `<family>/<name>`; no other service may.

        Objects, passwords and certificates are families of their own. Subclasses add what they make.
        """
        parts = [name, *([part_of(name)] if makes_backups(spec) else [])]
        made = [f"{family}/{part}{suffix}" for part in parts for family, suffix in _PER_PART]
        return [*made, *(f"password/{name}-password-{consumer}" for consumer in consumers)]

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it is reached, the main endpoint first."""
        raise NotImplementedError(f"{type(self).__name__} has no endpoint")

    def bind(self, consumer: str) -> Binding:
        """What `consumer` receives for its `uses` edge to this service; the same each time.

        Raises KeyError for a service that doesn't list it under `uses`.
        """
        if consumer not in self._bindings:
            if consumer not in self.context.site.consumers_of(self.name):
                raise KeyError(consumer)
            self._bindings[consumer] = self.connect(consumer)
        return self._bindings[consumer]

    def connect(self, consumer: str) -> Binding:
        """Make what `consumer` receives. Called once for each, by `bind`."""
        raise NotImplementedError(
            f"services.{consumer}.uses: {self.name} ({self.spec.kind}) can't be used by a service"
        )

    def finish(self, **outputs: Any) -> None:
        """Close the component: register its facts and `outputs`, so that stack policies see them."""
        self.register_outputs({**self.facts, **outputs})

    def child(self, role: str) -> str:
        """Logical name of a child: `{name}-{role}`."""
        return f"{self.name}-{role}"


def describe(
    spec: ServiceSpec, site: Site, listeners: Sequence[Listener], version: str, replicas: int, kept: Kept
) -> dict[str, Any]:
    """The facts of a service as plain data: what policies judge and the inventory lists."""
    placement = site.placement
    return {
        **spec.model_dump(
            mode="json",
            include={
                "kind", "owner", "purpose", "data_class", "lifecycle", "constraints", "rationale", "review_date",
                "runbook", "adr", "deletion_protection",
            },
        ),
        "uses": list(spec.edges),
        "environment": site.environment,
        "region": placement.region,
        "zones": placement.zones,
        "residency": list(placement.allowed_regions),
        "place": dict(site.place),
        "roots": list(site.roots),
        "issuer": site.issuer,
        "version": version,
        "replicas": replicas,
        "stateful": kept.durable,
        "growing": dict(kept.growing),
        "listeners": [listener.facts() for listener in listeners],
    }  # fmt: skip
