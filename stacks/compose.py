"""Environment -> Platform: every service in dependency order, with an edge for each `uses`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components import component_of
from components.core.backups.contract import Store, makes_backups, part_of
from components.core.component import Component, Context
from components.core.site import Site
from components.core.target import Target
from components.pki import Pki
from stacks.environment import Environment
from stacks.graph import consumers


@dataclass(frozen=True)
class Platform:
    """Everything an environment consists of."""

    environment: Environment
    issuer: Pki
    components: dict[str, Component]

    def inventory(self) -> list[dict[str, Any]]:
        """What exists and who answers for it, as plain data: one row per component."""
        every = [one for component in self.components.values() for one in (component, *component.parts)]
        return [{"name": "pki", **self.issuer.facts}, *({"name": one.name, **one.facts} for one in every)]

    def endpoints(self) -> list[dict[str, Any]]:
        """Where everything is reached, the ones for outside first."""
        found = [endpoint for component in self.components.values() for endpoint in component.endpoints()]
        return [{**vars(e), "url": e.url} for e in sorted(found, key=lambda e: (not e.external, e.service, e.port))]


def compose(
    environment: Environment,
    target: Target,
    reshaped: frozenset[str] = frozenset(),
    backup_key: pulumi.Output[str] | None = None,
    keys: Mapping[str, Mapping[str, pulumi.Input[str]]] | None = None,
) -> Platform:
    """Create every component on `target`.

    `reshaped`: services that are deployed in another shape. `backup_key`: what backups are encrypted with; None: a key
    is made. `keys`: every key pair that a service names, by its name.
    """
    services = environment.services
    site = Site(
        environment.name,
        environment.placement,
        target.names,
        consumers(services),
        environment.images.registry,
        environment.generation,
        environment.certificates.roots,
        environment.certificates.issuing,
        environment.place,
        reshaped,
    )
    issuer = Pki("pki", site, environment.certificates, environment.owner, backup_key=backup_key)
    components: dict[str, Component] = {}
    for name, spec in services.items():
        bindings = {used: components[used].bind(name) for used, ends in spec.ends(name).items() if name in ends}
        context = Context(
            site, target.following(spec.edges), issuer, bindings, *_stores(name, spec, components, issuer), keys or {}
        )
        components[name] = _create(name, spec, context)
    issuer.finish(target.made)
    return Platform(environment, issuer, components)


def _stores(name: str, spec: Any, components: dict[str, Component], issuer: Pki) -> tuple[Store | None, Store | None]:
    """What the part that makes the service's backups is given, and the one that has made what it begins with."""
    restore = getattr(spec, "restore", None)
    return (
        Store(components[spec.backup.to].bind(part_of(name)), issuer.backup_key) if makes_backups(spec) else None,
        Store(components[restore.store].bind(restore.maker(name)), issuer.backup_key) if restore else None,
    )


def _create(name: str, spec: Any, context: Context) -> Component:
    constructor: Any = component_of(spec.kind)
    grows = name in context.site.reshaped and constructor.kept(spec).growing
    hooks = context.target.growth() if grows else None
    component: Component = constructor(name, spec, context, opts=pulumi.ResourceOptions(hooks=hooks))
    return component
