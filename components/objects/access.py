"""Who may do what: an account for each consumer and the rights in each bucket, as the server takes them. Pure.

Amazon S3 user guide, "Policies and permissions in Amazon S3"; versitygw, `auth` (users.json, bucket policies).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from typing import Any

from components.core.problems import Problem, strangers
from components.core.types import seconds_of
from components.objects.spec import Bucket, ObjectsSpec

KEEPER = "gw_buckets"
"""Account of the process that keeps the buckets. No service can have this name."""
BACKUP = "gw_backup"
"""Account of the part that makes the backups."""

_IN_BUCKET = (
    "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:ListBucket", "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
)  # fmt: skip
_ON_OBJECTS = (
    "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectTagging", "s3:DeleteObjectVersion", "s3:GetObject",
    "s3:GetObjectAttributes", "s3:GetObjectTagging", "s3:GetObjectVersion", "s3:ListMultipartUploadParts",
    "s3:PutObject", "s3:PutObjectTagging",
)  # fmt: skip
_READING = (("s3:ListBucket",), ("s3:GetObject", "s3:GetObjectTagging"))
"""What whoever makes backups may do in a bucket and with its objects."""
_SHORTEST = 3


@dataclass(frozen=True)
class Granted:
    """A bucket and the consumers that may use it."""

    bucket: Bucket
    users: tuple[str, ...]


def granted(spec: ObjectsSpec, consumers: Sequence[str], makers: Sequence[str] = ()) -> tuple[Granted, ...]:
    """Every bucket with its users: the declared ones, or one for each consumer.

    `makers`: consumers that keep backups. Whoever could write to a bucket of theirs could destroy these, so that each
    has one of its own unless a bucket names it.
    """
    if not spec.buckets:
        return _own_buckets(consumers)
    others = tuple(consumer for consumer in consumers if consumer not in makers)
    declared = tuple(
        Granted(bucket, others if bucket.users is None else tuple(dict.fromkeys(bucket.users)))
        for bucket in spec.buckets
    )
    taken = {bucket.name for bucket in spec.buckets}
    return (*declared, *_own_buckets(m for m in makers if m not in taken and not buckets_of(declared, m)))


def _own_buckets(consumers: Iterable[str]) -> tuple[Granted, ...]:
    return tuple(Granted(Bucket(name=name), (name,)) for name in consumers if len(name) >= _SHORTEST)


def buckets_of(grants: Iterable[Granted], consumer: str) -> tuple[str, ...]:
    """Names of the buckets that a consumer may use, in the order declared."""
    return tuple(grant.bucket.name for grant in grants if consumer in grant.users)


def backed_up(grants: Iterable[Granted], makers: Sequence[str]) -> tuple[str, ...]:
    """Names of the buckets that hold more than backups of others. `makers`: consumers that keep backups."""
    return tuple(grant.bucket.name for grant in grants if not grant.users or set(grant.users) - set(makers))


def wrong_users(
    name: str, spec: ObjectsSpec, consumers: Sequence[str], makers: Sequence[str] = ()
) -> Iterator[Problem]:
    """Users that don't use store `name`, and consumers without a bucket."""
    grants = granted(spec, consumers, makers)
    for index, bucket in enumerate(spec.buckets):
        yield from strangers(name, f"buckets.{index}.users", bucket.users or (), consumers)
    for consumer in consumers:
        if not buckets_of(grants, consumer):
            short = f"a bucket needs a name of {_SHORTEST} letters; declare one under buckets of {name}"
            why = f"no bucket has {consumer} among its users; add it there, or remove {name} from uses"
            text = f"{name} given; {why if spec.buckets else short}"
            yield Problem(f"groundwork:services.{consumer}.uses", text)


def render_accounts(secrets: Mapping[str, str]) -> str:
    """users.json: every account by its access key id, with the secret key that signatures are checked with."""
    accounts = {
        name: {"access": name, "secret": secret, "role": "admin" if name == KEEPER else "user"}
        for name, secret in sorted(secrets.items())
    }
    return dumps({"accessAccounts": accounts}) + "\n"


def render_curl_user(account: str, secret: str) -> str:
    """An account for curl, which reads it from this file. curl's manual, "--config"."""
    return f'user = "{account}:{secret}"\n'


def render_buckets(grants: Iterable[Granted], backed: Sequence[str] = ()) -> str:
    """What buckets.sh reads, a line for each bucket: name, versioning, seconds until objects and until older versions
    are deleted, seconds between two looks (0: never), and the policy. `backed`: buckets that backups are made of."""
    return "".join("\t".join(_fields(grant, grant.bucket.name in backed)) + "\n" for grant in grants)


def _fields(grant: Granted, backed: bool) -> Iterator[str]:
    bucket, ages = grant.bucket, grant.bucket.lifecycle
    yield bucket.name
    yield "Enabled" if bucket.versioning else "Suspended"
    yield from (str(seconds_of(age) if age else 0) for age in (ages.expire, ages.noncurrent))
    yield str(bucket.sweep_seconds)
    statements = [
        *(_statements(bucket.name, grant.users, (_IN_BUCKET, _ON_OBJECTS)) if grant.users else ()),
        *(_statements(bucket.name, (BACKUP,), _READING) if backed else ()),
    ]
    yield dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":")) if statements else "-"


def _statements(bucket: str, users: Sequence[str], rights: Iterable[Sequence[str]]) -> Iterator[dict[str, Any]]:
    """Statements of a bucket policy: what these users may do in it, and with its objects. The bucket's owner is the
    keeper, so that nobody else may change or delete it."""
    resource = f"arn:aws:s3:::{bucket}"
    for actions, on in zip(rights, (resource, f"{resource}/*"), strict=True):
        yield {"Effect": "Allow", "Principal": {"AWS": list(users)}, "Action": list(actions), "Resource": [on]}
