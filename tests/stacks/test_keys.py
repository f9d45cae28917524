"""Key pairs for services outside: what is wrong with them is said without showing them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pulumi
import pytest

from components.core.problems import ConfigError
from stacks.config import keys, parse
from stacks.keys import KEYS, Keys

ENVIRONMENT = {
    "profile": "dev", "cluster": "embedded", "owner": "team-platform",
    "placement": {"region": "eu-central-1", "zones": 1},
}  # fmt: skip
SERVICES = {
    "media": {"kind": "objects", "existing": {"bucket": "acme", "region": "eu-central-1", "credentials": "media"}}
}
PAIR = {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalr/XUtn+FEMI"}
RUN = (
    "run pulumi config set --secret --path 'groundwork:keys.media.access_key_id' and pulumi config set --secret --path "
    "'groundwork:keys.media.secret_access_key'"
)
ODD = "(not shown) can't be one; a key is printable, without spaces and quotes; "
NAMED = "groundwork:services.media.existing.credentials: media given; no key pair has that name; "
PARTS = "groundwork:keys.media: a key pair is access_key_id and secret_access_key, and nothing else; "
WRONG: tuple[tuple[Any, str], ...] = (
    (None, NAMED + RUN),
    ({}, NAMED + RUN),
    ({"medai": PAIR}, f"{NAMED}did you mean medai? Allowed: medai"),
    ({"media": "AKIDEXAMPLE"}, PARTS + RUN),
    ({"media": {"access_key_id": "AKIDEXAMPLE"}}, PARTS + RUN),
    ({"media": {**PAIR, "token": "x"}}, PARTS + RUN),
    (
        {"media": {**PAIR, "access_key_id": "AKID:EXAMPLE"}},
        f"groundwork:keys.media: access_key_id {ODD}{RUN}",
    ),
    (
        {"media": {**PAIR, "secret_access_key": 'wJalr"\n'}},
        f"groundwork:keys.media: secret_access_key {ODD}{RUN}",
    ),
)


def problems(given: Keys) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse("dev", ENVIRONMENT, SERVICES, given)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(("given", "text"), WRONG)
def test_a_wrong_or_missing_pair_says_how_to_give_one(given: Any, text: str) -> None:
    assert problems(Keys(given, secret=True)) == [text]


def test_what_is_no_mapping_is_not_shown() -> None:
    (text,) = problems(Keys("wJalr", secret=True))
    assert text.startswith("groundwork:keys: needs a mapping of names to key pairs; ")
    assert "wJalr" not in text


def test_keys_in_plain_text_are_refused() -> None:
    text = "groundwork:keys: given in plain text, where many can read it; make new keys, remove these, and "
    assert problems(Keys({"media": PAIR})) == [text + RUN]


def test_a_pair_that_is_there_is_taken_and_nobody_looks_where_none_can_be_read() -> None:
    assert set(parse("dev", ENVIRONMENT, SERVICES, Keys({"media": PAIR}, secret=True)).services) == {"media"}
    assert set(parse("dev", ENVIRONMENT, SERVICES).services) == {"media"}
    assert "wJalr" not in repr(Keys({"media": PAIR}, secret=True))
    assert set(Keys({"media": PAIR}, secret=True).pairs["media"]) == set(PAIR)
    assert Keys().pairs == {}


@pytest.fixture
def configured() -> Iterator[Callable[..., None]]:
    yield lambda value, *secret: pulumi.runtime.set_all_config({KEYS: value}, list(secret))
    pulumi.runtime.set_all_config({}, [])


def test_they_are_read_as_the_stack_keeps_them(configured: Callable[..., None]) -> None:
    configured(json.dumps({"media": PAIR}), KEYS)
    assert keys() == Keys({"media": PAIR}, secret=True)
    configured(json.dumps({"media": PAIR}))
    assert not keys().secret
    configured("wJalr", KEYS)
    assert "wJalr" not in str(problems(keys()))
