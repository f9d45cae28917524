"""Whatever a person writes: it loads, or the answer is a list of plain sentences. Nothing else comes out of loading.

The values are random but the same in each run.
"""

from __future__ import annotations

import copy
import string
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components import KINDS, component_of
from components.core.problems import ConfigError
from stacks.config import parse
from stacks.environment import Environment, EnvironmentSpec
from tests.support import environments
from tests.support.recording import record

JARGON = ("Traceback", "nput should", "pydantic", "validation error", "tuple", "NoneType", "object at 0x", "<class")
BASE = {
    name: {part: environments.settings(name)[f"groundwork:{part}"] for part in ("environment", "services")}
    for name in environments.committed()
}
FIELDS = sorted({*EnvironmentSpec.model_fields} | {f for k in KINDS for f in component_of(k).spec_type.model_fields})
WORDS = [
    *FIELDS, *KINDS, "", " ", "null", "3", "-1", "1e3", "10GB", "10Gi", "30 minutes", "30m", "Frankfurt", "eu-west-1",
    "dev", "prod", "embedded", "default", "tls", "demo", "a.b.c", "\ud800", "\x00", "a\nb", "\u202e", "ünïcode",
    "x" * 5000,
]  # fmt: skip
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2, 3, 10**30, 10**400]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(WORDS),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=5),
)
KEYS = st.one_of(st.sampled_from(WORDS), st.text(max_size=10), st.integers(), st.none(), st.booleans(), st.dates())
WILD = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=4),
    max_leaves=8,
)
SERVICE = st.dictionaries(st.sampled_from(FIELDS), WILD, max_size=5)


def answer(name: Any, environment: Any, services: Any) -> Environment | list[str]:
    """The environment, or the sentences about it, which are checked."""
    try:
        return parse(name, environment, services)
    except ConfigError as error:
        lines = str(error).split("\n")
    assert_readable(lines)
    return lines


def assert_readable(lines: list[str]) -> None:
    assert len(lines) == len(set(lines)), "a problem is repeated"
    for line in lines:
        assert line.startswith(("groundwork:environment", "groundwork:services")), line
        assert ": " in line.removeprefix("groundwork:"), line
        assert len(line) < 600, line
        assert line.isprintable(), line
        assert not [word for word in JARGON if word in line], line


@given(WILD, WILD, WILD)
def test_values_of_any_shape(name: Any, environment: Any, services: Any) -> None:
    answer(name, environment, services)
    answer("dev", BASE["dev"]["environment"], services)
    answer("dev", environment, BASE["dev"]["services"])


@given(
    st.sampled_from(sorted(KINDS)),
    SERVICE,
    st.dictionaries(st.sampled_from(sorted(EnvironmentSpec.model_fields)), WILD),
)
def test_known_fields_with_values_of_any_shape(kind: str, service: dict[str, Any], environment: dict[str, Any]) -> None:
    base = BASE["dev"]["services"].get(kind) or {}
    answer("dev", BASE["dev"]["environment"], {"a": {**base, "kind": kind, **service}})
    answer("dev", {**BASE["dev"]["environment"], **environment}, BASE["dev"]["services"])


@st.composite
def slips(draw: st.DrawFn, most: int = 3) -> tuple[str, dict[str, Any]]:
    """A committed environment in which a few random places are not as they were."""
    name = draw(st.sampled_from(sorted(BASE)))
    config = copy.deepcopy(BASE[name])
    for _ in range(draw(st.integers(1, most))):
        holder, key = draw(st.sampled_from(places(config)))
        slip = draw(st.sampled_from(["delete", "replace", "rename", "text", "wrap", "empty", "swap"]))
        change(holder, key, slip, draw)
    return name, config


def places(node: Any) -> list[tuple[Any, Any]]:
    """Every place in nested data, as its container and key; the two parts of the configuration stay."""
    found: list[tuple[Any, Any]] = []
    keys = list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        if key not in ("environment", "services"):
            found.append((node, key))
        found += places(node[key])
    return found


