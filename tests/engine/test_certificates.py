"""The certificates that an `up` issued: every chain leads to the root, every name is on it, no key is used twice."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tests.support.checkout import Checkout
from tests.support.deployed import deployed_manifests


@pytest.fixture(scope="module")
def secrets(checkout: Checkout) -> Iterator[dict[str, dict[str, str]]]:
    """Content of every Secret of a deployed dev, by name."""
    up = checkout.groundwork("up", "dev")
    assert up.returncode == 0, up.stdout + up.stderr
    found = {
        manifest["metadata"]["name"]: {key: b64decode(text).decode() for key, text in manifest["data"].items()}
        for manifest in deployed_manifests(checkout, "dev")
        if manifest["kind"] == "Secret"
    }
    assert {"postgres", "cache", "queue", "demo", "gateway"} <= set(found)
    yield found
    assert checkout.groundwork("down", "dev").returncode == 0


def test_every_service_proves_the_names_it_is_dialled_by(secrets: dict[str, dict[str, str]]) -> None:
    names = {
        "postgres": "postgres.groundwork-dev.svc",
        "cache": "cache.groundwork-dev.svc",
        "queue": "queue-0.queue-peers.groundwork-dev.svc",
        "demo": "demo.groundwork-dev.svc",
        "gateway": "demo.example.com",
    }
    for service, name in names.items():
        leaf, intermediate, root = chain(secrets[service], "")
        verifier = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName(name))
        verifier.verify(leaf, [intermediate])
        other = PolicyBuilder().store(Store([root])).build_server_verifier(x509.DNSName("other.groundwork-dev.svc"))
        with pytest.raises(VerificationError):
            other.verify(leaf, [intermediate])


def test_a_client_is_named_after_the_consumer(secrets: dict[str, dict[str, str]]) -> None:
    for service in ("demo", "gateway"):
        leaf, intermediate, root = chain(secrets[service], "client_")
        assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == service
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        leaf.verify_directly_issued_by(intermediate)
        intermediate.verify_directly_issued_by(root)


def test_keys_fit_their_certificates_and_none_is_used_twice(secrets: dict[str, dict[str, str]]) -> None:
    seen: dict[bytes, str] = {}
    for name, content in secrets.items():
        for prefix in {key.removesuffix("tls.key") for key in content if key.endswith("tls.key")}:
            leaf = chain(content, prefix)[0]
            key: Any = load_pem_private_key(content[f"{prefix}tls.key"].encode(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            assert public == leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            where = f"{name}/{prefix}"
            assert seen.setdefault(public, where) == where, f"{where} shares the key of {seen[public]}"
    assert len(seen) >= 9


def test_certificates_live_as_long_as_declared(secrets: dict[str, dict[str, str]]) -> None:
    leaf = chain(secrets["cache"], "")[0]
    remaining = leaf.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=179) < remaining <= timedelta(days=180)


def test_new_certificates_replace_nothing_but_themselves(checkout: Checkout, secrets: dict[str, Any]) -> None:
    """Whoever mounts one is updated in place: no volume, no Secret and no set is deleted for it."""
    line = "    owner: team-platform"
    checkout.edit("Pulumi.dev.yaml", line, f"{line}\n    certificates: {{validity: 90d, renew_before: 30d}}")
    try:
        done = checkout.pulumi("preview", "--stack", "dev", "--json")
        rotated = checkout.groundwork("up", "dev")
    finally:
        checkout.restore("Pulumi.dev.yaml")
    steps = json.loads(done.stdout)["steps"]
    replaced = {step["urn"].split("::")[-1] for step in steps if step["op"] == "replace"}
    assert "cache-server-certificate" in replaced
    lasting = ("pki-root-certificate", "pki-intermediate-certificate")
    assert [name for name in replaced if not name.endswith("-certificate") or name in lasting] == []
    assert {step["urn"].split("::")[-1] for step in steps if step["op"] == "update"} >= {"cache-secret", "cache-set"}
    assert rotated.returncode == 0, rotated.stdout + rotated.stderr
    deployed = {m["metadata"]["name"]: m for m in deployed_manifests(checkout, "dev") if m["kind"] == "Secret"}
    assert b64decode(deployed["cache"]["data"]["tls.crt"]).decode() != secrets["cache"]["tls.crt"]


def chain(content: dict[str, str], prefix: str) -> tuple[x509.Certificate, x509.Certificate, x509.Certificate]:
    """Leaf, intermediate and root of one identity."""
    leaf, intermediate = x509.load_pem_x509_certificates(content[f"{prefix}tls.crt"].encode())
    return leaf, intermediate, x509.load_pem_x509_certificate(content[f"{prefix}ca.crt"].encode())
