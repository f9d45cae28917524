"""Files of a container, as a compose file brings them in. Pure.

A service that ends at once has them copied into volumes, as the deployed containers have theirs from one that never
runs: Compose copies nothing into a read-only root, and files bound from this machine would keep its owners and modes.
Secrets stand in `.env`, where Compose looks by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import basename
from typing import Any

from stacks.export.compose_fields import translated
from stacks.export.deployed import Resource

_OTHERS = 0o007
"""Permissions of everybody else: what they may read is configuration."""
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class Upload:
    """One file: where it goes and what is in it."""

    name: str
    """Its name in the compose file."""
    target: str
    permissions: str
    """Octal, such as 0440."""
    content: str

    @property
    def secret(self) -> bool:
        """Whether it must not stand in the compose file."""
        return not int(self.permissions, 8) & _OTHERS

    @property
    def variable(self) -> str:
        """Name of the variable in `.env` that holds a secret."""
        return re.sub(r"[^A-Z0-9]", "_", self.name.upper())

    @property
    def mount(self) -> dict[str, Any]:
        """Its entry in a service, whose user it belongs to."""
        return {"source": self.name, "target": self.target, "mode": self.permissions}

    @property
    def source(self) -> dict[str, str]:
        """Its entry in the compose file itself."""
        return {"environment": self.variable} if self.secret else {"content": self.content}


def uploads_of(service: str, container: Resource) -> list[Upload]:
    """Files of a container whose name in the compose file is `service`."""
    return [
        Upload(f"{service}-{index}-{basename(u['file'])}", u["file"], u["permissions"], u["content"])
        for index, u in enumerate(container.inputs.get("uploads", ()))
    ]


def volumes_of(service: str, container: Resource) -> dict[str, str]:
    """For each directory of its files, the name of its volume."""
    paths = [volume["containerPath"] for volume in container.inputs["volumes"]]
    return {path: f"{service}{path.replace('/', '-')}" for path in paths}


def holder(service: str, container: Resource) -> dict[str, Any]:
    """The service that has the files of others copied into its volumes. It may do nothing and reaches nobody."""
    uploads = uploads_of(service, container)
    volumes = volumes_of(service, container)
    mounts = [{"type": "volume", "source": name, "target": path} for path, name in volumes.items()]
    files = {
        section: [upload.mount for upload in uploads if upload.secret is secret]
        for section, secret in (("configs", False), ("secrets", True))
    }
    return {
        **translated(container),
        "user": "0",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "network_mode": "none",
        "volumes": mounts,
        **{section: entries for section, entries in files.items() if entries},
    }


def dotenv(uploads: list[Upload]) -> str:
    """The secrets among them as Compose reads `.env`: one in a line, in double quotes."""
    return "".join(f'{u.variable}="{u.content.translate(_ESCAPES)}"\n' for u in uploads if u.secret)
