"""What every service that keeps data declares about its backups and how it begins from one. Pure.

A backup goes to an object store of the graph, encrypted before it leaves, and is restored into a scratch server again
and again to show that it can be. Knows no server and no script.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import pulumi
from pydantic import AfterValidator, model_validator

from components.core.bindings import Binding
from components.core.changes import Refusal
from components.core.problems import WrongFields
from components.core.site import Placement, Site
from components.core.spec import ServiceSpec, Spec
from components.core.types import Days, DnsLabel, Second

_CRON_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
"""Bounds of minute, hour, day of the month, month, and day of the week from Sunday. crontab(5)."""
_CRON = "five cron fields in UTC, such as 0 2 * * *"
STORES = ("backup.to", "restore.store")
"""Fields that name an object store."""
CLIENT = "client"
"""Encrypted before it leaves, with a key that the store never sees."""
SERVER = "server"
"""Encrypted by the store, which was asked to."""
UNKNOWN = "unknown"
"""As the store does it by its own settings."""


def _cron(value: str) -> str:
    spread(value)
    return value


Cron = Annotated[str, AfterValidator(_cron)]


def spread(cron: str) -> tuple[tuple[int, ...], ...]:
    """The values that each field of a schedule stands for; an empty one stands for any. Raises ValueError."""
    fields = cron.split(" ")
    if len(fields) != len(_CRON_FIELDS):
        raise ValueError(f"allowed: {_CRON}")
    return tuple(_values(field, *bounds) for field, bounds in zip(fields, _CRON_FIELDS, strict=True))


def _values(field: str, least: int, most: int) -> tuple[int, ...]:
    if field == "*":
        return ()
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = (str(least), "-", str(most)) if span == "*" else span.partition("-")
        numbers = [first, *([last] if dash else []), *([step] if slash else [])]
        if not all(number.isascii() and number.isdigit() for number in numbers) or (slash and int(step) == 0):
            raise ValueError(f"allowed: {_CRON}")
        low, high = int(first), int(last) if dash else most if slash else int(first)
        if not least <= low <= high <= most:
            raise ValueError(f"{part} is outside {least} to {most}; allowed: {_CRON}")
        found.update(range(low, high + 1, int(step) if slash else 1))
    return tuple(sorted(found))


class BackupTimes(Spec):
    """When backups are taken and tried, and how long they are kept."""

    schedule: Cron = "0 2 * * *"
    """When, in UTC: minute, hour, day, month, weekday. Default every night at two; the first one runs at once."""
    retention: Days = "30d"
    """How long back one can restore. Default 30 days; older backups are deleted, but never the newest."""

    def facts(self, region: str) -> dict[str, str]:  # noqa: ARG002 (for those whose destination says nothing of it)
        """When and how long, as plain data. `region`: the environment's."""
        return {"schedule": self.schedule, "retention": self.retention}


class Backup(BackupTimes):
    """Encrypted backups in an object store, and a drill that restores them."""

    to: DnsLabel
    """Service of kind `objects` that receives them."""
    drill: Cron = "0 4 * * 0"
    """When the newest backup is restored into a scratch server and compared, in UTC. Default Sundays at four; the first
    drill follows the first backup."""

    def facts(self, region: str) -> dict[str, str]:
        """Drills too."""
        return {**super().facts(region), "drill": self.drill}


class Restore(Spec):
    """A backup that a new service begins with. Where there is data already, it is left alone."""

    store: DnsLabel
    """Service of kind `objects` that has it."""
    service: DnsLabel | None = None
    """Service whose backup it is. Default: the one that is restored."""
    until: Second | None = None
    """Second in UTC, such as 2026-11-21T12:00:00Z. PostgreSQL has what was committed up to then, others the last backup
    that was whole by then. Default: all that there is."""

    @property
    def choice(self) -> str:
        """Which backup: `latest`, or the time by which it was whole, as in names of backups: 20261121T120000Z."""
        return (self.until or "latest").replace("-", "").replace(":", "")

    def maker(self, name: str) -> str:
        """The part that has made it, where service `name` is restored."""
        return part_of(self.service or name)


