"""The drill of a replicated PostgreSQL whose backups the operator keeps in a bucket. Pure.

It has what barman-cloud needs to read there, and no way to the servers. The image with `system` in its tag has Barman
Cloud. Barman documentation, "barman-cloud-restore".
"""

from components.core.backups.carrying import ETC, RUNS, probes, render_schedule, render_settings
from components.core.bindings import Reach
from components.core.exporter import METRICS, file_exporter, web_config
from components.core.mounts import OWN, ROOT
from components.core.scripting import scripts
from components.core.site import Site
from components.core.types import bytes_of
from components.core.workload import Container, File, Scratch, SecretFile, Volume, Workload
from components.postgres.backup import destination
from components.postgres.plan import DRILL, PostgresPlan
from components.postgres.render import DATA
from components.postgres.spec import Backup

_UID = 26
"""User postgres of CloudNativePG's images."""
_KEYS = f"{ROOT}/bucket"
"""Directory of the keys of the bucket, where there are some."""
_MEMORY = "512Mi"
"""A scratch server and a Python that unpacks what comes."""


def drill_workload(plan: PostgresPlan, backup: Backup, site: Site, namespace: str) -> Workload:
    """One instance: the drill and its metrics. Room: what a server has at most, data and log."""
    config = {
        **scripts("core", "backup.sh"),
        **scripts("postgres", "bucket.sh", "newest.py", "scratch.sh"),
        "exporter.yml": web_config(),
        "backup-settings.sh": render_settings(_settings(plan, backup, namespace)),
    }
    shown = (SecretFile(f"{OWN}/{file}", file, kept_in=f"{plan.pooler_name}-tls") for file in ("tls.crt", "tls.key"))
    keys = (SecretFile(f"{_KEYS}/{key}", key, kept_in=backup.credentials or "") for key in _key_names(backup))
    return Workload(
        name=f"{plan.name}-{DRILL}",
        part=DRILL,
        kind=plan.spec.kind,
        version=plan.version,
        containers=(_drill(plan, backup), file_exporter(site, f"{ETC}/exporter.yml")),
        owner=plan.spec.owner,
        data_class=plan.spec.data_class.value,
        uid=_UID,
        identity=backup.identity,
        background=True,
        stateful=True,
        files=tuple(File(f"{ETC}/{name}", text) for name, text in sorted(config.items())),
        secrets=(*shown, *keys),
        volumes=(Volume("staging", DATA, f"{(bytes_of(plan.spec.storage) + bytes_of(plan.wal_storage)) // 2**20}Mi"),),
        scratch=(Scratch("drill", RUNS["drill"]), Scratch("metrics", METRICS, "16Mi")),
        reaches=(Reach(plan.name, (backup.bucket_port,), outside=True),),
        grace_seconds=30,
    )


def _key_names(backup: Backup) -> tuple[str, ...]:
    return ("ACCESS_KEY_ID", "ACCESS_SECRET_KEY") if backup.credentials else ()


def _settings(plan: PostgresPlan, backup: Backup, namespace: str) -> dict[str, str]:
    return {
        "SERVICE": plan.name,
        "STAGING": DATA,
        "DRILL": render_schedule(backup.drill),
        "SOURCE": destination(backup, namespace),
        "ENDPOINT": backup.endpoint or "",
        "REGION": backup.region or "",
        "KEYS": _KEYS,
    }


def _drill(plan: PostgresPlan, backup: Backup) -> Container:
    return Container(
        name=DRILL,
        image=plan.image,
        command=("/bin/sh", f"{ETC}/bucket.sh"),
        **probes(DRILL),
        cpu="20m",
        memory=_MEMORY,
        mounts=(ETC, DATA, RUNS[DRILL], METRICS, *([_KEYS] if backup.credentials else [])),
    )
