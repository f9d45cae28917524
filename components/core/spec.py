"""Specs: what a person decides about a service, as frozen data that validates when the environment loads.

A spec never holds an Output, a secret or a reference to another resource.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from components.core.types import Cpu, DataClass, DnsLabel, Lifecycle, Memory, Owner, Port, Version


class Spec(BaseModel):
    """Base of every piece of configuration: frozen, unknown keys refused, field docstrings are the documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Python takes `true` for 1; a person who writes it means something else."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation in (int, int | None):
            raise ValueError("a whole number is needed, such as 3")
        return value


class Resources(Spec):
    """What one instance may use."""

    cpu: Cpu = "100m"
    """Cores reserved for one instance. Default 0.1 of a core. There is no upper bound on idle cores."""
    memory: Memory = "128Mi"
    """Memory reserved for one instance and its limit at the same time. Default 128Mi."""


class ServiceSpec(Spec):
    """What every service declares, whatever its kind: who answers for it, why it exists and what it uses."""

    kind: DnsLabel
    """Which component runs the service. Default: the service's own name."""
    owner: Owner = ""
    """Team or person who answers for the service. Default: the environment's owner; the policy refuses none at all."""
    purpose: str = Field(default="", max_length=200)
    """One sentence: what the service is for."""
    data_class: DataClass = DataClass.INTERNAL
    """Most sensitive data it stores or handles. Default internal."""
    lifecycle: Lifecycle = Lifecycle.PRODUCTION
    """Where it stands between first use and end. Default production."""
    constraints: tuple[str, ...] = ()
    """Compliance or availability constraints, one sentence each."""
    rationale: str = ""
    """Why this tool and not another."""
    review_date: date | None = None
    """Day of the next quarterly review, as YYYY-MM-DD."""
    runbook: str = ""
    """Link to the runbook."""
    adr: tuple[str, ...] = ()
    """Links to the architecture decisions behind it."""
    uses: tuple[DnsLabel, ...] = ()
    """Services it connects to. One entry yields a credential, a client certificate, a network edge and deploy order."""
    resources: Resources = Resources()
    """What one instance may use."""
    publish: Port | None = None
    """Port of this machine's loopback address that leads to it, on Docker. Default: a gateway has 443, others none."""
    deletion_protection: bool = True
    """Whether a change that would lose its data is refused. Default yes. Once an `up` with false is done, the next may
    remove, replace or shrink it, and what it kept is deleted."""

    @model_validator(mode="before")
    @classmethod
    def _accept_null_lists(cls, values: Any) -> Any:
        """`uses:` with nothing behind it is YAML for null; a person means none."""
        if isinstance(values, dict) and values.get("uses", ()) is None:
            return {**values, "uses": ()}
        return values

    @property
    def edges(self) -> tuple[str, ...]:
        """Every service this one connects to, named once, in the order written."""
        return tuple(dict.fromkeys(self.uses))

    def ends(self, name: str) -> Mapping[str, tuple[str, ...]]:
        """Who connects to each of them, if the service is called `name`: itself, or a part with a name of its own."""
        return dict.fromkeys(self.edges, (name,))

    def named(self, used: str) -> Iterator[str]:
        """The fields that name a service which it connects to."""
        if used in self.uses:
            yield "uses"


class ServerSpec(ServiceSpec):
    """A service whose server has several tested releases, of which a person may choose one."""

    version: Version | None = None
    """Version of the server or its beginning, such as "17". Default: the recommended one; `groundwork matrix` lists
    the others."""


def odd_quorum(value: int, what: str) -> int:
    """Check an instance count that elects a leader: 1, or an odd number of at least 3."""
    if value % 2 == 0:
        raise ValueError(f"{what} needs an odd number, set {value + 1}")
    return value
