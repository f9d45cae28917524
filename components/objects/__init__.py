"""Object storage that speaks S3: a server whose buckets, rights and ages of objects are declared, or a bucket outside.

One plan serves every target. It deliberately offers no replicated server, no website, no public bucket and no
plaintext port, and changes nothing of a bucket outside.
"""

from collections.abc import Mapping
from typing import Any

import pulumi

from components.core.backups.part import backups_of, realise
from components.core.bindings import Binding, Endpoint, Reach
from components.core.catalogue import release_of
from components.core.changes import Kept
from components.core.component import Component, Context
from components.core.passwords import password
from components.core.site import Placement
from components.objects import outside
from components.objects.access import (
    BACKUP,
    KEEPER,
    buckets_of,
    render_accounts,
    render_buckets,
    render_curl_user,
)
from components.objects.dumping import ACCOUNT, objects_duty, restored
from components.objects.plan import ObjectsPlan, plan_objects
from components.objects.render import PORT
from components.objects.spec import Bucket, BucketLifecycle, Existing, ObjectsSpec

__all__ = ["Bucket", "BucketLifecycle", "Existing", "Objects", "ObjectsSpec"]


class Objects(Component):
    """An object store with a key of its own for each service that uses it, and rights in its buckets alone.

    Changed buckets, rights, keys and certificates are taken in without a restart. A bucket that is no longer declared
    stays, with what is in it, and nobody may use it.

    Example:
        media = Bucket(name="media", lifecycle=BucketLifecycle(expire="90d"))
        spec = ObjectsSpec(kind="objects", owner="team-data", storage="20Gi", buckets=(media,))
        objects = Objects("objects", spec, context)
        binding = objects.bind("api")
    """

    spec_type = ObjectsSpec
    token = "groundwork:data:Objects"  # noqa: S105 (a type token)
    stateful = True

    def __init__(
        self, name: str, spec: ObjectsSpec, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        existing = spec.existing
        plan = None if existing else plan_objects(name, spec, context.site)
        super().__init__(
            name,
            spec,
            context,
            listeners=plan.workload.listeners if plan else (),
            version=plan.workload.version if plan else "",
            replicas=1 if plan else 0,
            facts=outside.facts_of(existing) if existing else None,
            opts=opts,
        )
        self._existing = existing
        if plan:
            self._serve(plan)
        self.finish(host=existing.host if existing else self._plan.host)

    @classmethod
    def systems(cls, spec: Any) -> dict[str, str]:
        """The server, and nginx in front of it; what serves a bucket outside, nobody knows here."""
        return {} if spec.existing else {row: release_of(row).version for row in ("nginx", "versitygw")}

    @classmethod
    def kept(cls, spec: Any) -> Kept:
        """A bucket outside is not kept here: whatever becomes of the service, it stays as it is."""
        return Kept() if spec.existing else super().kept(spec)

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """A bucket outside is in a region that data may be in."""
        wrong = super().check(spec, target, placement)
        region, allowed = spec.existing and spec.existing.region, placement.allowed_regions
        if region and region not in allowed:
            fix = f"use a bucket there or add {region} to residency"
            wrong.append(("existing.region", f"{region} given; allowed: {', '.join(allowed)}; {fix}"))
        return wrong

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where clients connect; none for a bucket outside, which is no endpoint of the environment."""
        return () if self._existing else (Endpoint(self.name, self._plan.host, PORT, "s3", "server"),)

    def connect(self, consumer: str) -> Binding:
        """Settings, key pair and root of one consumer.

        BUCKET is its first bucket, BUCKETS are all of them where it has several. Listing buckets shows none, since
        none is its own; creating or deleting one is refused. In a bucket outside its keys begin with PREFIX, the key
        pair is that of the bucket, and there is a root only where one is given.
        """
        return self._bind_outside(self._existing, consumer) if self._existing else self._bind(consumer)

    def _serve(self, plan: ObjectsPlan) -> None:
        context, name = self.context, self.name
        self._plan = plan
        accounts = (KEEPER, *((BACKUP,) if plan.backed else ()), *context.site.consumers_of(name))
        self._keys = {account: password(self, f"password-{account}", length=40) for account in accounts}
        self._certificate = context.issuer.server(name, plan.certificate_hosts, self)
        realise(self, plan.workload, self._secrets(), restored)
        duty = objects_duty(plan, self.spec, context.site)
        own = {ACCOUNT: self._curl_user(BACKUP)} if plan.backed else {}
        self.parts = backups_of(self, duty, own)

    def _bind_outside(self, existing: Existing, consumer: str) -> Binding:
        given: Mapping[str, pulumi.Input[str]] = self.context.keys[existing.credentials]
        return Binding(
            outside.endpoint_of(self.name, existing),
            outside.settings_of(existing, self.context.site.environment, consumer),
            {**given, **({"ca.crt": existing.ca} if existing.ca else {})},
            (outside.reach_of(self.name, existing),),
        )

    def _bind(self, consumer: str) -> Binding:
        key, buckets = self._keys[consumer], buckets_of(self._plan.grants, consumer)
        settings = {
            "ENDPOINT": f"https://{self._plan.host}:{PORT}",
            "REGION": self.context.site.placement.region,
            "BUCKET": buckets[0],
            "PREFIX": "",
            "ADDRESSING": "path",
        }
        if len(buckets) > 1:
            settings["BUCKETS"] = ",".join(buckets)
        files: dict[str, pulumi.Input[str]] = {
            "access_key_id": consumer,
            "secret_access_key": key,
            "ca.crt": self._certificate.ca,
        }
        return Binding(self.endpoints()[0], settings, files, (Reach(self.name, (PORT,)),))

    def _secrets(self) -> dict[str, pulumi.Input[str]]:
        """Content of every secret file. Signatures are made with a key itself, so that the server has to know it."""
        return {
            **self._certificate.files(),
            "users.json": pulumi.Output.all(**self._keys).apply(render_accounts),
            "user.conf": self._curl_user(KEEPER),
            "buckets.tsv": render_buckets(self._plan.grants, self._plan.backed),
        }

    def _curl_user(self, account: str) -> pulumi.Output[str]:
        return self._keys[account].apply(lambda key: render_curl_user(account, key))
