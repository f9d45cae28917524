"""Images made here, as archives that `docker load` and `ctr images import` take: layers, configuration, names.

The format is that of `docker save`; OCI image specification, "Image Configuration". Needs no engine.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from toolchain import debian, image_recipes, paths
from toolchain.errors import ToolchainError
from toolchain.image_layers import Layer, debian_layer, go_layer
from toolchain.image_recipes import BASE, PATH, SUITE
from toolchain.library import library_layer
from toolchain.locking import complete_folder, exclusive
from toolchain.maven import jar_layer
from toolchain.recipe import Recipe
from toolchain.tool import this_platform

Log = Callable[[str], None]

LABEL = "groundwork.dev/made-from"
NAME_SERVICE = "passwd: files\ngroup: files\nhosts: files dns\n"
"""nsswitch.conf(5): names of /etc/hosts count before those of the name server."""


@dataclass(frozen=True)
class Image:
    """An image made here. `made_from` says in words what is in it; `program` is a layer upon the first."""

    recipe: Recipe
    layer: Layer
    made_from: str
    program: Layer | None = None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """From the bottom up, without the one that `own_layer` makes."""
        return (self.layer, self.program) if self.program else (self.layer,)


def make(reference: str, log: Log) -> Image:
    """The image for a reference, from the cache or made now; raises ToolchainError for one that cannot be made."""
    recipe = image_recipes.recipe_of(reference)
    if recipe.module:
        _, tag = image_recipes.split(reference)
        layer = go_layer(paths.checkout() / recipe.module, tag, log)
        return Image(recipe, layer, f"Go module {recipe.module}: {recipe.title} {tag}")
    layer = debian_layer(SUITE, (*recipe.packages, *BASE), log)
    if recipe.program:
        program, pinned = recipe.program, paths.checkout() / recipe.program.module
        upper = go_layer(pinned, program.version, log, program.path, program.package)
        made_from = f"Debian {SUITE} packages and Go module {program.module}: {recipe.title} {program.version}"
        return Image(recipe, layer, made_from, upper)
    if recipe.jars:
        version = recipe.jars.version
        _require_same_major(reference, f"{recipe.title} {version}", version)
        made_from = f"Debian {SUITE} packages and Maven artifacts: {recipe.title} {version}"
        return Image(recipe, layer, made_from, jar_layer(recipe.jars, log))
    if recipe.library:
        library = recipe.library
        _require_same_major(reference, f"{recipe.title} {library.version}", library.version)
        made_from = f"Debian {SUITE} packages and Python package {library.package}: {recipe.title} {library.version}"
        return Image(recipe, layer, made_from, library_layer(library, log))
    version = upstream_version(layer.versions[recipe.packages[0]])
    _require_same_major(reference, f"{recipe.title} {version}", version)
    return Image(recipe, layer, f"Debian {SUITE} packages: {recipe.title} {version}")


def _require_same_major(reference: str, made: str, version: str) -> None:
    """Another minor version serves as well, another major one is another server. A tag without numbers asks for any."""
    asked = re.match(r"v?(\d+)", image_recipes.split(reference)[1])
    if asked and asked[1] != version.partition(".")[0]:
        raise ToolchainError(
            f"{reference}: no registry has it, and what can be made here is {made}, of another major version; choose "
            "that version, make its registry reachable, or load it into the engine: docker load"
        )


def archive(reference: str, log: Log = print) -> Path:
    """A file that holds the image under exactly this reference, for `docker load` and `ctr images import`."""
    image = make(reference, log)
    name = reference.replace("/", "_").replace(":", "_")
    key = debian.key(*(layer.digest for layer in image.layers), repr(image.recipe))
    folder = paths.cache_folder() / "images" / "archives" / f"{name}-{key}"
    if not folder.is_dir():
        with exclusive(folder.parent / "lock", lambda: log("another process writes image archives; waiting for it")):
            if not folder.is_dir():
                with complete_folder(folder) as new, (new / "image.tar").open("wb") as file:
                    write(image, reference, file)
    return folder / "image.tar"


def write(image: Image, reference: str, output: IO[bytes]) -> None:
    """Write the archive to a file or a pipe."""
    own = own_layer(image.recipe)
    own_digest = hashlib.sha256(own).hexdigest()
    digests = [*(layer.digest for layer in image.layers), own_digest]
    configuration = json.dumps(configure(image, digests)).encode()
    name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    layers = [f"{digest}.tar" for digest in digests]
    manifest = json.dumps([{"Config": name, "RepoTags": [reference], "Layers": layers}]).encode()
    with tarfile.open(fileobj=output, mode="w|", format=tarfile.GNU_FORMAT) as file:
        for layer, member in zip(image.layers, layers, strict=False):
            with layer.archive.open("rb") as content:
                header = tarfile.TarInfo(member)
                header.size = layer.archive.stat().st_size
                file.addfile(header, content)
        for member, data in ((layers[-1], own), (name, configuration), ("manifest.json", manifest)):
            _add(file, tarfile.TarInfo(member), data)


def configure(image: Image, digests: list[str]) -> dict[str, Any]:
    """The image's configuration. OCI image specification, "Image Configuration"."""
    recipe = image.recipe
    environment = {"PATH": PATH, "LANG": "C.UTF-8", **recipe.environment}
    created = datetime.fromtimestamp(int(image.layer.archive.stat().st_mtime), UTC).isoformat()
    return {
        "created": created,
        "architecture": this_platform().machine,
        "os": "linux",
        "config": {
            "User": f"{recipe.user.uid}:{recipe.user.gid}",
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Entrypoint": list(recipe.entrypoint) or None,
            "Cmd": list(recipe.command) or None,
            "StopSignal": recipe.stop_signal,
            "Labels": {LABEL: image.made_from},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": created, "created_by": image.made_from}] * len(image.layers)
        + [{"created": created, "created_by": "users"}],
    }


def own_layer(recipe: Recipe) -> bytes:
    """What the packages do not bring: users, groups, the order of name services, and the recipe's folders and links."""
    user = recipe.user
    users = f"root:x:0:0:root:/root:/bin/sh\n{user.name}:x:{user.uid}:{user.gid}::{user.home}:/bin/sh\n"
    groups = f"root:x:0:\n{user.name}:x:{user.gid}:\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as file:
        _add(file, tarfile.TarInfo("etc/passwd"), users.encode())
        _add(file, tarfile.TarInfo("etc/group"), groups.encode())
        _add(file, tarfile.TarInfo("etc/nsswitch.conf"), NAME_SERVICE.encode())
        for path, mode in recipe.folders.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.mode, member.uid, member.gid = tarfile.DIRTYPE, mode, user.uid, user.gid
            file.addfile(member)
        for path, target in recipe.links.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.type, member.linkname = tarfile.SYMTYPE, target
            file.addfile(member)
    return buffer.getvalue()


def upstream_version(version: str) -> str:
    """The upstream part of a Debian version: `5:8.0.6-3` is 8.0.6. deb-version(7)."""
    return version.partition(":")[2].rpartition("-")[0] if ":" in version else version.rpartition("-")[0] or version


def _add(file: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
    member.size = len(content)
    file.addfile(member, io.BytesIO(content))
