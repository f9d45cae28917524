"""How long certificates live, as a person decides it. Issues none."""

from pydantic import model_validator

from components.core.problems import WrongFields
from components.core.spec import Spec
from components.core.types import Duration, hours_of


class CertificatePolicy(Spec):
    """How long certificates live and when they are replaced."""

    validity: Duration = "180d"
    """Life of a service's or client's certificate. Default 180 days."""
    renew_before: Duration = "60d"
    """Time before its end from which the next `up` re-issues it. Default 60 days."""

    @model_validator(mode="after")
    def _renewed_before_its_end(self) -> "CertificatePolicy":
        if hours_of(self.renew_before) >= hours_of(self.validity):
            text = f"{self.renew_before} given; every `up` would re-issue a certificate of {self.validity}; set less"
            raise WrongFields(("renew_before", text))
        return self
