"""How long certificates live and which roots are trusted, as a person decides it. Issues none."""

from typing import Annotated

from pydantic import Field, model_validator

from components.core.problems import WrongFields
from components.core.spec import Spec
from components.core.types import Duration, hours_of

ORGANIZATION = "Groundwork"
"""Of every certificate's subject; servers that know their clients by the subject compare it."""
RootNumber = Annotated[int, Field(ge=1, strict=True)]


class CertificatePolicy(Spec):
    """How long certificates live, when they are replaced, and which roots are trusted."""

    validity: Duration = "180d"
    """Life of a service's or client's certificate. Default 180 days."""
    renew_before: Duration = "60d"
    """Time before its end from which the next `up` re-issues it. Default 60 days."""
    roots: tuple[RootNumber, ...] = (1,)
    """Numbers of the roots that everybody trusts; each number is a root of its own. Default [1]."""
    issuer: RootNumber | None = None
    """Number of the root that certificates lead to. Default: the first of roots."""

    @model_validator(mode="after")
    def _fits_together(self) -> "CertificatePolicy":
        wrong = []
        if hours_of(self.renew_before) >= hours_of(self.validity):
            text = f"{self.renew_before} given; every `up` would re-issue a certificate of {self.validity}; set less"
            wrong.append(("renew_before", text))
        trusted = ", ".join(map(str, self.roots))
        if not self.roots:
            raise WrongFields(*wrong, ("roots", "an empty list given; certificates lead to a root; set [1]"))
        if len(set(self.roots)) < len(self.roots):
            wrong.append(("roots", f"[{trusted}] given; a root is there once; remove the other one"))
        if self.issuing not in self.roots:
            fix = f"set one of them or add {self.issuer} to roots"
            wrong.append(("issuer", f"{self.issuer} given; nobody trusts that root; allowed: {trusted}; {fix}"))
        if wrong:
            raise WrongFields(*wrong)
        return self

    @property
    def issuing(self) -> int:
        """Number of the root that certificates lead to."""
        return self.issuer or self.roots[0]
