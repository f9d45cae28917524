"""The catalogue's releases and the compatibility matrix: that they agree, and what the matrix says of a version."""

from __future__ import annotations

from datetime import date

import pytest

from components import KINDS, component_of
from components.core.catalogue import CATALOGUE, image_version, release_of, releases
from components.core.compatibility import (
    CrossRule,
    Part,
    Range,
    broken_rules,
    is_after,
    is_before,
    load_matrix,
    tagged_version,
)
from components.core.spec import ServerSpec
from policies.readers import matrix as gate
from toolchain.operators import CLOUDNATIVE_PG
from toolchain.pins import KUBERNETES

MATRIX = load_matrix()
VERSIONS = ["6.2", "8.10.1", "8.9", "18", "18.6", "1.36.3", "1.9", "0.19.0", "26.8.20.9", ""]
BOUNDS = ["6.2", "8.10", "18", "1.36", "1.27.3", "0.19", "26.8", ""]
IMAGES = {
    "docker.io/library/postgres:18.6-trixie": ("postgres", "18.6"),
    "postgres:14": ("postgres", "14"),
    "mirror.example:5000/docker.io/library/redis:8.10.1-alpine": ("redis", "8.10.1"),
    "docker.io/fholzer/nginx-brotli:v1.31.3": ("nginx", "1.31.3"),
    "ghcr.io/cloudnative-pg/postgresql:17.11-202608310816-system-trixie": ("postgres", "17.11"),
    "docker.io/library/redis:8.10.1@sha256:" + "0" * 64: ("redis", "8.10.1"),
    "docker.io/library/redis@sha256:" + "0" * 64: ("redis", ""),
    "docker.io/library/redis:latest": ("redis", ""),
    "docker.io/library/redis:8.10rc1": ("redis", ""),
    "mirror.example:5000/library/redis": ("redis", ""),
    "registry.example/not-library/redis:8": ("", "8"),
    "registry.example/api:1.4.2": ("", "1.4.2"),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_release_is_of_a_system_that_supports_it(name: str) -> None:
    for release in releases(name):
        system = MATRIX.systems[MATRIX.system_of(release.reference)]
        assert system.unsupported(release.version) == ""
        assert tagged_version(release.reference) == release.version


@pytest.mark.parametrize("system", sorted({MATRIX.system_of(one.reference) for one in CATALOGUE.values()}))
def test_what_the_matrix_recommends_is_what_runs(system: str) -> None:
    rows = [release for release in CATALOGUE.values() if MATRIX.system_of(release.reference) == system]
    row = MATRIX.systems[system]
    assert row.recommended in {row.series(release.version) for release in rows}


def test_the_rows_of_one_server_offer_the_same_versions() -> None:
    single, replicated = releases("postgres"), releases("postgres-cnpg")
    assert [release.version for release in single] == [release.version for release in replicated]


def test_the_toolchain_runs_what_is_recommended() -> None:
    assert MATRIX.systems["kubernetes"].series(KUBERNETES) == MATRIX.systems["kubernetes"].recommended
    assert f"v{release_of('cloudnative-pg').version}" == CLOUDNATIVE_PG[1]


@pytest.mark.parametrize("name", MATRIX.systems)
def test_the_recommended_version_is_supported_and_gets_fixes(name: str) -> None:
    row = MATRIX.systems[name]
    assert row.unsupported(row.recommended) == ""
    end = row.end(row.recommended)
    assert end is None or end >= MATRIX.snapshot
    assert row.source.startswith("https://")


def test_rules_are_about_systems_of_the_matrix() -> None:
    for rule in MATRIX.rules:
        assert {rule.system, rule.other} <= set(MATRIX.systems)


def test_a_rule_has_one_relation() -> None:
    for relations in ({}, {"uses": "kafka", "beside": "kafka"}):
        with pytest.raises(ValueError, match="about what a system uses, or about what is beside it"):
            CrossRule(system="tempo", needs=Range(since="3.1"), why="x", source="x", **relations)


def test_a_service_may_choose_where_its_server_has_a_row() -> None:
    for kind in KINDS:
        if issubclass(component_of(kind).spec_type, ServerSpec):
            assert kind in MATRIX.systems
            assert len(releases(kind)) > 1


@pytest.mark.parametrize(
    ("chosen", "version", "reference"),
    [
        (None, "18.6", "docker.io/library/postgres:18.6-trixie"),
        ("18", "18.6", "docker.io/library/postgres:18.6-trixie"),
        ("17", "17.11", "docker.io/library/postgres:17.11-trixie"),
        ("17.11", "17.11", "docker.io/library/postgres:17.11-trixie"),
    ],
)
def test_a_choice_is_a_version_or_its_beginning(chosen: str | None, version: str, reference: str) -> None:
    release = release_of("postgres", chosen)
    assert (release.version, release.reference) == (version, reference)


@pytest.mark.parametrize("chosen", ["1", "17.1", "16", "18.6.1"])
def test_half_a_number_is_no_beginning(chosen: str) -> None:
    with pytest.raises(KeyError):
        release_of("postgres", chosen)


@pytest.mark.parametrize(("image", "expected"), IMAGES.items())
def test_an_image_tells_its_system_and_version(image: str, expected: tuple[str, str]) -> None:
    assert (MATRIX.system_of(image), tagged_version(image)) == expected
    assert (gate.system_of(image), gate.version_of(image)) == expected


@pytest.mark.parametrize(
    ("version", "bound", "before", "after"),
    [
        ("1.36.3", "1.36", False, False),
        ("1.35.9", "1.36", True, False),
        ("1.37.0", "1.36", False, True),
        ("1.9", "1.10", True, False),
        ("8.10", "8.9", False, True),
        ("18", "18.6", False, False),
        ("1.27.2", "1.27.3", True, False),
    ],
)
def test_a_bound_counts_with_all_that_is_below_it(version: str, bound: str, before: bool, after: bool) -> None:
    assert (is_before(version, bound), is_after(version, bound)) == (before, after)


@pytest.mark.parametrize("version", VERSIONS)
def test_program_and_gate_compare_alike(version: str) -> None:
    for bound in BOUNDS:
        assert gate.is_before(version, bound) == is_before(version, bound)
        assert gate.is_after(version, bound) == is_after(version, bound)
        for other in BOUNDS:
            span = {"since": bound, "to": other}
            assert gate.is_within(version, span) == Range(**span).holds(version)


@pytest.mark.parametrize(
    ("span", "words"),
    [
        ({"since": "1.34", "to": "1.36"}, "1.34 to 1.36"),
        ({"since": "3.1"}, "3.1 or later"),
        ({"to": "4.3"}, "4.3 or earlier"),
    ],
)
def test_a_range_in_words(span: dict[str, str], words: str) -> None:
    assert str(Range(**span)) == words
    assert gate.shown_span(span) == words


def test_a_range_of_one_series_is_that_series() -> None:
    assert (str(Range(since="1.30", to="1.30")), str(Range())) == ("1.30", "any")


def test_an_end_of_life_is_known_by_series_or_not_at_all() -> None:
    postgres, redis = MATRIX.systems["postgres"], MATRIX.systems["redis"]
    assert postgres.end("14.20") == date(2026, 11, 12)
    assert postgres.end("18.6") == date(2030, 11, 14)
    assert (redis.end("8.10.1"), redis.end("8.1")) == (None, None)


def test_a_rule_counts_for_the_versions_it_names_and_for_edges_where_it_says_so() -> None:
    old, new = Part("t", "tempo", "3.0.3", ("k",)), Part("t", "tempo", "3.1.0", ("k",))
    apart, kafka = Part("t", "tempo", "3.0.3"), Part("k", "kafka", "4.3.1")
    assert [(part, met) for part, _, met in broken_rules(MATRIX, [old, kafka])] == [(old, kafka)]
    assert not list(broken_rules(MATRIX, [new, kafka]))
    assert not list(broken_rules(MATRIX, [apart, kafka]))
    own, operator = Part("", "kubernetes", "1.33.4"), Part("p", "cloudnative-pg", "1.30.0")
    assert [part for part, _, _ in broken_rules(MATRIX, [own, operator])] == [own]
    assert not list(broken_rules(MATRIX, [own, Part("p", "cloudnative-pg", "1.31.0")]))


def test_a_label_tells_versions_of_an_image_apart() -> None:
    assert image_version("registry.example/api:1.4.2") == "1.4.2"
