"""No message holds a secret, whatever field it stands in and whichever rule looks at it."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.kit.node import TRUE
from policies.kit.secrets import assigned_names, is_reference, kinds_of, looks_random, redact, shown
from tests.policies.judge import TARGETS, Resources, baseline, judge

RANDOM = "Vn3Qf8sKz2LxWm7RbTc9YpDh"
CANARIES = {
    "a random value": RANDOM,
    "a private key": f"-----BEGIN PRIVATE KEY-----\n{RANDOM}\n-----END PRIVATE KEY-----",
    "an address with a password": "https://user:hunter2@host.example",
    "a token": "ghp_a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8",
    "an assignment": "password=hunter2",
}
BODIES = {
    "a private key": RANDOM,
    "an address with a password": "hunter2",
    "an assignment": "hunter2",
}
FREE_TEXT = (
    "data", "stringData", "env", "args", "command", "annotations", "envs", "entrypoints", "tests", "content",
)  # fmt: skip
EVERYTHING = [(target, name) for target in TARGETS for name in baseline(target=target)]


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _leaves(below, (*path, index))
    else:
        yield path


def _planted(target: str, name: str, paths: Iterable[tuple[str | int, ...]], text: str) -> Resources:
    resources = baseline(target=target)
    for path in paths:
        owner: Any = resources[name]["props"]
        for key in path[:-1]:
            owner = owner[key]
        owner[path[-1]] = text
    return resources


@pytest.mark.parametrize("canary", CANARIES, ids=str)
@pytest.mark.parametrize(("target", "name"), EVERYTHING)
def test_no_message_holds_a_secret(target: str, name: str, canary: str) -> None:
    secret = BODIES.get(canary, CANARIES[canary])
    paths = list(_leaves(baseline(target=target)[name]["props"]))
    assert secret not in str(judge(_planted(target, name, paths, CANARIES[canary]), only=[name]))


@pytest.mark.parametrize(("target", "name"), EVERYTHING)
def test_no_message_holds_a_secret_of_a_single_field(target: str, name: str) -> None:
    for path in _leaves(baseline(target=target)[name]["props"]):
        found = judge(_planted(target, name, [path], CANARIES["an assignment"]), only=[name])
        assert "hunter2" not in str(found), path


@pytest.mark.parametrize(("target", "name"), EVERYTHING)
def test_free_text_is_never_quoted(target: str, name: str) -> None:
    """A short password looks like any word, so the fields where one may stand are not quoted at all."""
    for path in _leaves(baseline(target=target)[name]["props"]):
        if any(part in FREE_TEXT for part in path):
            found = judge(_planted(target, name, [path], "port 1\nlisten 2;\nxhunter2x"), only=[name])
            assert "xhunter2x" not in str(found), path


@given(st.text(alphabet="ABCDEFGHabcdefgh0123456789", min_size=32, max_size=64))
def test_random_text_never_passes(text: str) -> None:
    if looks_random(text):
        assert text not in shown(text)
        assert text not in redact(f"field `{text}` is wrong")


@given(st.text())
def test_redaction_never_fails_and_is_final(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "line",
    [
        "requirepass hunter2",
        "masterauth hunter2",
        "sentinel auth-pass main hunter2",
        "user app on ~* >hunter2 +@all",
        "CREATE ROLE app PASSWORD 'hunter2'",
        "db_password = hunter2",
        "api-key: 'hunter2'",
        '"client_secret": "hunter2"',
        "export TOKEN=hunter2",
    ],
)
def test_a_literal_secret_is_recognised(line: str) -> None:
    assert list(assigned_names(line))


@pytest.mark.parametrize(
    "line",
    [
        "password_encryption = scram-sha-256",
        "proxy_pass https://api:8443;",
        "server_tokens off;",
        "ssl_session_tickets off;",
        "PASSWORD=$(cat /secrets/password)",
        "password_file = /secrets/password",
        "CREATE ROLE app PASSWORD :'app_password'",
        "tls-key-file /tls/tls.key",
        "token: ${TOKEN}",
        "# the password is read from a file",
        "limit_req zone=per_token burst=20;",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    ],
)
def test_a_reference_is_no_secret(line: str) -> None:
    assert not list(assigned_names(line))
    assert not list(kinds_of(line))


def test_what_a_message_may_show() -> None:
    assert shown("eu-central-1") == "`eu-central-1`"
    assert shown(None) == "not set"
    assert shown(TRUE) == "true"
    assert shown(3.0) == "3"
    assert shown("x" * 81) == "[a text of 81 characters]"
    assert shown({"a": 1}) == "a dict"
    assert is_reference("/run/secrets/x")
    assert not is_reference("hunter2")