@dataclass(frozen=True)
class Store:
    """An object store as one who makes backups is given it, and the key that these are encrypted with."""

    binding: Binding
    key: pulumi.Input[str]


def part_of(name: str) -> str:
    """The part of a service that makes its backups: a workload, a client and a consumer of its own."""
    return f"{name}-backup"


def makers_of_backups(store: str, site: Site) -> tuple[str, ...]:
    """Parts of services that keep their backups in a store."""
    parts = {part_of(service) for service in site.consumers} - set(site.consumers)
    return tuple(consumer for consumer in site.consumers_of(store) if consumer in parts)


def makes_backups(spec: Any) -> bool:
    """Whether a part of the service makes its backups, and no operator."""
    return getattr(getattr(spec, "backup", None), "to", None) is not None


class Backed(ServiceSpec):
    """A service that keeps data in backups elsewhere. Subclasses narrow the types of the two fields."""

    many_begin: ClassVar[bool] = False
    """Whether several instances can begin with a backup together."""
    one_begins: ClassVar[str] = (
        "one begins with a backup, and the others copy what it has; set replicas: 1, and more of them once it runs"
    )
    """Why they can't, and the way out."""
    backup: Backup | None = None
    """Where its backups go. Default: none."""
    restore: Restore | None = None
    """Backup that it begins with, where it has no data yet. Default: it begins empty."""

    @model_validator(mode="after")
    def _begins_as_one(self) -> "Backed":
        replicas = getattr(self, "replicas", 1)
        if self.restore and replicas > 1 and not self.many_begin:
            raise WrongFields(("restore", f"given with {replicas} replicas; {self.one_begins}"))
        return self

    @property
    def target(self) -> str | None:
        """The object store of the graph that receives its backups."""
        return getattr(self.backup, "to", None)

    @property
    def edges(self) -> tuple[str, ...]:
        """The stores of its backups are among them."""
        stores = (self.target, self.restore.store if self.restore else None)
        return tuple(dict.fromkeys([*super().edges, *filter(None, stores)]))

    def ends(self, name: str) -> Mapping[str, tuple[str, ...]]:
        """Its part connects to the store; what it begins with, it fetches itself, by the right of who has made it."""
        found: dict[str, list[str]] = {used: [name] for used in super().edges}
        if self.target:
            found.setdefault(self.target, []).append(part_of(name))
        if self.restore:
            found.setdefault(self.restore.store, []).extend([name, self.restore.maker(name)])
        return {used: tuple(dict.fromkeys(ends)) for used, ends in found.items()}

    def named(self, used: str) -> Iterator[str]:
        """Stores are named where they are used."""
        yield from super().named(used)
        if self.target == used:
            yield "backup.to"
        if self.restore and self.restore.store == used:
            yield "restore.store"


def facts_of(spec: Any, store: Store | None, placement: Placement) -> dict[str, Any]:
    """What a service says of its backups, for policies and the inventory; empty where it has none."""
    backup, restore = getattr(spec, "backup", None), getattr(spec, "restore", None)
    found: dict[str, Any] = {}
    if backup is not None:
        own = {"target": backup.to, "region": store.binding.settings["REGION"], "encryption": CLIENT} if store else {}
        found["backup"] = {**backup.facts(placement.region), **own}
    if restore is not None:
        found["restore"] = restore.model_dump(mode="json")
    return found


def refuse_restore(deployed: Mapping[str, Any], spec: Any) -> list[Refusal]:
    """A service that keeps data already is not restored: what it has would have to go first."""
    restore = getattr(spec, "restore", None)
    if restore is None or deployed.get("restore") == restore.model_dump(mode="json"):
        return []
    text = "given; a backup is what a new service begins with, and this one has data, which would stay as it is"
    fix = "remove it, or restore into a service of another name, with restore.service: the name of this one"
    return [Refusal("restore", f"{text}; {fix}", final=True)]
