"""What a person decides about an object store. Knows no server setting."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, model_validator

from components.core.backups.contract import Backed
from components.core.problems import WrongFields
from components.core.spec import Resources, Spec
from components.core.types import (
    DnsLabel,
    Duration,
    HttpsAddress,
    Region,
    S3Bucket,
    Storage,
    bytes_of,
    seconds_of,
)

_MINIMUM_MEMORY = "128Mi"


def _bucket_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", value):
        raise ValueError("allowed: 3 to 63 of a-z, 0-9 and '-', none of them '-' at an end")
    return value


def _prefix(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,9}", value):
        raise ValueError("allowed: folders such as acme/media, without a slash at an end")
    return value


def _certificate(value: str) -> str:
    if not re.fullmatch(r"\s*(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+", value):
        raise ValueError("allowed: certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE")
    return value


BucketName = Annotated[str, AfterValidator(_bucket_name)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Certificates = Annotated[str, AfterValidator(_certificate)]


class BucketLifecycle(Spec):
    """How long a bucket keeps what it holds. It goes at most a tenth of that time later, or an hour, or 10 seconds."""

    expire: Duration | None = None
    """Age at which an object is deleted; with versioning its content becomes an older version. Default: never. What
    comes out of a backup is as old as its restore."""
    noncurrent: Duration | None = None
    """Time that an older version is kept after it was replaced or deleted. Default: for ever. Needs versioning."""


class Bucket(Spec):
    """A bucket, who may use it, and how long it keeps what."""

    name: BucketName
    """Name of the bucket."""
    users: tuple[DnsLabel, ...] | None = None
    """Services that may list, read, write and delete its objects. Default: every service that uses the store. Backups
    have a bucket of their own, such as `postgres-backup`, unless they are named here."""
    versioning: bool = False
    """Whether objects that are replaced or deleted stay as older versions. Default no. Once it was on, versions that
    there are stay when it is turned off."""
    lifecycle: BucketLifecycle = BucketLifecycle()
    """When objects and older versions are deleted. Default: never."""

    @model_validator(mode="after")
    def _older_versions_exist(self) -> "Bucket":
        if self.lifecycle.noncurrent and not self.versioning:
            given = self.lifecycle.noncurrent
            text = f"{given} given; without versioning there are no older versions; set versioning: true or remove it"
            raise WrongFields(("lifecycle.noncurrent", text))
        return self

    @property
    def sweep_seconds(self) -> int:
        """Seconds between two looks for what is too old; 0 where nothing ever is."""
        ages = [age for age in (self.lifecycle.expire, self.lifecycle.noncurrent) if age]
        return max(5, min(3600, *(seconds_of(age) // 10 for age in ages))) if ages else 0


class Existing(Spec):
    """A bucket of an S3 service outside of the environment. It is neither made nor emptied nor deleted here.

    Amazon S3 user guide, "Virtual hosting of buckets".
    """

    bucket: S3Bucket
    """Its name."""
    region: Region
    """Region that it is in; must be one that data may be in."""
    credentials: DnsLabel
    """Name of the key pair that may use it, below `groundwork:keys`: `access_key_id` and `secret_access_key`. Every
    service that uses the store is given this one."""
    prefix: Prefix | None = None
    """Folder that each service has one of its own in. Default: the environment's name."""
    endpoint: HttpsAddress | None = None
    """Address of an S3 service other than AWS, with https. Default: that of AWS in the region."""
    addressing: Literal["path", "virtual"] | None = None
    """Whether requests name the bucket in the path or in the host name. Default: virtual at AWS, path elsewhere and
    where the bucket's name has a dot."""
    ca: Certificates | None = None
    """Root certificates of the S3 service, in PEM. Default: those that a consumer's image trusts."""

    @model_validator(mode="after")
    def _certificate_fits(self) -> "Existing":
        if self.addressing == "virtual" and "." in self.bucket:
            text = f"virtual given; no certificate is for {self.bucket}. and a host, because of the dot; set path"
            raise WrongFields(("addressing", text))
        return self

    @property
    def address(self) -> str:
        """Where it is: an https URL without a path."""
        domain = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return self.endpoint or f"https://s3.{self.region}.{domain}"

    @property
    def host(self) -> str:
        """Host name of the S3 service."""
        return urlsplit(self.address).hostname or ""

    @property
    def port(self) -> int:
        """Port of the S3 service."""
        return urlsplit(self.address).port or 443

    @property
    def style(self) -> str:
        """How requests name the bucket: `path` or `virtual`."""
        return self.addressing or ("path" if self.endpoint or "." in self.bucket else "virtual")


class ObjectsSpec(Backed):
    """An object store that speaks S3: a server of the environment's own with its buckets, or a bucket outside.

    A backup has every object of the declared buckets with its headers and tags, and no older versions; buckets that
    only hold backups are left out. Its `to` is another service of kind objects.
    """

    buckets: tuple[Bucket, ...] = ()
    """Buckets of its own server. Default: one for each service that uses it, of the service's name."""
    storage: Storage = "10Gi"
    """Disk for objects and their older versions. Default 10Gi; it can grow, never shrink."""
    resources: Resources = Resources(cpu="100m", memory="256Mi")
    """What its server may use. Default 0.1 of a core and 256Mi."""
    existing: Existing | None = None
    """A bucket outside, which takes the place of a server. Default: none."""

    @model_validator(mode="after")
    def _fits_together(self) -> "ObjectsSpec":
        wrong = self._nobodys() if self.existing else [*self._taken_names(), *self._wrong_sizes()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    def _nobodys(self) -> list[tuple[str, str]]:
        """What only a server has."""
        given = sorted({"buckets", "storage", "resources", "publish"} & self.model_fields_set)
        backups = [field for field in ("backup", "restore") if getattr(self, field) is not None]
        kept = "given; a bucket outside is not kept here: whoever owns it has its versioning or replication keep it"
        return [
            *(
                (field, "given; it is a server's, and with existing there is none; remove one of them")
                for field in given
            ),
            *((field, f"{kept}; remove {field}") for field in backups),
        ]

    def _taken_names(self) -> list[tuple[str, str]]:
        names = [bucket.name for bucket in self.buckets]
        return [
            (
                f"buckets.{index}.name",
                f"{name} given; buckets.{names.index(name)} has this name already; choose another",
            )
            for index, name in enumerate(names)
            if names.index(name) < index
        ]

    def _wrong_sizes(self) -> list[tuple[str, str]]:
        memory = self.resources.memory
        if bytes_of(memory) >= bytes_of(_MINIMUM_MEMORY):
            return []
        return [
            ("resources.memory", f"{memory} given; a store needs at least {_MINIMUM_MEMORY}; set {_MINIMUM_MEMORY}")
        ]
