"""Names of services: what is refused, and proof that what is accepted can't get in its own way.

Every name that the components derive is compared with what they say they occupy, so the two can't drift apart.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from components import component_of
from components.core.problems import ConfigError
from stacks.config import parse
from stacks.environment import Environment
from stacks.graph import consumers
from stacks.names import RESERVED
from tests.support import environments
from tests.support.recording import Recorded, record

ENVIRONMENT = {
    "profile": "dev",
    "cluster": "embedded",
    "placement": {"region": "eu-central-1", "zones": 3},
    "owner": "team-platform",
}
REDIS: dict[str, Any] = {"kind": "redis", "role": "cache"}
BACKUP = {"bucket": "acme", "region": "eu-central-1", "credentials": "acme-keys"}
POSTGRES: dict[str, Any] = {"kind": "postgres", "replicas": 3, "backup": BACKUP}
APP: dict[str, Any] = {"kind": "app", "image": "registry.example/api:1.0.0"}
GATEWAY: dict[str, Any] = {"kind": "nginx", "hosts": ["a.example.com"]}
LABEL = "1 to 40 of a-z, 0-9 and '-', starting with a letter, with no '-' at the end"


def mistakes(services: dict[Any, Any], name: str = "dev") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(name, ENVIRONMENT, services)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("Cache", ", for example cache"),
        ("my_db", ", for example my-db"),
        ("1st", ", for example st"),
        ("-a", ", for example a"),
        ("a-", ", for example a"),
        ("a.b", ", for example a-b"),
        ("käse", ", for example k-se"),
        ("a" * 41, ""),
        ("数", ""),
    ],
)
def test_a_name_that_is_no_dns_label(name: str, fix: str) -> None:
    assert mistakes({name: REDIS}) == [f"groundwork:services.{name}: {name} given; allowed: {LABEL}; rename it{fix}"]


@pytest.mark.parametrize("name", [1, 2.5, True, None])
def test_a_name_that_is_no_text(name: Any) -> None:
    (line,) = mistakes({name: REDIS, "cache": REDIS})
    assert line.startswith("groundwork:services.")
    assert line.endswith("; rename it")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_says_who_has_it(name: str) -> None:
    (line,) = mistakes({name: REDIS, "api": {**APP, "uses": [name]}})
    assert line == f"groundwork:services.{name}: {name} given; it is reserved: {RESERVED[name]}; rename it"


def test_the_name_of_a_service_must_fit_into_a_certificate_with_that_of_its_environment() -> None:
    parse("e" * 9, ENVIRONMENT, {"c" * 39: REDIS})
    (line,) = mistakes({"c" * 40: REDIS}, "e" * 9)
    assert line.endswith(f"a certificate has room for 39 characters beside {'e' * 9}; shorten it")


@pytest.mark.parametrize("name", ["Prod_1", "", "prod.eu", "x" * 41])
def test_a_stack_names_its_namespace(name: str) -> None:
    (line,) = mistakes({"cache": REDIS}, name)
    assert line.startswith("groundwork:environment: ")
    assert f"allowed: {LABEL}; name stack and file anew" in line


@pytest.mark.parametrize(
    ("services", "longer", "shorter", "taken"),
    [
        ({"cache": REDIS, "cache-peers": APP}, "cache-peers", "cache", "object cache-peers"),
        ({"db-rw": APP, "db": POSTGRES}, "db-rw", "db", "object db-rw"),
        ({"db": POSTGRES, "db-pooler": REDIS}, "db-pooler", "db", "object db-pooler"),
        (
            {"db": POSTGRES, "api": {**APP, "uses": ["db"]}, "db-role-api": APP},
            "db-role-api", "db", "object db-role-api",
        ),
        (
            {"db": POSTGRES, "db-x": POSTGRES, "x-a": {**APP, "uses": ["db"]}, "a": {**APP, "uses": ["db-x"]}},
            "db-x", "db", "database db-x-a",
        ),
    ],
)  # fmt: skip
def test_two_services_whose_parts_would_share_a_name(
    services: dict[str, Any], longer: str, shorter: str, taken: str
) -> None:
    text = f"{longer} given; it and {shorter} would both make the {taken}; rename one of the two"
    assert mistakes(services) == [f"groundwork:services.{longer}: {text}"]


def test_names_that_only_begin_alike_are_accepted() -> None:
    db: dict[str, Any] = {"kind": "postgres"}
    services = {"api": APP, "api-client": APP, "api-server": APP, "api-2": APP, "api2": APP, "db": db, "db-rw": APP}
    assert set(parse("dev", ENVIRONMENT, services).services) == set(services)


def occupied(environment: Environment) -> dict[str, str]:
    """Every name that the services say they occupy, and whose it is."""
    users = consumers(environment.services)
    return {
        taken: name
        for name, spec in environment.services.items()
        for taken in component_of(spec.kind).occupies(name, spec, users[name])
    }


def family(resource: Recorded) -> str | None:
    """The name a resource takes, as `occupies` writes it; None for what belongs to no service."""
    if manifest := resource.manifest:
        is_service = "app.kubernetes.io/instance" in manifest["metadata"]["labels"]
        kind = "database" if manifest["kind"] == "Database" else "object"
        return f"{kind}/{manifest['metadata']['name']}" if is_service else None
    # Users of the servers themselves hold a `_`, which no service's name does.
    if resource.name.startswith("pki-") or "_" in resource.name:
        return None
    if resource.type.startswith("tls:"):
        return f"certificate/{resource.name.rpartition('-')[0]}"
    return f"password/{resource.name}" if resource.type.startswith("random:") else None


def assert_unique_and_occupied(environment: Environment) -> None:
    _, recorded = record(environment)
    logical = [f"{resource.type} {resource.name}" for resource in recorded]
    objects = [f"{m['apiVersion']} {m['kind']} {m['metadata']['name']}" for r in recorded if (m := r.manifest)]
    for found in (logical, objects):
        assert len(found) == len(set(found)), sorted(x for x in found if found.count(x) > 1)
    assert {name for r in recorded if (name := family(r))} <= set(occupied(environment))


@pytest.mark.parametrize("name", environments.committed())
def test_the_committed_environments_occupy_what_they_make(name: str) -> None:
    assert_unique_and_occupied(environments.load(name))


@st.composite
def awkward(draw: st.DrawFn) -> dict[str, Any]:
    """Services whose names are made of the words that parts are named with."""
    words = ["a", "db", "peers", "client", "server", "password", "pooler", "role", "database", "tls", "rw", "backup"]
    some = st.lists(st.sampled_from(words), min_size=1, max_size=2).map("-".join)
    names = draw(st.lists(some, min_size=2, max_size=4, unique=True))
    base = draw(st.sampled_from(["a", "db"]))
    names += [f"{base}-{name}" for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True))]
    services: dict[str, Any] = {}
    for name in dict.fromkeys([base, *names]):
        kind = draw(st.sampled_from([REDIS, POSTGRES, APP]))
        uses = draw(st.lists(st.sampled_from(sorted(services)), max_size=2, unique=True)) if services else []
        services[name] = {**kind, "uses": uses}
    return services


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(awkward())
def test_what_is_accepted_has_no_two_parts_of_one_name(services: dict[str, Any]) -> None:
    try:
        environment = parse("dev", ENVIRONMENT, services)
    except ConfigError:
        reject()
    assert_unique_and_occupied(environment)


def test_every_object_of_a_service_is_refused_as_the_name_of_another() -> None:
    services = {
        "cache": {**REDIS, "replicas": 3},
        "db": POSTGRES,
        "api": {**APP, "uses": ["db", "cache"]},
        "web": {**GATEWAY, "routes": [{"path": "/", "to": "api"}]},
    }
    _, recorded = record(parse("dev", ENVIRONMENT, services))
    names = {f.removeprefix("object/") for r in recorded if (f := family(r)) and f.startswith("object/")} - set(
        services
    )
    assert names >= {"cache-peers", "db-pooler", "db-tls", "db-pooler-tls", "db-role-api", "db-backup", "api-peers"}
    for name in sorted(names):
        (line,) = mistakes({**services, name: APP})
        assert f"would both make the object {name}; rename one of the two" in line
