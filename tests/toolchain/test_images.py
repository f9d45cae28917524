"""Images: what is pulled, what is made and of what, and that the archive is what an engine takes."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.toolchain.packages import needs_dpkg, write_apt, write_package
from toolchain import image_archive, image_layers, image_recipes, images, images_command
from toolchain.errors import ToolchainError
from toolchain.image_archive import Image
from toolchain.image_layers import Layer

POSTGRES = "docker.io/library/postgres:18.6-trixie"
REDIS = "docker.io/library/redis:8.10.1-alpine"
EXPORTER = "ghcr.io/oliver006/redis_exporter:v1.79.0"
DEMO = "docker.io/groundwork/demo:0.3.0"
BOX = "docker.io/natsio/nats-box:0.20.0"
VERSIONS = {"postgresql-18": "18.6-3", "prometheus-redis-exporter": "1.86.0-1"}
# Has the images that are listed in the file `has`; says of a registry what the file of its name says, else has it too.
DOCKER = """#!/bin/sh
shift 2
echo "$@" >> "$HOME/log"
case $1 in
  image) shift 4; for name; do grep -qx "$name" "$HOME/has" || exit 1; done ;;
  pull) answer="$HOME/${2%%/*}"; if [ -e "$answer" ]; then cat "$answer" >&2; exit 1; fi; echo "$2" >> "$HOME/has" ;;
  load) cat > "$HOME/loaded"; if [ -e "$HOME/full" ]; then echo "no space left" >&2; exit 1; fi ;;
esac
"""


def quiet(_: str) -> None:
    """A log that nobody reads."""


@pytest.fixture
def engine(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that notes its calls in a log, and layers without content."""
    program = home / "bin" / "docker"
    program.write_text(DOCKER)
    program.chmod(0o755)
    (home / "has").touch()
    monkeypatch.setenv("HOME", str(home))

    def layer(suite: str, packages: tuple[str, ...], log: object) -> Layer:
        content = home / f"{packages[0]}.tar"
        content.write_bytes(b"the layer")
        version = VERSIONS.get(packages[0], "5:8.0.6-3")
        return Layer(content, hashlib.sha256(b"the layer").hexdigest(), {packages[0]: version})

    monkeypatch.setattr(image_archive, "debian_layer", layer)
    return home


def ensure(*references: str) -> list[str]:
    said: list[str] = []
    images.ensure_images(references, "unix:///sample", said.append)
    return said


def calls(engine: Path, verb: str) -> list[str]:
    log = (engine / "log").read_text().splitlines()
    return [line.removeprefix(f"{verb} ") for line in log if line.startswith(verb)]


def loaded(engine: Path) -> dict[str, Any]:
    """The manifest, the configuration and the layers of the archive that was loaded."""
    with tarfile.open(engine / "loaded") as file:
        return unpack({member.name: file.extractfile(member) for member in file})


def unpack(members: dict[str, Any]) -> dict[str, Any]:
    content = {name: file.read() for name, file in members.items()}
    (manifest,) = json.loads(content["manifest.json"])
    return {
        "manifest": manifest,
        "configuration": json.loads(content[manifest["Config"]]),
        "digests": [f"sha256:{hashlib.sha256(content[name]).hexdigest()}" for name in manifest["Layers"]],
    }


def test_what_is_there_is_neither_pulled_nor_made(engine: Path) -> None:
    (engine / "has").write_text(f"{POSTGRES}\n{REDIS}\n")
    assert ensure(POSTGRES, REDIS, POSTGRES) == []
    assert len((engine / "log").read_text().splitlines()) == 1, "one question for all"


def test_what_a_registry_has_is_pulled(engine: Path) -> None:
    (engine / "has").write_text(f"{POSTGRES}\n")
    ensure(POSTGRES, REDIS)
    assert calls(engine, "pull") == [REDIS]
    assert calls(engine, "load") == []