def change(holder: Any, key: Any, slip: str, draw: st.DrawFn) -> None:
    value = holder[key]
    if slip == "delete":
        del holder[key]
    elif slip == "rename" and isinstance(holder, dict):
        letter = draw(st.integers(0, len(str(key))))
        typo = str(key)[:letter] + draw(st.sampled_from(string.ascii_letters + "_- .")) + str(key)[letter + 1 :]
        holder[typo] = holder.pop(key)
    elif slip == "swap":
        other, place = draw(st.sampled_from(places(BASE)))
        holder[key] = copy.deepcopy(other[place])
    else:
        holder[key] = {"text": str(value), "wrap": [value], "empty": None}.get(slip, draw(WILD))


@settings(max_examples=250)
@given(slips())
def test_slips_in_a_committed_environment(slipped: tuple[str, dict[str, Any]]) -> None:
    name, config = slipped
    answer(name, config["environment"], config["services"])


@settings(max_examples=20)
@given(slips(most=1))
def test_what_loads_can_be_composed_or_is_refused_in_plain_words(slipped: tuple[str, dict[str, Any]]) -> None:
    name, config = slipped
    loaded = answer(name, config["environment"], config["services"])
    if isinstance(loaded, Environment):
        try:
            record(loaded)
        except ConfigError as error:
            assert_readable([str(problem) for problem in error.problems])


SECRETS = st.one_of(
    st.just("-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY\n"),
    st.just("postgres://admin:correct-horse@db.example.com/x"),
    st.just("AKIAABCDEFGHIJKLMNOP"),
    st.from_regex(r"ghp_[A-Za-z0-9]{36}", fullmatch=True),
    st.from_regex(r"a1B[A-Za-z0-9+/]{37}", fullmatch=True),
    st.from_regex(r"a1[0-9a-f]{62}", fullmatch=True),
)


@given(st.sampled_from(sorted(BASE)), SECRETS, st.data())
def test_a_secret_in_the_wrong_place_is_not_repeated(name: str, secret: str, data: st.DataObject) -> None:
    config = copy.deepcopy(BASE[name])
    holder, key = data.draw(st.sampled_from(places(config)))
    holder[key] = data.draw(st.sampled_from([secret, [secret], {"password": secret}, {secret: 1}]))
    found = answer(name, config["environment"], config["services"])
    if isinstance(found, list):
        assert not [line for line in found if secret[:12] in line]


