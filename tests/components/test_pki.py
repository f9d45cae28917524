"""The authority: which roots everybody trusts, under which one it issues, and what stays the same meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pulumi
import pulumi_tls
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from components.core.certificates import CertificatePolicy
from components.core.site import Placement, Site
from components.pki import Pki
from components.targets.kubernetes.target import KubernetesNames
from tests.support.certificates import asked, common_name, names_of
from tests.support.recording import Recorded, key_of, run

PLACEMENT = Placement(region="eu-central-1")


def declare(
    check: Callable[[Pki], None] = lambda _: None,
    generation: int = 1,
    hosts: tuple[str, ...] = ("cache",),
    **policy: Any,
) -> dict[str, Recorded]:
    """Everything that an authority declares, with one server certificate, by its name."""

    def program() -> None:
        decided = CertificatePolicy(**policy)
        names = KubernetesNames("groundwork-test")
        site = Site("test", PLACEMENT, names, {}, "", generation, decided.roots, decided.issuing)
        pki = Pki("pki", site, decided, "team-platform")
        pki.server("cache", hosts, pki)
        check(pki)

    return {resource.name: resource for resource in run(program)}


def inputs(found: dict[str, Recorded], name: str) -> dict[str, Any]:
    return {key: value for key, value in found[name].inputs.items() if key.endswith("Pem") or key == "subject"}


@pytest.mark.parametrize(
    ("policy", "trusted"),
    [
        ({}, ["root"]),
        ({"roots": [1, 2]}, ["root", "root-2"]),
        ({"roots": [2]}, ["root-2"]),
    ],
)
def test_everybody_trusts_every_root(policy: dict[str, Any], trusted: list[str]) -> None:
    seen: list[str] = []
    found = declare(lambda pki: pulumi.export("seen", pki.ca.apply(seen.append)), **policy)
    assert seen == ["".join(f"(certPem pki-{name}-certificate)" for name in trusted)]
    assert {name for name in found if name.startswith("pki-root")} == {
        f"pki-{name}-{part}" for name in trusted for part in ("key", "certificate")
    }


@pytest.mark.parametrize(("issuer", "name"), [(1, "pki-root"), (2, "pki-root-2")])
def test_one_root_issues(issuer: int, name: str) -> None:
    found = declare(roots=[1, 2], issuer=issuer)
    signed = inputs(found, "pki-intermediate-certificate")
    assert signed["caCertPem"] == f"(certPem {name}-certificate)"
    assert signed["caPrivateKeyPem"]["value"] == key_of(f"{name}-key")
    assert inputs(found, "cache-server-certificate")["caCertPem"] == "(certPem pki-intermediate-certificate)"


def test_authorities_of_two_roots_have_two_names() -> None:
    both = declare(roots=[1, 2])
    roots = [inputs(both, f"pki-{name}-certificate")["subject"] for name in ("root", "root-2")]
    assert roots[0] != roots[1]
    issuers = [declare(roots=[1, 2], issuer=number) for number in (1, 2)]
    former, latter = (asked(found.values(), "pki-intermediate") for found in issuers)
    assert former.subject != latter.subject
    assert common_name(former) == common_name(latter), "a name has room for no more"


def test_a_certificate_is_asked_for_its_own_key_and_names() -> None:
    found = asked(declare().values(), "cache-server")
    assert found.is_signature_valid
    assert found.public_key() == load_pem_private_key(key_of("cache-server-key").encode(), None).public_key()
    assert found.subject.rfc4514_string() == "CN=cache,O=Groundwork"
    assert names_of(found) == ["cache"]


def test_only_what_differs_is_asked_for_anew() -> None:
    """Another request replaces the certificate, and whoever has it starts again."""
    first, same, other = (
        inputs(found, "cache-server-certificate")["certRequestPem"]
        for found in (declare(), declare(roots=[2]), declare(hosts=("cache", "store")))
    )
    assert first == same
    assert first != other


def test_the_common_name_is_the_first_that_there_is_room_for() -> None:
    hosts = ("a" * 60 + ".svc.b", "cache", "localhost")
    assert common_name(asked(declare(hosts=hosts).values(), "cache-server")) == "cache"


def test_what_a_generation_makes_anew_is_all_but_the_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is made anew by what it says it was made for."""
    first, other, moved = (triggers(monkeypatch, **p) for p in ({}, {"generation": 2}, {"roots": [1, 2], "issuer": 2}))
    assert {name for name, made_for in first.items() if other[name] != made_for} == {
        "pki-intermediate-key",
        "cache-server-key",
    }
    assert {name for name, made_for in first.items() if moved[name] != made_for} == {"pki-intermediate-key"}


def triggers(monkeypatch: pytest.MonkeyPatch, **policy: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    original = pulumi_tls.PrivateKey

    def noting(name: str, opts: pulumi.ResourceOptions, **more: Any) -> Any:
        found[name] = opts.replacement_trigger
        return original(name, opts=opts, **more)

    with monkeypatch.context() as patch:
        patch.setattr(pulumi_tls, "PrivateKey", noting)
        declare(**policy)
    return found


def test_facts_are_registered_once_everything_trusts_the_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before: the next step of a change of roots rests on it."""
    registered: list[dict[str, Any]] = []
    order: list[str] = []
    monkeypatch.setattr(Pki, "register_outputs", lambda self, outputs: registered.append(outputs))

    async def make(pki: Pki) -> str:
        await pki.ca.future()
        for _ in range(100):
            await asyncio.sleep(0)
        order.append("made")
        return "urn"

    def check(pki: Pki) -> None:
        made: Any = SimpleNamespace(urn=pulumi.Output.from_input(make(pki)))
        pki.finish([made])
        pulumi.export("ca", registered[0]["ca"].apply(lambda _: order.append("ca")))

    declare(check, roots=[1, 2], issuer=2)
    (outputs,) = registered
    assert (outputs["roots"], outputs["issuer"]) == ([1, 2], 2)
    assert order == ["made", "ca"]
