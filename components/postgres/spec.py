"""What a person decides about a PostgreSQL service. Knows no consumer and no surroundings."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from components.core.backups.contract import SERVER, UNKNOWN, Backed, BackupTimes, Cron
from components.core.problems import WrongFields
from components.core.secrecy import is_secret
from components.core.spec import Resources, ServerSpec, Spec, odd_quorum
from components.core.types import (
    DnsLabel,
    Duration,
    HttpsAddress,
    Memory,
    Region,
    S3Bucket,
    Storage,
    bytes_of,
    matching,
)

_GIBIBYTE = 2**30


def _no_secret(value: str) -> str:
    if is_secret(value):
        raise ValueError("a secret, by its look; annotations are readable by many; use credentials")
    return value


Replicas = Annotated[
    int, Field(ge=1, le=9), AfterValidator(lambda n: odd_quorum(n, "synchronous replication with failover"))
]

AnnotationKey = Annotated[
    str,
    AfterValidator(
        matching(
            r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
            "an annotation of your cloud such as eks.amazonaws.com/role-arn",
        )
    ),
]
AnnotationValue = Annotated[
    str,
    AfterValidator(_no_secret),
    AfterValidator(matching(r"[!-~]+", "one word such as arn:aws:iam::111122223333:role/backups")),
]


class Pooler(Spec):
    """The connection pooler in front of PostgreSQL; it is what consumers connect to."""

    instances: int = Field(default=2, ge=1, le=9)
    """Pooler instances of a replicated PostgreSQL. Default 2; a single one has its only pooler beside it."""
    pool_size: int = Field(default=20, ge=1, le=500)
    """Server connections of one consumer in each pooler instance. Default 20."""
    mode: Literal["transaction", "session"] = "transaction"
    """When a server connection is given back: after each transaction or when the client leaves. Default transaction,
    in which session state (SET, LISTEN, advisory locks) does not last. SET LOCAL lasts as long as its transaction: set
    what policies of row-level security read by it."""
    max_clients: int = Field(default=1000, ge=20, le=20000)
    """Client connections one pooler instance accepts. Default 1000."""
    resources: Resources = Resources(cpu="250m", memory="128Mi")
    """What one pooler instance may use. Default 0.25 of a core and 128Mi."""


class Parameters(Spec):
    """Server settings a person may change; all others follow from resources, storage and consumers."""

    max_connections: int = Field(default=100, ge=20, le=5000)
    """Connections the server accepts. Default 100; raised where the pools of all consumers need more."""
    work_mem: Memory = "4Mi"
    """Memory of one sort or hash before it goes to disk. Default 4Mi."""
    idle_in_transaction: Duration = "10m"
    """Time after which a session that holds a transaction open without work is ended. Default 10 minutes."""
    slow_statement: Annotated[int, Field(ge=0, le=60_000)] = 1000
    """Milliseconds from which a statement is logged. Default 1000; 0 logs every statement."""


class Backup(BackupTimes):
    """Scheduled backups and the write-ahead log: of a single PostgreSQL to an object store of the environment; of a
    replicated one to a bucket, or as snapshots of its volumes."""

    to: DnsLabel | None = None
    """Service of kind `objects` that receives the backups and, continuously, the write-ahead log of a single one."""
    drill: Cron = "0 4 * * 0"
    """When the newest backup is restored into a scratch server and looked at, in UTC. Default Sundays at four; the
    first drill follows the first backup. Snapshots of volumes are not tried."""
    log_every: Duration = "1m"
    """Longest time that what was committed waits on a single one until it is carried away. Default 1 minute."""
    bucket: S3Bucket | None = None
    """S3 bucket that receives base backups and, continuously, the write-ahead log."""
    region: Region | None = None
    """Region of the bucket; must be one that data may be in."""
    endpoint: HttpsAddress | None = None
    """Address of an S3 service other than AWS, with https."""
    credentials: DnsLabel | None = None
    """Existing Secret with ACCESS_KEY_ID and ACCESS_SECRET_KEY, where the cloud gives the pods no identity."""
    identity: dict[AnnotationKey, AnnotationValue] = Field(default_factory=dict)
    """Annotations of the instances' service account by which the cloud gives pods an identity that may write to the
    bucket, such as `eks.amazonaws.com/role-arn`. The account has the service's name. Instead of credentials."""
    snapshot_class: DnsLabel | None = None
    """VolumeSnapshotClass, instead of a bucket. Snapshots alone can't restore a point in time."""

    @model_validator(mode="after")
    def _one_destination(self) -> "Backup":
        given = [field for field in ("to", "bucket", "snapshot_class") if getattr(self, field) is not None]
        if not given:
            fix = "set `to` for a single server, and bucket or snapshot_class for a replicated one"
            raise WrongFields(("bucket", f"missing; a backup needs a destination; {fix}"))
        if len(given) > 1:
            text = f"{getattr(self, given[-1])} given; a backup has one destination; remove one"
            raise WrongFields((given[-1], text))
        wrong = [*(self._unfit_bucket() if self.bucket is not None else self._unfit_others()), *self._unfit_times()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    def _unfit_bucket(self) -> Iterator[tuple[str, str]]:
        if self.region is None:
            yield "region", f"missing; where bucket {self.bucket} is decides whether data may go there; set it"
        if not self.identity and self.credentials is None:
            fix = "set identity: {eks.amazonaws.com/role-arn: ...}, or credentials"
            yield "identity", f"missing; bucket {self.bucket} admits nobody unknown; {fix}"
        if self.identity and self.credentials is not None:
            yield "identity", f"given beside credentials {self.credentials}; a backup has one identity; remove one"

    def _unfit_others(self) -> Iterator[tuple[str, str]]:
        of_buckets = {"region", "endpoint", "credentials", "identity", *(["retention"] if self.snapshot_class else [])}
        for field in sorted(of_buckets & self.model_fields_set):
            yield field, "given; only a bucket has it; remove it or set bucket"

    def _unfit_times(self) -> Iterator[tuple[str, str]]:
        given = self.model_fields_set
        if "log_every" in given and self.to is None:
            text = "given; only backups to an object store of the environment have it; remove it or set `to`"
            yield "log_every", text
        if "drill" in given and self.snapshot_class is not None:
            yield "drill", "given; snapshots of volumes are not tried; remove it or set bucket"

    @property
    def bucket_port(self) -> int:
        """Port of the bucket's service."""
        return urlsplit(self.endpoint or "").port or 443

    def facts(self, region: str) -> dict[str, str]:
        """Where they go and how they are encrypted there; of an object store, whoever knows it says that."""
        if self.to is not None:
            return {**super().facts(region), "drill": self.drill}
        encryption = SERVER if self.bucket and not self.endpoint else UNKNOWN
        place = {"target": self.bucket or self.snapshot_class or "", "region": self.region or region}
        drill = {"drill": self.drill} if self.bucket else {}
        return {**super().facts(region), **drill, **place, "encryption": encryption}


class PostgresSpec(ServerSpec, Backed):
    """A PostgreSQL server, or several with synchronous replication and automatic failover."""

    one_begins: ClassVar[str] = (
        "its operator restores a replicated PostgreSQL by means of its own; set replicas: 1, and copy the databases "
        "from there with pg_dump"
    )
    replicas: Replicas = 1
    """Instances. 1: a single server, on any target. 3, 5, ...: replicated, on Kubernetes. Default 1."""
    storage: Storage = "10Gi"
    """Volume of one instance for data. Default 10Gi; it can grow, never shrink."""
    wal_storage: Storage | None = None
    """Volume of one replicated instance for the write-ahead log. Default: a quarter of storage, at least 2Gi."""
    resources: Resources = Resources(cpu="500m", memory="1Gi")
    """What one instance may use. A quarter of the memory becomes the buffer cache. Default 0.5 of a core and 1Gi."""
    pooler: Pooler | None = None
    """Connection pooler. Default: 20 connections per consumer; two instances of it, where PostgreSQL is replicated."""
    parameters: Parameters = Parameters()
    """Server settings."""
    backup: Backup | None = None  # type: ignore[assignment]
    """Scheduled backups. Default: none."""

    @model_validator(mode="after")
    def _fields_fit_together(self) -> "PostgresSpec":
        wrong: list[tuple[str, str]] = []
        for field, least in (("storage", 1), ("wal_storage", 2)):
            size = getattr(self, field)
            if size is not None and bytes_of(size) < least * _GIBIBYTE:
                wrong.append((field, f"{size} given; the write-ahead log needs room; set at least {least}Gi"))
        if bytes_of(self.resources.memory) < _GIBIBYTE // 4:
            wrong.append(
                ("resources.memory", f"{self.resources.memory} given; a server needs at least 256Mi; set 256Mi")
            )
        if self.replicas == 1:
            poolers = self.pooler is not None and "instances" in self.pooler.model_fields_set
            given = {"wal_storage": self.wal_storage is not None, "pooler.instances": poolers}
            fix = "only a replicated PostgreSQL has it; set replicas: 3 or remove it"
            wrong += [(field, f"given; {fix}") for field, is_given in given.items() if is_given]
        wrong += self._unfit_backup()
        if wrong:
            raise WrongFields(*wrong)
        return self

    def _unfit_backup(self) -> Iterator[tuple[str, str]]:
        if self.backup and self.replicas == 1 and self.backup.to is None:
            text = "missing; backups of a single PostgreSQL go to an object store of the environment"
            yield "backup.to", f"{text}; name it, or set replicas: 3"
        if self.backup and self.replicas > 1 and self.backup.to is not None:
            text = f"{self.backup.to} given; the operator of a replicated PostgreSQL takes its backups"
            yield "backup.to", f"{text}; set bucket or snapshot_class instead"

    @property
    def replicated(self) -> bool:
        """Whether an operator runs several instances of it."""
        return self.replicas > 1

    @property
    def backup_in_bucket(self) -> Backup | None:
        """Its backups, where the operator keeps them in a bucket and a part of it tries them."""
        return self.backup if self.backup and self.backup.bucket else None
