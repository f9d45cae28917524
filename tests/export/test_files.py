"""How an export gets on disk, that every reader of YAML understands it alike, and what is refused before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from components.core.problems import ConfigError
from stacks.export.deployed import read
from stacks.export.files import File, write, yaml_text

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")) | st.sampled_from("\n\t"))
WORDS = st.sampled_from(
    ["on", "No", "y", "NULL", "~", "0440", "0o17", "1e3", "12e45", "1_000", "1:30", "2026-01-02", "="]
)
VALUES = st.recursive(
    TEXT | WORDS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | TEXT, inner, max_size=4),
)
CONTAINER = {"urn": "urn:x::y", "type": "docker:index/container:Container", "id": "1", "inputs": {"name": "x"}}
SERVICE = {"urn": "urn:x::z", "type": "kubernetes:core/v1:Service", "id": "2", "inputs": {"kind": "Service"}}


@given(VALUES)
def test_yaml_means_the_same_to_readers_of_both_versions(value: Any) -> None:
    text = yaml_text({"value": value})
    assert yaml.safe_load(text) == {"value": value}
    assert YAML(typ="safe", pure=True).load(text) == {"value": value}


@pytest.mark.parametrize("word", ["1e3", "0O17", "0X1F", "0B1"])
def test_numbers_of_other_readers_are_quoted(word: str) -> None:
    """Go's reader, which kubectl and Compose have, takes more for numbers than either version says."""
    assert yaml_text([word]) == f"  - '{word}'\n"


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write(tmp_path / "new" / "out", {"a/b.yaml": File("1"), "s/c.yaml": File("2", secret=True), "s/d": File("3")})
    finally:
        os.umask(before)
    out = tmp_path / "new" / "out"
    modes = {str(path.relative_to(out)): path.stat().st_mode & 0o777 for path in out.rglob("*")}
    assert modes == {"a": 0o755, "a/b.yaml": 0o644, "s": 0o700, "s/c.yaml": 0o600, "s/d": 0o644}
    assert (out / "s" / "c.yaml").read_text() == "2"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(ConfigError, match=r"--out: .* given; it is not empty; remove it, or name another folder"):
        write(tmp_path, {"mine": File("lost")})
    with pytest.raises(ConfigError, match="not empty"):
        write(tmp_path / "mine", {"a": File("lost")})
    assert (tmp_path / "mine").read_text() == "kept"


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--out: .*File exists"):
        write(tmp_path / "file" / "out", {"a": File("")})


class Recorder:
    """Stands for `pulumi` with a stack in this state."""

    stack = "demo"

    def __init__(self, *resources: dict[str, Any], **more: Any) -> None:
        self._deployment = {"resources": list(resources), **more}

    def exists(self) -> bool:
        return bool(self._deployment["resources"])

    def read(self, *args: str) -> dict[str, Any]:
        assert args == ("stack", "export", "--show-secrets")
        return {"deployment": self._deployment}


@pytest.mark.parametrize(
    ("pulumi", "target", "said"),
    [
        (Recorder(), "docker", "nothing of it is deployed; bring it up first: make up ENV=demo"),
        (Recorder({"urn": "", "type": "pulumi:pulumi:Stack"}), "docker", "bring it up first: make up ENV=demo"),
        (
            Recorder(SERVICE),
            "docker",
            "it is deployed on Kubernetes; what fits is: make export ENV=demo FORMAT=manifests",
        ),
        (
            Recorder(CONTAINER),
            "kubernetes",
            "it is deployed on Docker; what fits is: make export ENV=demo FORMAT=compose",
        ),
        (Recorder(CONTAINER, pending_operations=[{}]), "docker", "interrupted; finish it first: make up ENV=demo"),
    ],
)
def test_what_cannot_be_exported_says_what_to_do(pulumi: Any, target: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"environment: demo given; .*{said}"):
        read(pulumi, target)


def test_what_a_replacement_has_yet_to_delete_is_left_out() -> None:
    pulumi: Any = Recorder(CONTAINER, {**CONTAINER, "id": "old", "delete": True})
    assert [resource.id for resource in read(pulumi, "docker")] == ["1"]
