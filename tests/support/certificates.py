"""What the certificates of a recorded program were asked for with."""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support.recording import Recorded


def asked(recorded: Iterable[Recorded], name: str) -> x509.CertificateSigningRequest:
    """The request of the certificate called `<name>-certificate`."""
    given = next(one.inputs for one in recorded if one.name == f"{name}-certificate")["certRequestPem"]
    assert isinstance(given, str), "a secret would be one in every preview"
    return x509.load_pem_x509_csr(given.encode())


def common_name(request: x509.CertificateSigningRequest) -> str:
    """Whom it names."""
    (name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def names_of(request: x509.CertificateSigningRequest) -> list[str]:
    """Hosts that it is for."""
    return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )
