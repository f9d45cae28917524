"""The workload that makes, carries and tries the backups of a service. Pure.

What a kind brings along is how a backup is taken and how it is tried; all else is the same for every kind. Backups are
encrypted by `openssl enc` with a key that the environment keeps: OpenSSL documentation, "openssl-enc".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi

from components.core.backups.contract import Backup, Store, part_of, spread
from components.core.bindings import Binding, Certificate, Reach
from components.core.catalogue import CATALOGUE
from components.core.exporter import METRICS, file_exporter, web_config
from components.core.mounts import OWN, ROOT, contents, directory, edge_files, own_files
from components.core.scripting import scripts
from components.core.site import Site
from components.core.workload import Container, File, Probe, Scratch, SecretFile, Volume, Workload

ETC = "/etc/backup"
"""Directory of the scripts and settings of a backup's workload."""
RUNS = {one: f"/run/{one}" for one in ("dump", "drill", "carrier")}
"""A folder of its own for each process."""
SEALING = f"{ROOT}/sealing"
"""Directory of the key that backups are encrypted with."""

KEY = "backup.key"
"""Slot of that key."""
_PART = "1G"
SCRIPTS = ("backup.sh", "carrier.sh")
"""What a carrier needs, besides its settings."""
_SECONDS = 86400


@dataclass(frozen=True)
class Duty:
    """What a kind brings along for the workload of its backups.

    `dump_image`, `drill_image`: what takes and what tries them. `scripts`: dump.sh, drill.sh and what these need, by
    name. `settings`: what these scripts know, as shell assignments. `memory`: of the server of a drill; `dump_memory`:
    of what takes a backup. `folder`: where both images have one that is their user's, which an engine makes volumes
    after; `room`: for a backup and for the server of a drill. `secrets`: files of the dump, besides the certificate.
    `drill_mounts`: what the drill has too. `beside`: the service's workload.
    """

    dump_image: str
    drill_image: str
    scripts: Mapping[str, str]
    settings: Mapping[str, str]
    memory: str
    folder: str
    room: str
    reach: Reach
    version: str
    uid: int
    beside: str
    dump_memory: str = "128Mi"
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[SecretFile, ...] = ()
    drill_mounts: tuple[str, ...] = ()


def backup_workload(name: str, spec: Any, site: Site, duty: Duty, store: Binding) -> Workload:
    """One instance, which nobody connects to: the dump, the drill, the carrier, and metrics of all three."""
    backup: Backup = spec.backup
    part = part_of(name)
    return Workload(
        name=part,
        kind=spec.kind,
        version=duty.version,
        containers=(
            _dump(duty),
            _drill(duty),
            _carrier(site, backup, duty),
            file_exporter(site, f"{ETC}/exporter.yml"),
        ),
        owner=spec.owner,
        data_class=spec.data_class.value,
        uid=duty.uid,
        account=duty.beside,
        background=True,
        stateful=True,
        files=_files(name, backup, duty, store),
        secrets=(*edge_files(part, {backup.to: store}), *own_files(), *duty.secrets, SecretFile(f"{SEALING}/key", KEY)),
        volumes=(Volume("staging", duty.folder, duty.room),),
        scratch=(*(Scratch(one, path) for one, path in RUNS.items()), Scratch("metrics", METRICS, "16Mi")),
        reaches=(duty.reach, *store.reach),
        grace_seconds=30,
    )


def _files(name: str, backup: Backup, duty: Duty, store: Binding) -> tuple[File, ...]:
    settings = {
        "SERVICE": name,
        "STAGING": duty.folder,
        **carrier_settings(name, store, backup.to),
        "RETENTION": str(int(backup.retention[:-1]) * _SECONDS),
        "SCHEDULE": render_schedule(backup.schedule),
        "DRILL": render_schedule(backup.drill),
        **duty.settings,
    }
    content = {
        **scripts("core", *SCRIPTS, "wish.sh"),
        **duty.scripts,
        "exporter.yml": web_config(),
        "backup-settings.sh": render_settings(settings),
    }
    return tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items()))


def backup_secrets(backup: Backup, certificate: Certificate, store: Store) -> dict[str, pulumi.Input[str]]:
    """Content of the secret files that each of these workloads has."""
    return {**contents(certificate, {backup.to: store.binding}), KEY: store.key}


def carrier_settings(source: str, store: Binding, service: str) -> dict[str, str]:
    """Where the backups of service `source` are. `service`: the object store's own name."""
    settings = store.settings
    scheme, _, host = settings["ENDPOINT"].partition("://")
    bucket = settings["BUCKET"]
    address = f"{scheme}://{bucket}.{host}" if settings["ADDRESSING"] == "virtual" else f"{scheme}://{host}/{bucket}"
    prefix = settings.get("PREFIX", "").rstrip("/")
    return {
        "URL": address,
        "REGION": settings["REGION"],
        "PREFIX": f"{prefix}/{source}/" if prefix else f"{source}/",
        "STORE": directory(service),
        "KEY": f"{SEALING}/key",
        "PART": _PART,
    }


def render_schedule(cron: str) -> str:
    """A schedule as the scripts read it: five lists of two digits (one for weekdays), or `any`."""
    digits = (2, 2, 2, 2, 1)
    fields = zip(spread(cron), digits, strict=True)
    return " ".join(",".join(f"{value:0{width}}" for value in values) or "any" for values, width in fields)


def render_settings(settings: Mapping[str, str]) -> str:
    """backup-settings.sh: shell assignments. Values hold no quotes."""
    return "".join(f"{name}='{value}'\n" for name, value in settings.items())


def probes(process: str, ready: str = "ready") -> dict[str, Any]:
    """Ready once it has reached what it needs; restarted when it no longer shows that it is at work."""
    run = RUNS[process]
    return {
        "readiness": Probe(command=("test", "-e", f"{run}/{ready}"), period=5),
        "liveness": Probe(command=("/bin/sh", "-c", f"find {run}/beat -mmin -10 | grep -q ."), period=60),
        "startup": Probe(command=("test", "-e", f"{run}/beat"), period=3, failures=100),
    }


def _process(name: str, image: str, memory: str, duty: Duty, directories: Iterable[str]) -> Container:
    return Container(
        name=name,
        image=image,
        command=("/bin/sh", f"{ETC}/{name}.sh"),
        **probes(name),
        cpu="20m",
        memory=memory,
        env=duty.environment,
        mounts=(ETC, duty.folder, RUNS[name], *directories),
    )


def _dump(duty: Duty) -> Container:
    own = dict.fromkeys(secret.path.rpartition("/")[0] for secret in duty.secrets)
    return _process("dump", duty.dump_image, duty.dump_memory, duty, (OWN, *own))


def _drill(duty: Duty) -> Container:
    return _process("drill", duty.drill_image, duty.memory, duty, duty.drill_mounts)


def _carrier(site: Site, backup: Backup, duty: Duty) -> Container:
    return Container(
        name="carrier",
        # Of the images there are, it is one with both curl and openssl.
        image=site.image(CATALOGUE["nginx"].reference),
        command=("/bin/sh", f"{ETC}/carrier.sh"),
        **probes("carrier"),
        cpu="20m",
        memory="128Mi",
        mounts=(ETC, duty.folder, RUNS["carrier"], METRICS, SEALING, directory(backup.to)),
    )