def test_what_no_registry_has_is_made_under_the_same_name_and_says_so(engine: Path) -> None:
    (engine / "docker.io").write_text("Error: toomanyrequests: slow down\n")
    said = "\n".join(ensure(REDIS))
    assert (
        "not to be had (Error: toomanyrequests: slow down); made here from Debian forky packages: Redis 8.0.6" in said
    )
    image = loaded(engine)
    assert image["manifest"]["RepoTags"] == [REDIS]
    assert image["configuration"]["rootfs"]["diff_ids"] == image["digests"]
    config = image["configuration"]["config"]
    assert config["Labels"] == {"groundwork.dev/made-from": "Debian forky packages: Redis 8.0.6"}
    assert config["User"] == "999:999"
    assert (config["Cmd"], config["StopSignal"]) == (["redis-server"], "SIGTERM")
    assert image["configuration"]["os"] == "linux"


def test_what_can_be_made_does_not_stand_in_for_another_major_version(engine: Path) -> None:
    (engine / "docker.io").write_text("dial tcp: no route")
    with pytest.raises(ToolchainError) as caught:
        ensure("docker.io/library/postgres:17.11-trixie")
    assert str(caught.value) == (
        "docker.io/library/postgres:17.11-trixie: no registry has it, and what can be made here is PostgreSQL 18.6, of "
        "another major version; choose that version, make its registry reachable, or load it into the engine: "
        "docker load"
    )
    assert image_archive.make("docker.io/library/postgres:trixie", quiet).made_from.endswith("PostgreSQL 18.6")


def test_a_registry_out_of_reach_is_asked_once_and_no_other_suffers(engine: Path) -> None:
    (engine / "docker.io").write_text('Get "https://registry/v2/": dial tcp: lookup registry: no such host\n')
    said = "\n".join(ensure(POSTGRES, REDIS, EXPORTER))
    assert calls(engine, "pull") == [POSTGRES, EXPORTER]
    assert said.count("docker.io not reachable; made here") == 2


def test_a_registry_that_says_nothing_is_given_up(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "ANSWER_SECONDS", 0.3)
    program = engine / "bin" / "docker"
    program.write_text(DOCKER.replace("  pull) ", "  pull) sleep 60 ;;\n  never) "))
    said = "\n".join(ensure(POSTGRES, REDIS))
    assert calls(engine, "pull") == [POSTGRES]
    assert "docker.io not reachable (no answer within 0.3 s); made here" in said


def test_an_image_of_this_project_is_never_taken_from_docker_hub(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Layer(engine / "demo.tar", hashlib.sha256(b"").hexdigest(), {"demo": "0.3.0"})
    made.archive.touch()
    monkeypatch.setattr(image_archive, "go_layer", lambda module, version, log: made)
    ensure("groundwork/demo:0.3.0", DEMO, "mirror.example/groundwork/demo:0.3.0")
    assert calls(engine, "pull") == ["mirror.example/groundwork/demo:0.3.0"]
    assert loaded(engine)["configuration"]["config"]["Entrypoint"] == ["/demo"]


def test_a_program_that_no_package_has_lies_upon_the_packages(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (engine / "docker.io").write_text("dial tcp\n")
    asked: list[tuple[object, ...]] = []

    def program(module: Path, version: str, log: object, path: str, package: str) -> Layer:
        asked.append((module.name, version, path, package))
        (engine / "program.tar").write_bytes(b"the program")
        return Layer(engine / "program.tar", hashlib.sha256(b"the program").hexdigest(), {})

    monkeypatch.setattr(image_archive, "go_layer", program)
    said = "\n".join(ensure(BOX))
    assert "from Debian forky packages and Go module toolchain/go/natscli: the NATS command line 0.3.0" in said
    assert asked == [("natscli", "0.3.0", "/usr/bin/nats", "github.com/nats-io/natscli/nats")]
    image = loaded(engine)
    assert image["configuration"]["rootfs"]["diff_ids"] == image["digests"]
    assert len(image["digests"]) == len(image["configuration"]["history"]) == 3
    first, second = (f"sha256:{hashlib.sha256(content).hexdigest()}" for content in (b"the layer", b"the program"))
    assert image["digests"][:2] == [first, second]


def test_an_engine_that_refuses_an_image_is_an_error_with_its_words(engine: Path) -> None:
    (engine / "docker.io").write_text("dial tcp\n")
    (engine / "full").touch()
    with pytest.raises(ToolchainError, match=r"redis:8.*did not take the image: no space left"):
        ensure(REDIS)


@pytest.mark.parametrize(
    "reference",
    [REDIS, "library/redis:8", "localhost:5000/library/redis:8", "mirror.example:5000/cache/docker.io/library/redis:x"],
)
def test_a_recipe_is_found_whatever_registry_stands_before_it(reference: str) -> None:
    assert image_recipes.recipe_of(reference).repository == "library/redis"


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("docker.io/library/mongo:7", "it cannot be made here; what can.*library/redis.*docker build -t docker.io/lib"),
        ("docker.io/otherlibrary/redis:8", "it cannot be made here"),
        ("docker.io/library/redis", "it cannot be made here"),
        (f"docker.io/library/redis:8@sha256:{'0' * 64}", "has another digest; name it by tag"),
    ],
)
def test_what_cannot_be_made_is_an_error_that_names_what_can(reference: str, words: str) -> None:
    with pytest.raises(ToolchainError, match=words):
        image_recipes.recipe_of(reference)


