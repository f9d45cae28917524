"""Layers of Java archives: fetched by whichever Maven there is, compared with the committed sums, made once."""

from __future__ import annotations

import hashlib
import re
import tarfile
from pathlib import Path

import pytest

from components.core.catalogue import CATALOGUE
from toolchain import debian, image_archive, image_recipes, maven, paths
from toolchain.debian import Programs
from toolchain.errors import ToolchainError
from toolchain.image_layers import Layer
from toolchain.recipe import Jars

JARS = Jars("/opt/sample/libs", "sample", "1.2.3")
CONTENT = {"b-1.jar": b"second", "a-2.jar": b"first"}
# Copies what it is told to have, and notes how it was called; fails where there is a file that says why.
MVN = """#!/bin/sh
echo "$@" >> "$HOME/calls"
if [ -e "$HOME/fails" ]; then cat "$HOME/fails"; exit 1; fi
for word; do
  case $word in -DoutputDirectory=*) to=${word#*=} ;; -Dmaven.repo.local=*) repository=${word#*=} ;; esac
done
mkdir -p "$to" "$repository" && cp "$HOME"/jars/* "$to" && touch "$repository/index"
"""


def quiet(_: str) -> None:
    """A log that nobody reads."""


@pytest.fixture
def machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose `mvn` has the sample's archives, and a checkout that pins them."""
    module = home / "checkout/toolchain/maven/sample"
    module.mkdir(parents=True)
    (module / maven.POM).write_text("<project/>")
    lines = (f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(CONTENT.items()))
    (module / maven.SUMS).write_text("".join(lines))
    (home / "jars").mkdir()
    for name, data in CONTENT.items():
        (home / "jars" / name).write_bytes(data)
    provide(home, "mvn")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(paths, "checkout", lambda: home / "checkout")
    return home


def provide(home: Path, name: str) -> None:
    (home / "bin" / name).write_text(MVN)
    (home / "bin" / name).chmod(0o755)


def only(home: Path, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """No other program is on PATH than these stand-ins and what they call."""
    for name in ("cat", "cp", "mkdir", "touch"):
        (home / "bin" / name).symlink_to(f"/bin/{name}")
    (home / "bin/mvn").unlink()
    for name in names:
        provide(home, name)
    monkeypatch.setenv("PATH", str(home / "bin"))


def test_the_archives_lie_at_their_place(machine: Path) -> None:
    layer = maven.jar_layer(JARS, quiet)
    with tarfile.open(layer.archive) as file:
        found = {member.name: file.extractfile(member).read() for member in file}  # type: ignore[union-attr]
        assert {(member.mode, member.uid) for member in file.getmembers()} == {(0o644, 0)}
    assert found == {f"opt/sample/libs/{name}": data for name, data in CONTENT.items()}
    assert layer.versions == {"sample": "1.2.3"}
    assert {path.name for path in layer.archive.parent.iterdir()} == {"layer.tar", "layer.json"}, "nothing is left over"


def test_a_layer_is_made_once_and_the_same_on_every_machine(machine: Path) -> None:
    first = maven.jar_layer(JARS, quiet)
    assert maven.jar_layer(JARS, quiet) == first
    assert len((machine / "calls").read_text().splitlines()) == 1
    paths.cache_folder().joinpath("images").rename(machine / "elsewhere")
    assert maven.jar_layer(JARS, quiet).digest == first.digest


def test_maven_uses_a_repository_of_its_own(machine: Path) -> None:
    maven.jar_layer(JARS, quiet)
    call = (machine / "calls").read_text()
    assert "--batch-mode" in call
    (repository,) = re.findall(r"-Dmaven\.repo\.local=(.*)$", call, re.MULTILINE)
    assert repository.startswith(str(machine / "cache"))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a-2.jar", b"other", f"a-2.jar: {hashlib.sha256(b'other').hexdigest()}, pinned "),
        ("c-3.jar", b"more", "pinned nowhere"),
        ("a-2.jar", None, "a-2.jar: missing, pinned "),
    ],
)
def test_another_archive_than_the_pinned_one_is_refused(
    machine: Path, name: str, data: bytes | None, said: str
) -> None:
    if data is None:
        (machine / "jars" / name).unlink()
    else:
        (machine / "jars" / name).write_bytes(data)
    with pytest.raises(ToolchainError, match="1 archives are not the pinned ones") as caught:
        maven.jar_layer(JARS, quiet)
    assert said in str(caught.value)
    assert not list((machine / "cache").rglob("layer.tar"))


def test_what_maven_says_is_told(machine: Path) -> None:
    (machine / "fails").write_text("[INFO] trying\n[ERROR] Could not resolve host\n")
    with pytest.raises(ToolchainError, match="Could not resolve host") as caught:
        maven.jar_layer(JARS, quiet)
    assert "trying" not in str(caught.value)
    assert "Make `mvn` reach a repository" in str(caught.value)


def test_debians_maven_is_run_where_there_is_none(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(machine, monkeypatch, "java")
    asked: list[object] = []

    def programs(packages: tuple[str, ...], log: object) -> Programs:
        asked.append(packages)
        return Programs(machine / "debian", {})

    monkeypatch.setattr(debian, "programs", programs)
    maven.jar_layer(JARS, quiet)
    assert asked == [("maven",)]
    call = (machine / "calls").read_text()
    assert call.startswith(f"-classpath {machine}/debian/usr/share/java/plexus-classworlds.jar ")
    assert f"-Dclassworlds.conf={machine}/debian/etc/maven/m2.conf " in call


def test_a_machine_without_java_is_told_what_to_install(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(machine, monkeypatch)
    with pytest.raises(ToolchainError, match="install the package maven"):
        maven.jar_layer(JARS, quiet)


PINNED = [recipe.jars for recipe in image_recipes.RECIPES if recipe.jars]


@pytest.mark.parametrize("jars", PINNED, ids=lambda jars: jars.module)
def test_a_committed_set_is_pinned_to_the_last_archive(jars: Jars) -> None:
    module = maven.folder_of(jars)
    pom = (module / maven.POM).read_text(encoding="utf-8")
    versions = re.findall(r"<version>(.*)</version>", pom)
    assert versions[:2] == [jars.version, jars.version]
    assert all(re.fullmatch(r"[0-9.]+", version) for version in versions), "a range would be another set tomorrow"
    assert {path.name for path in module.iterdir()} == {maven.POM, maven.SUMS}
    found = maven.sums(jars)
    assert list(found) == sorted(found)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in found.values())
    assert "://" not in (module / maven.SUMS).read_text(encoding="utf-8")


def test_kafka_is_made_in_the_version_of_the_catalogue() -> None:
    (jars,) = (jars for jars in PINNED if jars.module == "kafka")
    assert jars.version == CATALOGUE["kafka"].version
    assert {f"kafka-clients-{jars.version}.jar", f"kafka-tools-{jars.version}.jar"} <= set(maven.sums(jars))


def test_an_image_of_archives_says_what_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    lower, upper = (Layer(Path(name), name, {}) for name in ("lower", "upper"))
    monkeypatch.setattr(image_archive, "debian_layer", lambda suite, packages, log: lower)
    monkeypatch.setattr(image_archive, "jar_layer", lambda jars, log: upper)
    image = image_archive.make(CATALOGUE["kafka"].reference, quiet)
    assert image.layers == (lower, upper)
    assert image.made_from == f"Debian {image_recipes.SUITE} packages and Maven artifacts: Kafka 4.3.1"
    with pytest.raises(ToolchainError, match="of another major version"):
        image_archive.make("docker.io/apache/kafka:3.9.1", quiet)
