"""The helper beside a server that begins with a backup: it fetches what the server asks for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pulumi

from components.core.backups.carrying import (
    ETC,
    KEY,
    RUNS,
    SCRIPTS,
    SEALING,
    carrier_settings,
    probes,
    render_settings,
)
from components.core.backups.contract import Restore, Store
from components.core.bindings import Binding, Reach
from components.core.catalogue import CATALOGUE
from components.core.mounts import directory, edge_contents, edge_files
from components.core.scripting import scripts
from components.core.site import Site
from components.core.workload import Container, File, Probe, Scratch, SecretFile, Workload

_DAY = 86400
_PERIOD = 5


@dataclass(frozen=True)
class Fetching:
    """What a server's workload needs to begin with a backup that it asks for."""

    container: Container
    files: tuple[File, ...]
    secrets: tuple[SecretFile, ...]
    scratch: Scratch
    reaches: tuple[Reach, ...]

    def beside(self, workload: Workload, folder: str, texts: Mapping[str, str]) -> Workload:
        """The workload with this helper, and in `folder` the scripts by which the server asks: wish.sh and these. A
        backup takes its time to come: the server has a day to start."""
        server, *others = workload.containers
        asking = (File(f"{folder}/{one}", text) for one, text in {**texts, **scripts("core", "wish.sh")}.items())
        startup = replace(server.startup or Probe(), period=_PERIOD, failures=_DAY // _PERIOD)
        return replace(
            workload,
            containers=(replace(server, startup=startup), *others, self.container),
            files=(*workload.files, *asking, *self.files),
            secrets=(*workload.secrets, *self.secrets),
            scratch=(*workload.scratch, self.scratch),
            reaches=(*workload.reaches, *self.reaches),
        )


def fetching(name: str, restore: Restore, site: Site, store: Binding, data: str, folder: str) -> Fetching:
    """The helper beside server `name`, whose volume is `data`; what is asked for in `folder` there, it fetches."""
    source = restore.service or name
    settings = {"SERVICE": name, "STAGING": folder, **carrier_settings(source, store, restore.store)}
    files = {**scripts("core", *SCRIPTS), "backup-settings.sh": render_settings(settings)}
    container = Container(
        name="restore",
        image=site.image(CATALOGUE["nginx"].reference),
        command=("/bin/sh", f"{ETC}/carrier.sh"),
        **probes("carrier"),
        cpu="20m",
        memory="128Mi",
        mounts=(ETC, directory(restore.store), SEALING, data, RUNS["carrier"]),
        asked=True,
    )
    return Fetching(
        container,
        tuple(File(f"{ETC}/{file}", text) for file, text in sorted(files.items())),
        (*edge_files(name, {restore.store: store}), SecretFile(f"{SEALING}/key", KEY)),
        Scratch("carrier", RUNS["carrier"]),
        store.reach,
    )


def fetching_secrets(restore: Restore, store: Store) -> dict[str, pulumi.Input[str]]:
    """Content of its secret files."""
    return {**edge_contents({restore.store: store.binding}), KEY: store.key}
