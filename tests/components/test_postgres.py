"""The PostgreSQL component as a program: what it declares, hands out and keeps to itself."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pulumi
import pytest

from components.core.bindings import Binding
from components.core.certificates import CertificatePolicy
from components.core.component import Context
from components.core.site import Site
from components.pki import Pki
from components.postgres import Postgres, PostgresSpec
from components.postgres.render import scram_verifier
from components.targets.kubernetes import Cluster
from tests.support.certificates import asked, common_name
from tests.support.postgres import PLACEMENT, spec_of
from tests.support.recording import CLUSTER, Recorded, kubernetes, run


def declare(
    spec: PostgresSpec, consumers: tuple[str, ...] = ("api",), cluster: Cluster = CLUSTER
) -> tuple[Postgres, list[Recorded]]:
    made: list[Postgres] = []

    def program() -> None:
        target = kubernetes("test", PLACEMENT, cluster=cluster)
        site = Site("test", PLACEMENT, target.names, {"postgres": consumers})
        issuer = Pki("pki", site, CertificatePolicy(), "team-test")
        made.append(Postgres("postgres", spec, Context(site, target, issuer)))

    recorded = run(program)
    return made[0], [r for r in recorded if "pki" not in r.name]


def kinds(recorded: list[Recorded]) -> list[str]:
    return [r.manifest["kind"] for r in recorded if r.manifest]


def named(recorded: list[Recorded], name: str) -> dict[str, Any]:
    return next(r.inputs for r in recorded if r.name == name)


def test_one_replica_is_a_workload_and_three_are_a_cluster() -> None:
    _, single = declare(spec_of())
    _, replicated = declare(spec_of(replicas=3))
    assert "StatefulSet" in kinds(single)
    assert "Cluster" not in kinds(single)
    assert {"Cluster", "Pooler", "Database"} <= set(kinds(replicated))
    assert "StatefulSet" not in kinds(replicated)


@pytest.mark.parametrize(("replicas", "most"), [(1, 16), (3, 21)])
def test_the_number_of_resources_stays_small(replicas: int, most: int) -> None:
    _, recorded = declare(spec_of(replicas=replicas))
    own = [r.name for r in recorded if r.name.startswith("postgres")]
    assert len(own) <= most, own


def test_facts_are_what_policies_and_inventory_read() -> None:
    component, recorded = declare(spec_of(replicas=3, data_class="confidential"))
    facts = next(r.inputs for r in recorded if r.type == "groundwork:data:Postgres")
    assert (facts["stateful"], facts["replicas"], facts["data_class"]) == (True, 3, "confidential")
    assert {listener["name"]: listener["tls"] for listener in facts["listeners"]} == {
        "postgresql": "mutual",
        "metrics": "server",
        "status": "server",
        "pooler-metrics": "server",
    }
    assert component.endpoints()[0].url == "postgresql://postgres-pooler.groundwork-test.svc:5432"


@pytest.mark.parametrize(("replicas", "host"), [(1, "postgres"), (3, "postgres-pooler")])
def test_both_halves_hand_out_the_same_facts(replicas: int, host: str) -> None:
    component, _ = declare(spec_of(replicas=replicas))
    binding = component.bind("api")
    assert binding.settings == {
        "HOST": f"{host}.groundwork-test.svc",
        "PORT": "5432",
        "DATABASE": "api",
        "USER": "api",
        "SSLMODE": "verify-full",
        "POOL_SIZE": "20",
    }
    assert set(binding.files) == {"password", "url", "ca.crt", "tls.crt", "tls.key"}
    assert [(reach.service, reach.ports) for reach in binding.reach] == [("postgres", (5432,))]


def test_the_url_names_password_and_files_where_consumers_find_them() -> None:
    bindings: list[Binding] = []
    urls: list[str] = []

    def program() -> None:
        target = kubernetes("test", PLACEMENT)
        site = Site("test", PLACEMENT, target.names, {"postgres": ("api",)})
        issuer = Pki("pki", site, CertificatePolicy(), "team-test")
        bindings.append(Postgres("postgres", spec_of(), Context(site, target, issuer)).bind("api"))
        pulumi.Output.from_input(bindings[0].files["url"]).apply(urls.append)

    run(program)
    folder = "/run/groundwork/postgres"
    user = "postgresql://api:(password postgres-password-api)"
    files = f"sslrootcert={folder}/ca.crt&sslcert={folder}/tls.crt&sslkey={folder}/tls.key"
    assert urls == [f"{user}@postgres.groundwork-test.svc:5432/api?sslmode=verify-full&{files}"]


def test_a_service_that_does_not_use_it_gets_nothing() -> None:
    component, _ = declare(spec_of())
    with pytest.raises(KeyError):
        component.bind("stranger")


def test_servers_that_ask_for_a_password_receive_its_verifier() -> None:
    _, recorded = declare(spec_of(replicas=3))
    verifier = plain(named(recorded, "postgres-role-api")["data"])["password"]
    assert b64decode(verifier).decode() == scram_verifier("(password postgres-password-api)", "api")


@pytest.mark.parametrize("replicas", [1, 3])
def test_nothing_receives_the_password(replicas: int) -> None:
    password = "(password postgres-password-api)"
    _, recorded = declare(spec_of(replicas=replicas))
    for resource in recorded:
        manifest = resource.manifest
        if manifest is None:
            continue
        text = str(plain(manifest))
        if manifest["kind"] == "Secret":
            text = " ".join(b64decode(value).decode() for value in plain(manifest["data"]).values())
        assert password not in text, f"{manifest['kind']} {resource.name} shows a password"
        if manifest["kind"] != "Secret":
            assert "SCRAM-SHA-256$" not in text


def test_the_operator_is_given_the_keys_it_looks_for() -> None:
    _, recorded = declare(spec_of(replicas=3))
    certificates = named(recorded, "postgres-cluster")["spec"]["certificates"]
    assert set(certificates.values()) == {"postgres-tls"}
    for name in ("postgres-tls", "postgres-pooler-tls"):
        secret = named(recorded, name)
        assert (secret["type"], set(plain(secret["data"]))) == ("kubernetes.io/tls", {"ca.crt", "tls.crt", "tls.key"})
        assert "cnpg.io/reload" in secret["metadata"]["labels"]


def test_the_pooler_enters_as_the_role_its_certificate_names() -> None:
    _, recorded = declare(spec_of(replicas=3))
    cluster = named(recorded, "postgres-cluster")["spec"]
    role = common_name(asked(recorded, "postgres-pooler-server"))
    assert f'hostssl postgres "{role}" all cert' in cluster["postgresql"]["pg_hba"]
    assert f'CREATE ROLE "{role}" LOGIN' in cluster["bootstrap"]["initdb"]["postInitSQL"]


def test_instances_replicate_by_the_name_in_their_certificate() -> None:
    _, recorded = declare(spec_of(replicas=3))
    name = common_name(asked(recorded, "postgres-server"))
    mapping = named(recorded, "postgres-cluster")["spec"]["postgresql"]["pg_ident"]
    assert mapping == [f"cnpg_streaming_replica {name} streaming_replica"]


def plain(value: Any) -> Any:
    """Inputs with the engine's secret wrappers removed."""
    if isinstance(value, dict):
        return (
            plain(value["value"])
            if pulumi.runtime.rpc._special_sig_key in value
            else {k: plain(v) for k, v in value.items()}
        )
    return [plain(item) for item in value] if isinstance(value, list) else value
