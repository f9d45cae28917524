"""The environment's certificate authority: a root, an intermediate, and a certificate per service and per client.

Keys are made by the `tls` provider and kept encrypted in state. Certificates near their end are re-issued by the next
`up`. While one root takes the place of another both are trusted, and one of them issues. It also keeps the key that
backups are encrypted with. It deliberately runs no server and issues nothing to anybody outside the graph.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_random as random
import pulumi_tls as tls

from components.core.bindings import Certificate
from components.core.certificates import ORGANIZATION, CertificatePolicy
from components.core.changes import Kept
from components.core.component import describe
from components.core.site import Site
from components.core.spec import ServiceSpec
from components.core.types import DataClass, hours_of

_ROOT_HOURS = 10 * 8760
_INTERMEDIATE_HOURS = 3 * 8760
_LONGEST_NAME = 64
"""Characters that a common name has room for: RFC 5280, appendix A.1."""


class Pki(pulumi.ComponentResource):
    """Issues every certificate of an environment from one root.

    Example:
        pki = Pki("pki", site, CertificatePolicy(), owner="team-platform")
        certificate = pki.server("cache", ("cache.groundwork-dev.svc", "cache"), parent=pki)
    """

    ca: pulumi.Output[str]
    """PEM of the roots, to be trusted by every client."""
    backup_key: pulumi.Output[str]
    """What backups are encrypted with, whatever service they are of."""

    def __init__(
        self,
        name: str,
        site: Site,
        policy: CertificatePolicy,
        owner: str,
        opts: pulumi.ResourceOptions | None = None,
        *,
        backup_key: pulumi.Output[str] | None = None,
    ) -> None:
        purpose = "Certificate authority of the environment."
        spec = ServiceSpec(kind="pki", owner=owner, purpose=purpose, data_class=DataClass.RESTRICTED)
        self.facts: dict[str, Any] = describe(spec, site, (), version="1", replicas=1, kept=Kept())
        super().__init__("groundwork:security:Pki", name, self.facts, opts)
        self._name = name
        self._clients: dict[str, Certificate] = {}
        self._policy = policy
        self._generation = site.generation
        roots = {number: self._root(name, number, site.environment) for number in site.roots}
        self.ca = pulumi.Output.concat(*(root[0] for root in roots.values()))
        self.backup_key = self._backup_key(name, backup_key)
        # Under another root it is another authority, whose key and name certificates of the former one don't fit.
        number = site.issuer
        self._ca_key = self._key(
            f"{name}-intermediate", self, site.generation if number == 1 else [site.generation, number]
        )
        self._intermediate = self._sign(
            f"{name}-intermediate", self._ca_key, _subject(f"Groundwork {site.environment} intermediate", number), (),
            ("cert_signing", "crl_signing"), self, authority=roots[number],
        ).cert_pem  # fmt: skip

    def finish(self, made: Sequence[pulumi.Resource]) -> None:
        """Register its facts once everything in `made` trusts these roots: whoever finds them knows that it does."""
        done = pulumi.Output.all(*(resource.urn for resource in made))
        self.register_outputs({**self.facts, "ca": done.apply(lambda _: self.ca)})

    def server(self, service: str, hosts: tuple[str, ...], parent: pulumi.Resource) -> Certificate:
        """A certificate for a listener; it may also prove the service to its own peers."""
        common_name = next(host for host in hosts if len(host) <= _LONGEST_NAME)
        return self._issue(f"{service}-server", common_name, hosts, ("server_auth", "client_auth"), parent)

    def client(self, consumer: str) -> Certificate:
        """The certificate of a client, the same on all its edges. Common name: the consumer, which is its role or user
        on every server."""
        if consumer not in self._clients:
            self._clients[consumer] = self._issue(
                f"{self._name}-{consumer}-client", consumer, (), ("client_auth",), self
            )
        return self._clients[consumer]

    def _backup_key(self, name: str, given: pulumi.Output[str] | None) -> pulumi.Output[str]:
        """The key that was given, or one that is made.

        It stays when all others are made anew, and while nothing is backed up: backups that there are can be read with
        no other.
        """
        options = pulumi.ResourceOptions(parent=self)
        password = random.RandomPassword(f"{name}-backup-key", length=64, special=False, opts=options)
        return given if given is not None else pulumi.Output.secret(password.result)

    def _issue(
        self, name: str, common_name: str, hosts: Sequence[str], uses: Sequence[str], parent: pulumi.Resource
    ) -> Certificate:
        key = self._key(name, parent, self._generation)
        leaf = self._sign(
            name, key, _subject(common_name), hosts, ("digital_signature", *uses), parent,
            authority=(self._intermediate, self._ca_key.private_key_pem),
        )  # fmt: skip
        chain = pulumi.Output.concat(leaf.cert_pem, self._intermediate)
        return Certificate(ca=self.ca, chain=chain, key=key.private_key_pem_pkcs8)

    def _root(self, name: str, number: int, environment: str) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """Certificate and key of a root."""
        named = f"{name}-root" if number == 1 else f"{name}-root-{number}"
        key = self._key(named, self, number)
        certificate = tls.SelfSignedCert(
            f"{named}-certificate",
            private_key_pem=key.private_key_pem,
            subject=tls.SelfSignedCertSubjectArgs(**_subject(f"Groundwork {environment} root", number)),
            is_ca_certificate=True,
            set_subject_key_id=True,
            validity_period_hours=_ROOT_HOURS,
            early_renewal_hours=_ROOT_HOURS // 10,
            allowed_uses=["cert_signing", "crl_signing"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        return certificate.cert_pem, key.private_key_pem

    def _key(self, name: str, parent: pulumi.Resource, trigger: int | list[int]) -> tls.PrivateKey:
        options = pulumi.ResourceOptions(parent=parent, replacement_trigger=trigger)
        return tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve="P256", opts=options)

    def _sign(
        self,
        name: str,
        key: tls.PrivateKey,
        subject: Mapping[str, str],
        hosts: Sequence[str],
        uses: Sequence[str],
        parent: pulumi.Resource,
        authority: tuple[pulumi.Output[str], pulumi.Output[str]],
    ) -> tls.LocallySignedCert:
        # It says what the certificate will say, and nothing of the key but its public half.
        request = pulumi.Output.unsecret(key.private_key_pem.apply(lambda pem: _request(pem, subject, hosts)))
        is_authority = "cert_signing" in uses
        return tls.LocallySignedCert(
            f"{name}-certificate",
            cert_request_pem=request,
            ca_cert_pem=authority[0],
            ca_private_key_pem=authority[1],
            allowed_uses=list(uses),
            is_ca_certificate=is_authority,
            set_subject_key_id=True,
            validity_period_hours=_INTERMEDIATE_HOURS if is_authority else hours_of(self._policy.validity),
            early_renewal_hours=_INTERMEDIATE_HOURS // 6 if is_authority else hours_of(self._policy.renew_before),
            opts=pulumi.ResourceOptions(parent=parent),
        )


def _request(key: str, subject: Mapping[str, str], hosts: Sequence[str]) -> str:
    """PEM of a certificate signing request, the same for the same arguments: another one would replace the certificate.

    As a resource it would be a third of all that certificates take of the state. RFC 2986; RFC 6979 for its signature.
    """
    from cryptography import x509  # takes a while, and a first preview needs none
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    oids = {
        "organization": x509.NameOID.ORGANIZATION_NAME,
        "common_name": x509.NameOID.COMMON_NAME,
        "serial_number": x509.NameOID.SERIAL_NUMBER,
    }
    names = [x509.NameAttribute(oids[field], value) for field, value in subject.items()]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
    if hosts:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(host) for host in dict.fromkeys(hosts)])
        builder = builder.add_extension(alternatives, critical=False)
    private = serialization.load_pem_private_key(key.encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    signed = builder.sign(private, hashes.SHA256(), ecdsa_deterministic=True)
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def _subject(common_name: str, number: int = 1) -> dict[str, str]:
    """Authorities of different roots have different names, so that nobody takes one for the other."""
    subject = {"organization": ORGANIZATION, "common_name": common_name}
    return subject if number == 1 else {**subject, "serial_number": str(number)}
