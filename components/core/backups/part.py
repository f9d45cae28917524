"""What a service with backups does with Pulumi: it begins with one, and has a part that makes them."""

from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from components.core.backups.carrying import Duty, backup_secrets, backup_workload
from components.core.backups.contract import Restore, Store, part_of
from components.core.backups.fetching import fetching_secrets
from components.core.bindings import Binding
from components.core.component import Component, Context
from components.core.exporter import LISTENER
from components.core.site import Site, peer_hosts
from components.core.spec import ServiceSpec
from components.core.workload import Workload

Restoring = Callable[[Workload, Restore, Site, Binding], Workload]
"""Makes of a workload one that begins with the backup in a store."""


class Backups(Component):
    """Makes, carries and tries the backups of one service.

    Example:
        self.parts = backups_of(self, postgres_duty(plan), {})
    """

    token = "groundwork:data:Backups"  # noqa: S105 (a type token)

    def __init__(
        self,
        served: Component,
        duty: Duty,
        store: Store,
        secrets: Mapping[str, pulumi.Input[str]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        name, spec, context = part_of(served.name), _spec_of(served), served.context
        backup = served.spec.backup  # type: ignore[attr-defined]
        super().__init__(
            name,
            spec,
            Context(context.site, context.target, context.issuer),
            listeners=(LISTENER,),
            version=duty.version,
            replicas=1,
            opts=opts,
        )
        # Its own name comes first: by it the part is known where a certificate says who a client is.
        # `localhost` is for the server of a drill.
        hosts = (name, context.site.names.host(name), *peer_hosts(context.site.names, name, 1), "localhost")
        certificate = context.issuer.server(name, hosts, self)
        own = backup_secrets(backup, certificate, store)
        workload = backup_workload(served.name, served.spec, context.site, duty, store.binding)
        context.target.realise(self, workload, {**own, **secrets})
        self.finish()


def backups_of(served: Component, duty: Duty, secrets: Mapping[str, pulumi.Input[str]]) -> tuple[Component, ...]:
    """The part that makes the backups of a service, where it has one. `secrets`: content of the duty's own slots."""
    store = served.context.backups
    return (Backups(served, duty, store, secrets, pulumi.ResourceOptions(parent=served)),) if store else ()


def realise(
    served: Component, workload: Workload, secrets: Mapping[str, pulumi.Input[str]], restoring: Restoring
) -> None:
    """Hand the workload of a service to its target; where its spec says `restore`, as one that begins with a backup."""
    context, restore = served.context, served.spec.restore  # type: ignore[attr-defined]
    if restore and context.restored:
        workload = restoring(workload, restore, context.site, context.restored.binding)
        secrets = {**secrets, **fetching_secrets(restore, context.restored)}
    context.target.realise(served, workload, secrets)


def _spec_of(served: Component) -> ServiceSpec:
    """Who answers for it is who answers for the service."""
    spec: Any = served.spec
    same = {
        field: getattr(spec, field)
        for field in ("owner", "data_class", "lifecycle", "runbook", "adr", "deletion_protection")
    }
    purpose = f"Makes the backups of {served.name} and tries them."
    return ServiceSpec(kind="backup", purpose=purpose, uses=(served.name, spec.backup.to), **same)