@pytest.mark.parametrize(
    ("reference", "registry", "tag"),
    [
        ("redis:8", "docker.io", "8"),
        ("library/redis", "docker.io", ""),
        ("ghcr.io/a/b:1", "ghcr.io", "1"),
        ("localhost:5000/a", "localhost:5000", ""),
        ("localhost/a:2", "localhost", "2"),
    ],
)
def test_the_parts_of_a_reference(reference: str, registry: str, tag: str) -> None:
    assert image_recipes.registry(reference) == registry
    assert image_recipes.split(reference)[1] == tag


def own_files(repository: str) -> Iterator[tarfile.TarInfo]:
    recipe = next(recipe for recipe in image_recipes.RECIPES if recipe.repository == repository)
    with tarfile.open(fileobj=io.BytesIO(image_archive.own_layer(recipe))) as layer:
        yield from layer


def test_folders_belong_to_the_images_user() -> None:
    (data,) = [member for member in own_files("library/redis") if member.name == "data"]
    assert (data.uid, data.gid, data.isdir()) == (999, 999, True)
    found = {member.name: member for member in own_files("cloudnative-pg/pgbouncer")}
    assert (found["run/pgbouncer"].uid, found["run/pgbouncer"].gid) == (998, 996)
    assert found["usr/bin/pgbouncer"].linkname == "/usr/sbin/pgbouncer"


@pytest.mark.parametrize(
    ("debian", "upstream"), [("5:8.0.6-3", "8.0.6"), ("18.6-3", "18.6"), ("1.0.0~rc-9+b1", "1.0.0~rc"), ("7", "7")]
)
def test_a_version_without_what_debian_adds(debian: str, upstream: str) -> None:
    assert image_archive.upstream_version(debian) == upstream


def test_an_archive_on_disk_is_the_same_and_made_once(engine: Path) -> None:
    file = image_archive.archive(REDIS, quiet)
    before = file.stat().st_mtime_ns
    assert image_archive.archive(REDIS, quiet).stat().st_mtime_ns == before
    assert image_archive.archive("mirror.example/library/redis:8", quiet) != file
    with tarfile.open(file) as content:
        image = unpack({member.name: content.extractfile(member) for member in content})
    assert image["manifest"]["RepoTags"] == [REDIS]


