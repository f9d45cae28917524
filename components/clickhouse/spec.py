"""What a person decides about a ClickHouse. Knows no configuration file."""

from typing import ClassVar

from pydantic import Field, model_validator

from components.clickhouse.tables import Identifier, Table
from components.core.backups.contract import Backed
from components.core.problems import WrongFields, closest, listed, shown
from components.core.spec import Resources, Spec
from components.core.types import Cpu, DnsLabel, Duration, Memory, Storage, bytes_of

DEFAULT = "default"
"""Profile and quota of a service that has no entry of its own."""
SHARED = "groundwork"
"""Database of tables that name none."""

_MINIMUM_MEMORY = "1Gi"
_MINIMUM_KEEPER_MEMORY = "512Mi"
_RESERVED = ("default", "gw_restore", "information_schema", "system")


class AsyncInsert(Spec):
    """How inserts of many clients become few parts: the server collects them, and writes them together."""

    enabled: bool = True
    """Whether it does. Default yes."""
    wait: bool = False
    """Whether an insert is acknowledged only once it is written. Default no: what the server had collected is lost if
    it is killed."""
    flush_at: Memory = "10Mi"
    """Bytes it collects before it writes. Default 10Mi."""
    flush_after: Duration = "1s"
    """Longest time until it writes. Default 1s."""


class Profile(Spec):
    """Settings of the services that have it."""

    async_insert: AsyncInsert = AsyncInsert()
    """How inserts are collected."""
    max_memory: Memory | None = None
    """Memory that one query may use. Default: what the server has."""
    max_time: Duration | None = None
    """Time that one query may take. Default: any."""
    max_threads: int | None = Field(default=None, ge=1, le=1024)
    """Threads of one query. Default: as many as there are cores."""
    max_rows_read: int | None = Field(default=None, ge=1)
    """Rows that one query may read. Default: any number."""
    max_rows_returned: int | None = Field(default=None, ge=1)
    """Rows that one query may return. Default: any number."""
    read_only: bool = False
    """Whether only reading is allowed. Default no."""


class Quota(Spec):
    """What a service may use in a span of time; a query above it is refused until the next."""

    per: Duration = "1h"
    """The span of time. Default 1h."""
    queries: int | None = Field(default=None, ge=1)
    """Queries of any kind. Default: any number."""
    inserts: int | None = Field(default=None, ge=1)
    """Queries that insert. Default: any number."""
    errors: int | None = Field(default=None, ge=1)
    """Queries that failed. Default: any number."""
    rows_read: int | None = Field(default=None, ge=1)
    """Rows read. Default: any number."""
    rows_returned: int | None = Field(default=None, ge=1)
    """Rows returned. Default: any number."""
    time: Duration | None = None
    """Time that queries take together. Default: any."""


class User(Spec):
    """Profile and quota of one service that uses this ClickHouse."""

    profile: DnsLabel = DEFAULT
    """Which of the profiles it has. Default `default`."""
    quota: DnsLabel = DEFAULT
    """Which of the quotas it has. Default `default`."""


class KeeperResources(Resources):
    """What one of the three instances of Keeper may use."""

    cpu: Cpu = "250m"
    """Cores reserved for one instance. Default 0.25 of a core."""
    memory: Memory = "1Gi"
    """Memory reserved for one instance and its limit at the same time. Default 1Gi."""


class Keeper(Spec):
    """The three instances that agree on what the replicas have. There are none beside a single server."""

    storage: Storage = "10Gi"
    """Disk of one instance. Default 10Gi."""
    resources: KeeperResources = KeeperResources()
    """What one instance may use."""


class ClickhouseSpec(Backed):
    """A store for telemetry with its tables, single, or in shards of several replicas each."""

    many_begin: ClassVar[bool] = True
    """One could not become several later; each shard gives its rows to its replicas."""
    storage: Storage
    """Disk of one instance."""
    replicas: int = Field(default=1, ge=1, le=3)
    """Instances of each shard, which all have its rows. Default 1, a single server. It can grow from 2 to 3."""
    shards: int = Field(default=1, ge=1, le=16)
    """Parts that the rows are spread over. Default 1. More of them need replicas; the rows that there are stay."""
    keeper: Keeper = Keeper()
    """The instances by which replicas agree."""
    tables: tuple[Table, ...] = ()
    """Tables that are there from the start. Default none: tables are the services' own."""
    profiles: dict[DnsLabel, Profile] = Field(default_factory=dict)
    """Settings by name. `default` is there without being written."""
    quotas: dict[DnsLabel, Quota] = Field(default_factory=dict)
    """Limits by name. `default` is there without being written, and has none."""
    users: dict[DnsLabel, User] = Field(default_factory=dict)
    """Profile and quota of services that use it, by the name of the service."""

    @model_validator(mode="after")
    def _fits_together(self) -> "ClickhouseSpec":
        wrong = [*self._wrong_numbers(), *self._wrong_tables(), *self._unknown_names(), *self._wrong_sizes()]
        if wrong:
            raise WrongFields(*wrong)
        return self

    @property
    def replicated(self) -> bool:
        """Whether there are several servers and a Keeper."""
        return self.replicas > 1

    @property
    def all_profiles(self) -> dict[str, Profile]:
        """Every profile, `default` first."""
        return {DEFAULT: Profile(), **self.profiles}

    @property
    def all_quotas(self) -> dict[str, Quota]:
        """Every quota, `default` first."""
        return {DEFAULT: Quota(), **self.quotas}

    def database(self, table: Table) -> Identifier:
        """The database that a table is in."""
        return table.database or SHARED

    def _wrong_numbers(self) -> list[tuple[str, str]]:
        if self.shards > 1 and not self.replicated:
            return [("replicas", f"{self.replicas} given; a shard would be lost with its server; set 2")]
        if not self.replicated and "keeper" in self.model_fields_set:
            return [("keeper", "a mapping given; a single server has no Keeper; remove it, or set replicas: 2")]
        return []

    def _wrong_tables(self) -> list[tuple[str, str]]:
        wrong: list[tuple[str, str]] = []
        first: dict[tuple[str, str], int] = {}
        for index, table in enumerate(self.tables):
            key = (self.database(table), table.name)
            if key in first:
                text = f"{shown(table.name)} given; tables.{first[key]} has this name already; remove one of the two"
                wrong.append((f"tables.{index}.name", text))
            first.setdefault(key, index)
            if key[0].lower() in _RESERVED:
                text = f"{shown(key[0])} given; ClickHouse has a database of this name; choose another"
                wrong.append((f"tables.{index}.database", text))
        return wrong

    def _unknown_names(self) -> list[tuple[str, str]]:
        wrong = []
        for service, user in self.users.items():
            for field, given, known in (
                ("profile", user.profile, self.all_profiles),
                ("quota", user.quota, self.all_quotas),
            ):
                if given not in known:
                    close = closest(given, known)
                    fix = f"did you mean {close}?" if close else f"add it to {field}s"
                    text = f"{given} given; allowed: {listed(known)}; {fix}"
                    wrong.append((f"users.{service}.{field}", text))
        return wrong

    def _wrong_sizes(self) -> list[tuple[str, str]]:
        sizes = [("resources.memory", self.resources.memory, _MINIMUM_MEMORY, "a ClickHouse")]
        if self.replicated:
            sizes.append(("keeper.resources.memory", self.keeper.resources.memory, _MINIMUM_KEEPER_MEMORY, "a Keeper"))
        return [
            (field, f"{given} given; {what} needs at least {least}; set {least}")
            for field, given, least, what in sizes
            if bytes_of(given) < bytes_of(least)
        ]
