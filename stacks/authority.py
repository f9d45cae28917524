"""Which roots an environment trusts and which one issues, and how one takes another's place. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from components.core.certificates import CertificatePolicy


@dataclass(frozen=True, order=True)
class Authority:
    """The roots of an environment, by their numbers."""

    roots: tuple[int, ...]
    issuer: int

    @classmethod
    def of(cls, policy: CertificatePolicy) -> Self:
        """As a person decides it."""
        return cls(policy.roots, policy.issuing)

    @classmethod
    def read(cls, facts: Mapping[str, Any]) -> Self:
        """As a component has registered it; earlier releases had one root."""
        return cls(tuple(facts.get("roots", (1,))), facts.get("issuer", 1))

    def overlaps(self, other: Self) -> bool:
        """Whether whoever trusts the roots of one trusts the certificates of both."""
        return {self.issuer, other.issuer} <= set(self.roots) & set(other.roots)

    def steps(self, issuer: int) -> list[Self]:
        """The way to another issuer: first all trust both, then it issues, then the old one is dropped."""
        both = tuple(sorted({self.issuer, issuer}))
        return [type(self)(both, self.issuer), type(self)(both, issuer), type(self)((issuer,), issuer)]

    def __str__(self) -> str:
        return f"roots: {list(self.roots)}, issuer: {self.issuer}"