@needs_dpkg
def test_a_layer_is_what_the_packages_hold_without_documentation(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = write_apt(home, monkeypatch)
    monkeypatch.setattr(image_layers, "KEYRING", home / "bin" / "apt-get")
    files = {"usr/bin/one": "1", "lib/x/two": "2", "usr/share/doc/one/copyright": "c", "usr/share/doc/one/news": "n"}
    write_package(home, "one", "1.2-3", files, {})
    write_package(home, "two", "5:7", {"usr/bin/two": "2", "usr/share/man/man1/two.1": "m"}, {"bin": "usr/bin"})
    layer = image_layers.debian_layer("forky", ("one", "two"), quiet)
    assert layer.versions == {"one": "1.2-3", "two": "5:7"}
    assert layer.digest == hashlib.sha256(layer.archive.read_bytes()).hexdigest()
    with tarfile.open(layer.archive) as content:
        members = content.getmembers()
    names = [member.name for member in members]
    assert {"bin", "usr/bin/one", "usr/bin/two", "usr/lib/x/two", "usr/share/doc/one/copyright"} <= set(names)
    assert len(names) == len(set(names)), "a folder of several packages comes once"
    assert not [name for name in names if "news" in name or "two.1" in name or name.startswith("lib/")]
    assert {(member.uid, member.gid) for member in members} == {(0, 0)}
    called = log.read_text()
    assert image_layers.debian_layer("forky", ("one", "two"), quiet) == layer
    assert log.read_text() == called


@needs_dpkg
def test_packages_of_a_release_are_chosen_as_if_nothing_were_installed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_apt(home, monkeypatch)
    monkeypatch.setattr(image_layers, "KEYRING", home / "bin" / "apt-get")
    write_package(home, "one", "1", {}, {})
    image_layers.debian_layer("forky", ("one",), quiet)
    fetching = [line for line in log.read_text().splitlines() if "indextargets" not in line]
    assert len(fetching) == 2
    assert all("Dir::State::status=/dev/null" in line for line in fetching)


def test_elsewhere_than_on_debian_the_error_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_apt(home, monkeypatch)
    (home / "bin" / "dpkg-deb").symlink_to("/bin/true")
    monkeypatch.setattr(image_layers, "KEYRING", home / "nonesuch")
    with pytest.raises(ToolchainError, match=r"nonesuch is missing: this is no Debian"):
        image_layers.debian_layer("forky", ("one",), quiet)


def test_a_program_is_compiled_anew_when_its_source_or_version_changes(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = home / "demo"
    module.mkdir()
    (module / "main.go").write_text("package main\n")
    monkeypatch.setenv("PATH", str(home / "bin"))
    with pytest.raises(ToolchainError, match="Go is not installed"):
        image_layers.go_layer(module, "1", quiet)
    go = home / "bin" / "go"
    go.write_text('#!/bin/sh\nfor w; do [ "$l" = -o ] && echo "$GOOS $*" > "$w"; l=$w; done\n')
    go.chmod(0o755)
    first = image_layers.go_layer(module, "1", quiet)
    (module / "main_test.go").write_text("package main\n")
    assert image_layers.go_layer(module, "1", quiet) == first
    assert image_layers.go_layer(module, "2", quiet).digest != first.digest
    (module / "main.go").write_text("package main // changed\n")
    assert image_layers.go_layer(module, "1", quiet).archive != first.archive
    with tarfile.open(first.archive) as layer:
        (program,) = layer.getmembers()
        content = layer.extractfile(program)
        assert content is not None
        assert content.read().startswith(b"linux build -trimpath -ldflags -s -w -X main.version=1")
    assert (program.name, program.mode, program.uid) == ("demo", 0o755, 0)
    with tarfile.open(image_layers.go_layer(module, "1", quiet, "/usr/bin/x", "example/x").archive) as layer:
        (program,) = layer.getmembers()
        content = layer.extractfile(program)
        assert content is not None
        assert content.read().endswith(b" example/x\n")
    assert program.name == "usr/bin/x"


def test_without_a_reference_the_command_lists_what_can_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert images_command.main([]) == 0
    said = capsys.readouterr().out
    assert all(recipe.repository in said for recipe in image_recipes.RECIPES)


def test_every_recipe_can_be_configured(engine: Path) -> None:
    for recipe in image_recipes.RECIPES:
        layer = Layer(engine / "has", "0" * 64, {})
        config = image_archive.configure(Image(recipe, layer, "words"), ["0" * 64])["config"]
        assert config["User"] == f"{recipe.user.uid}:{recipe.user.gid}"
        assert config["Cmd"] or config["Entrypoint"]
