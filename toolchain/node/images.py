"""The images a node itself needs: each one static program on an otherwise empty root, so no registry is asked.

An image is named by its content, so a changed program is another image.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolchain.cluster_files import binary
from toolchain.node.pins import COREDNS_TOOL, NODE_TOOL, OPERATOR_TOOL
from toolchain.tool import this_platform

SANDBOX, HELPER, DNS, OPERATOR = "sandbox", "helper", "coredns", "cloudnative-pg"
REGISTRY = "groundwork.dev"


@dataclass(frozen=True)
class Image:
    """One program at `path` in the image, further names of it in `links`, and the numeric user it runs as."""

    name: str
    program: Path
    path: str
    user: int
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """Name and tag; the tag stands for the content, as the name of a built tool's folder does."""
        words = [self.program.parent.name, self.path, str(self.user), json.dumps(dict(self.links))]
        return f"{REGISTRY}/{self.name}:{hashlib.sha256(' '.join(words).encode()).hexdigest()[:12]}"


def images() -> dict[str, Image]:
    """Every image by its name; raises ToolchainError when a program is not installed."""
    architecture = this_platform().machine
    every = (
        Image(SANDBOX, binary(NODE_TOOL, "init"), "/init", 65535),
        Image(HELPER, binary(NODE_TOOL, "volume"), "/volume", 0),
        Image(DNS, binary(COREDNS_TOOL, "coredns"), "/coredns", 0),
        # The operator hands its own program to the database's pods: one file for each processor.
        Image(
            OPERATOR,
            binary(OPERATOR_TOOL, "manager"),
            f"/operator/manager_{architecture}",
            65532,
            {"/manager": f"operator/manager_{architecture}"},
        ),
    )
    return {image.name: image for image in every}


def write_archive(image: Image, file: Path) -> None:
    """Write the image as an archive that `ctr images import` and `docker load` take: Docker Image Specification 1.2."""
    layer = file.with_suffix(".layer")
    try:
        with tarfile.open(layer, "w") as tree:
            _add_program(tree, image)
        with layer.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        entry = next(iter([*image.links, image.path]))
        config = {
            "architecture": this_platform().machine,
            "os": "linux",
            "config": {"Entrypoint": [entry], "User": str(image.user), "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "groundwork"}],
        }
        manifest = [{"Config": "config.json", "RepoTags": [image.reference], "Layers": ["layer.tar"]}]
        with tarfile.open(file, "w") as archive:
            archive.add(layer, "layer.tar")
            for name, data in (("config.json", config), ("manifest.json", manifest)):
                _add_json(archive, name, data)
    finally:
        layer.unlink(missing_ok=True)


def _add_program(layer: tarfile.TarFile, image: Image) -> None:
    for parent in reversed(Path(image.path).parents[:-1]):
        folder = tarfile.TarInfo(str(parent).lstrip("/"))
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        layer.addfile(folder)
    entry = tarfile.TarInfo(image.path.lstrip("/"))
    entry.mode, entry.size = 0o755, image.program.stat().st_size
    with image.program.open("rb") as content:
        layer.addfile(entry, content)
    for name, target in image.links.items():
        link = tarfile.TarInfo(name.lstrip("/"))
        link.type, link.linkname = tarfile.SYMTYPE, target
        layer.addfile(link)


def _add_json(archive: tarfile.TarFile, name: str, data: Any) -> None:
    content = json.dumps(data).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
