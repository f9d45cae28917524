"""Scheduled backups of a replicated PostgreSQL, to a bucket or as volume snapshots. Pure.

Buckets go through the Barman Cloud plugin; the operator's built-in object store support ends with release 1.31.
Plugin documentation, "Usage" and "Object stores".
"""

from collections.abc import Mapping

from components.postgres.plan import PostgresPlan
from components.postgres.pods import resources
from components.postgres.spec import Backup
from components.targets.kubernetes.labels import Manifest, metadata

_PLUGIN = "barman-cloud.cloudnative-pg.io"


def cluster_backup(plan: PostgresPlan) -> Manifest:
    """The fields of the Cluster that backups need."""
    backup = plan.spec.backup
    if backup is None:
        return {}
    if backup.snapshot_class:
        return {"backup": {"volumeSnapshot": {"className": backup.snapshot_class}}}
    account = {"metadata": {"annotations": dict(backup.identity)}}
    return {
        **({"serviceAccountTemplate": account} if backup.identity else {}),
        "plugins": [{"name": _PLUGIN, "isWALArchiver": True, "parameters": {"barmanObjectName": _store_name(plan)}}],
    }


def backup_manifests(plan: PostgresPlan, namespace: str, labels: Mapping[str, str]) -> dict[str, Manifest]:
    """The schedule and, for a bucket, where it is; nothing where no backup is asked for."""
    backup = plan.spec.backup
    if backup is None:
        return {}
    method: Manifest = (
        {"method": "volumeSnapshot"}
        if backup.snapshot_class
        else {"method": "plugin", "pluginConfiguration": {"name": _PLUGIN}}
    )
    manifests: dict[str, Manifest] = {
        "backup": {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "ScheduledBackup",
            "metadata": metadata(plan.name, namespace, labels),
            "spec": {
                "cluster": {"name": plan.name},
                # The operator counts seconds first.
                "schedule": f"0 {backup.schedule}",
                "immediate": True,
                "backupOwnerReference": "self",
                **method,
            },
        }
    }
    if backup.bucket:
        manifests["backup-store"] = {
            "apiVersion": "barmancloud.cnpg.io/v1",
            "kind": "ObjectStore",
            "metadata": metadata(_store_name(plan), namespace, labels),
            "spec": _store(backup, namespace),
        }
    return manifests


def destination(backup: Backup, namespace: str) -> str:
    """Where in the bucket the backups of this environment's services are, each below its own name."""
    return f"s3://{backup.bucket}/{namespace}"


def _store_name(plan: PostgresPlan) -> str:
    return f"{plan.name}-backup"


def _store(backup: Backup, namespace: str) -> Manifest:
    credentials: Manifest = {"inheritFromIAMRole": True}
    if backup.credentials:
        keys = {"accessKeyId": "ACCESS_KEY_ID", "secretAccessKey": "ACCESS_SECRET_KEY"}
        credentials = {field: {"name": backup.credentials, "key": key} for field, key in keys.items()}
    # Other S3 services often refuse the header that asks for encryption, and encrypt by their own settings.
    treatment = {"compression": "gzip"} if backup.endpoint else {"compression": "gzip", "encryption": "AES256"}
    configuration: Manifest = {
        "destinationPath": destination(backup, namespace),
        "s3Credentials": credentials,
        "wal": treatment,
        "data": treatment,
    }
    if backup.endpoint:
        configuration["endpointURL"] = backup.endpoint
    sidecar = {
        "env": [{"name": "AWS_DEFAULT_REGION", "value": backup.region}],
        "resources": resources("100m", "256Mi"),
    }
    return {
        "configuration": configuration,
        "retentionPolicy": backup.retention,
        "instanceSidecarConfiguration": sidecar,
    }
