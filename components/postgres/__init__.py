"""PostgreSQL: a single server on any target, or a replicated one that CloudNativePG runs on Kubernetes.

Gives each consumer a role, a database and a client certificate. Makes no tables and no row-level security policies:
those are the consumer's, which owns its database and therefore writes FORCE ROW LEVEL SECURITY where it wants them to
hold for itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import pulumi

from components.core.backups.part import backups_of, realise
from components.core.bindings import Binding, Certificate, Endpoint, Reach
from components.core.catalogue import release_of
from components.core.changes import Kept, Refusal
from components.core.component import Component, Context
from components.core.passwords import password
from components.core.site import Placement
from components.postgres.dumping import postgres_duty, restored
from components.postgres.plan import PORT, PostgresPlan, plan_postgres, wal_size
from components.postgres.render import scram_verifier
from components.postgres.single import single_workload
from components.postgres.spec import Backup, Parameters, Pooler, PostgresSpec

__all__ = ["Backup", "Parameters", "Pooler", "Postgres", "PostgresSpec"]

_NATIVE = {"kubernetes": "components.postgres.kubernetes"}
"""Halves in which an operator runs the instances, by the kind of target."""


class Postgres(Component):
    """The primary database of an environment.

    Example:
        spec = PostgresSpec(kind="postgres", owner="team-data", replicas=3, storage="200Gi")
        postgres = Postgres("postgres", spec, context)
        binding = postgres.bind("api")
    """

    spec_type = PostgresSpec
    token = "groundwork:data:Postgres"  # noqa: S105
    stateful = True

    plan: PostgresPlan
    """Everything that follows from the spec."""

    def __init__(
        self, name: str, spec: PostgresSpec, context: Context, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self.plan = plan_postgres(name, spec, context.site)
        super().__init__(
            name,
            spec,
            context,
            listeners=self.plan.listeners,
            version=self.plan.version,
            replicas=spec.replicas,
            opts=opts,
        )
        self._passwords = {role: password(self, f"password-{role}") for role in self.plan.roles}
        self._certificates = {role: context.issuer.client(role) for role in self.plan.roles}
        if spec.replicated:
            verifiers = {role: _verifier(password, role) for role, password in self._passwords.items()}
            native = import_module(_NATIVE[context.target.kind])
            native.realise_replicated(self, self.plan, context.target, context.issuer, verifiers)
        else:
            certificate = context.issuer.server(name, self.plan.hosts, self)
            realise(self, single_workload(self.plan), certificate.files(), restored)
            self.parts = backups_of(self, postgres_duty(self.plan), {})
        self.finish(endpoint=self.endpoints()[0].url)

    @classmethod
    def check(cls, spec: Any, target: str, placement: Placement) -> list[tuple[str, str]]:
        """A replicated service needs an operator; its backups stay in the regions that data may be in."""
        wrong = super().check(spec, target, placement)
        if spec.replicated and target not in _NATIVE:
            allowed = ", ".join(sorted(_NATIVE))
            wrong.append(("replicas", f"{spec.replicas} given; only {allowed} runs a replicated PostgreSQL; set 1"))
        region, allowed_regions = spec.backup and spec.backup.region, placement.allowed_regions
        if region and region not in allowed_regions:
            fix = f"use a bucket there or add {region} to residency"
            wrong.append(("backup.region", f"{region} given; allowed: {', '.join(allowed_regions)}; {fix}"))
        return wrong

    @classmethod
    def kept(cls, spec: Any) -> Kept:
        """Replicated ones have a second volume."""
        kept = super().kept(spec)
        return replace(kept, growing={**kept.growing, "wal_storage": wal_size(spec)}) if spec.replicated else kept

    @classmethod
    def check_change(cls, deployed: Mapping[str, Any], spec: Any) -> list[Refusal]:
        """One server and an operator's servers have volumes of their own; nobody carries the data over.

        A single server has no upgrade to another major version either: it would begin an empty cluster beside the old.
        """
        if spec.replicated != (deployed["replicas"] > 1):
            text = (
                f"{spec.replicas} given, {deployed['replicas']} deployed; no data goes over from one server to several"
            )
            fix = "put it back, or dump the databases and restore them into a new service"
            return [Refusal("replicas", f"{text} or back; {fix}")]
        version = cls.systems(spec)["postgres"]
        if not spec.replicated and _major(version) != _major(deployed["version"]):
            text = f"{version} given, {deployed['version']} deployed; a single server can't take over its data"
            return [Refusal("version", f'{text}; set version: "{_major(deployed["version"])}"')]
        return []

    @classmethod
    def systems(cls, spec: Any) -> dict[str, str]:
        """Each service has a pooler, and a replicated one needs the operator."""
        more = {"pgbouncer": "pgbouncer-cnpg", **({"cloudnative-pg": "cloudnative-pg"} if spec.replicated else {})}
        return {**super().systems(spec), **{system: release_of(row).version for system, row in more.items()}}

    @classmethod
    def occupies(cls, name: str, spec: Any, consumers: Sequence[str]) -> list[str]:
        """A replicated one has a pooler, an object for each role and database, and what the operator makes of them."""
        names, roles = super().occupies(name, spec, consumers), consumers
        if spec.replicated:
            words = ("app", "backup", "barman-cloud", "pooler", "pooler-tls", "primary", "r", "ro", "rw", "tls")
            names += [f"object/{name}-{word}" for word in words]
            names += [f"object/{name}-role-{role}" for role in roles] + [f"database/{name}-{role}" for role in roles]
            names += [f"object/{name}-drill{suffix}" for suffix in ("", "-peers")]
            names += [f"certificate/{name}-pooler-server"]
        return names

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The pooler's address."""
        return (Endpoint(self.name, self.plan.host, PORT, "postgresql", "mutual"),)

    def connect(self, consumer: str) -> Binding:
        """Database, role and certificate of `consumer`.

        There is a password in any case, so that both halves hand out the same; a replicated one alone asks for it.
        """
        endpoint = self.endpoints()[0]
        password = self._passwords[consumer]
        certificate: Certificate = self._certificates[consumer]
        settings = {
            "HOST": endpoint.host,
            "PORT": str(endpoint.port),
            "DATABASE": consumer,
            "USER": consumer,
            "SSLMODE": "verify-full",
            "POOL_SIZE": str(self.plan.pooler.pool_size),
        }
        url = password.apply(lambda value: connection_url(self.name, settings, value))
        files = {"password": password, "url": url, **certificate.files()}
        return Binding(endpoint, settings, files, (Reach(self.name, (PORT,)),))


def connection_url(service: str, settings: Mapping[str, str], password: str) -> str:
    """The libpq URL of one consumer; its files are where a binding's files are mounted."""
    folder = f"/run/groundwork/{service}"
    files = f"sslrootcert={folder}/ca.crt&sslcert={folder}/tls.crt&sslkey={folder}/tls.key"
    address = f"{settings['HOST']}:{settings['PORT']}/{settings['DATABASE']}"
    return f"postgresql://{settings['USER']}:{password}@{address}?sslmode={settings['SSLMODE']}&{files}"


def _major(version: str) -> str:
    return version.partition(".")[0]


def _verifier(password: pulumi.Output[str], role: str) -> pulumi.Output[str]:
    return password.apply(lambda value: scram_verifier(value, role))