def nested(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = {"resources": [inner]}
    return inner


def endless() -> dict[str, Any]:
    """What `&a {resources: *a, uses: [*a]}` yields."""
    value: dict[str, Any] = {"kind": "app", "image": "registry.example/api:1.0.0"}
    value |= {"resources": value, "env": value, "uses": [value]}
    return value


@pytest.mark.parametrize("value", [nested(400, "x"), nested(400, {}), endless(), [endless()]], ids=["a", "b", "c", "d"])
@pytest.mark.parametrize("place", ["environment", "cluster", "services", "service", "field", "profile"])
def test_deep_and_endless_values(value: Any, place: str) -> None:
    config = copy.deepcopy(BASE["prod"])
    if place in config:
        config[place] = value
    elif place in ("cluster", "profile"):
        config["environment"][place] = value
    else:
        config["services"]["cache"] = value if place == "service" else {"kind": "redis", "role": "cache", "adr": value}
    assert isinstance(answer("prod", config["environment"], config["services"]), list)


@pytest.mark.parametrize("field", ["replicas", "port", "uid", "purpose", "image", "resources", "review_date", "env"])
def test_a_number_too_long_to_print(field: str) -> None:
    service = {"kind": "app", "image": "registry.example/api:1.0.0", field: 10**5000}
    assert isinstance(answer("dev", BASE["dev"]["environment"], {"api": service}), list)


def test_an_anchor_shared_by_services_is_no_mistake() -> None:
    shared = {"kind": "redis", "role": "cache", "resources": {"memory": "256Mi"}}
    loaded = answer("dev", BASE["dev"]["environment"], {"a": shared, "b": shared})
    assert isinstance(loaded, Environment)
    assert loaded.services["a"] == loaded.services["b"]


@pytest.mark.parametrize("written", [date(2026, 12, 31), "2026-12-31", "2026-12-31T00:00:00Z", datetime(2026, 12, 31)])
def test_a_day_is_understood_as_yaml_and_as_json_give_it(written: Any) -> None:
    services = {"cache": {"kind": "redis", "role": "cache", "review_date": written}}
    loaded = answer("dev", BASE["dev"]["environment"], services)
    assert isinstance(loaded, Environment)
    assert loaded.services["cache"].review_date == date(2026, 12, 31)


def test_a_mistake_of_the_environment_is_said_once() -> None:
    """Owner and profile reach every service; what is wrong with them is not the services' mistake."""
    environment = {**BASE["prod"]["environment"], "owner": "Team A", "profile": "production"}
    found = answer("prod", environment, BASE["prod"]["services"])
    assert isinstance(found, list)
    assert [line.split(": ")[0] for line in found] == ["groundwork:environment.owner", "groundwork:environment.profile"]


def test_an_unknown_profile_does_not_hide_mistakes_of_services() -> None:
    services = {"cache": {"kind": "redis", "role": "cahce"}}
    found = answer("prod", {**BASE["prod"]["environment"], "profile": "production"}, services)
    assert isinstance(found, list)
    assert [line.split(": ")[0] for line in found] == [
        "groundwork:environment.profile",
        "groundwork:services.cache.role",
    ]


S, E = "services", "environment"
REALISTIC = [
    (f"{S}.postgres.uses", "cache", ": cache given; a list is needed, such as [cache]"),
    (f"{S}.postgres.replicas", "three", ": three given; a whole number is needed"),
    (f"{S}.postgres.replicas", True, ": true given; a whole number is needed"),
    (f"{S}.postgres.storage", 10, ": 10 given; allowed: a size such as 10Gi or 1Ti"),
    (f"{S}.postgres.purpose", 42, ': 42 given; text is needed; put it in quotes: "42"'),
    (f"{S}.cache.ttl", "30 minutes", ": 30 minutes given; allowed: a time such as 30s"),
    (f"{S}.cache.memory", "1Gi", ": unknown key; move it under `resources:`."),
    (f"{S}.cache.resources", "1Gi", ": 1Gi given; a mapping is needed, such as {cpu: ...}"),
    (f"{S}.gateway.routes", {"/": "demo"}, ": a mapping given; a list is needed, such as [{path: ..., to: ...}]"),
    (f"{S}.jobs", {"role": "queue"}, ".kind: missing; jobs is not the name of a kind itself; add `kind:` with one of"),
    (f"{S}.placement", {"region": "x"}, ".kind: missing; placement belongs under `groundwork:environment:`"),
    (f"{S}.demo.uses", ["gateway"], ": gateway given; it is of kind nginx, which no other service can use"),
    (f"{S}.demo.uses", [None], ".0: nothing given; text is needed; or remove the empty entry"),
    (f"{E}.placement.zones", 0, ": 0 given; at least 1 is needed"),
    (f"{E}.placement.region", "Frankfurt", ": Frankfurt given; allowed: a region name such as eu-central-1"),
    (f"{E}.profile", "production", ": production given; allowed: dev, local, prod; did you mean prod?"),
    (f"{E}.cluster", {"contxt": "x", "storage_class": "y"}, ".contxt: unknown key; did you mean `context`?"),
    (
        f"{E}.cluster",
        "embeded",
        ": embeded given; allowed: embedded, node, or your own: {context: NAME, storage_class: NAME}",
    ),
    (f"{E}.region", "eu-west-1", ": unknown key; move it under `placement:`."),
    (f"{E}.services", {}, ": services stand beside the environment; move them to `groundwork:services:`"),
]


@pytest.mark.parametrize(("path", "value", "expected"), REALISTIC)
def test_the_answer_says_what_to_type(path: str, value: Any, expected: str) -> None:
    config = copy.deepcopy(BASE["dev"])
    *parents, last = path.split(".")
    holder: Any = config
    for parent in parents:
        holder[parent] = holder[parent] or {}
        holder = holder[parent]
    holder[last] = value
    found = answer("dev", config["environment"], config["services"])
    assert isinstance(found, list)
    (line,) = found
    assert line.startswith(f"groundwork:{path}{expected}")
