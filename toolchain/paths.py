"""Where everything lies: the checkout, the user's cache and the user's state. Computes paths only, makes nothing.

Cache (`$XDG_CACHE_HOME/groundwork`, safe to delete): `tools/<name>-<version>-<key>/` holds binaries, where the key is
`release` for a downloaded tool and the hash of its Go module for a built one; `pulumi-home/` is PULUMI_HOME;
`venv-<key>/` is the Python environment. State (`$XDG_STATE_HOME/groundwork`, not safe to delete): stacks and the
passphrase that protects their secrets.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from toolchain.tool import Tool


def checkout() -> Path:
    """The root of this working copy."""
    return Path(__file__).resolve().parent.parent


def modules() -> Path:
    """The folder of the Go modules."""
    return checkout() / "toolchain" / "go"


def _base(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # XDG Base Directory Specification: a relative value is invalid and ignored.
    return Path(value) if Path(value).is_absolute() else Path.home() / default


def cache_folder() -> Path:
    """The cache of this user; deleting it costs only time."""
    return _base("XDG_CACHE_HOME", ".cache") / "groundwork"


def state_folder() -> Path:
    """The state of this user: stacks of the default backend and their passphrase."""
    return _base("XDG_STATE_HOME", ".local/state") / "groundwork"


def lock_file() -> Path:
    """Held by the one process that changes the cache."""
    return cache_folder() / "lock"


def pulumi_home() -> Path:
    """PULUMI_HOME of this project, so that the user's own `~/.pulumi` stays as it is."""
    return cache_folder() / "pulumi-home"


def official_record() -> Path:
    """What is known about the `pulumi` found on PATH."""
    return cache_folder() / "official-pulumi.json"


def released(tool: Tool) -> Path:
    """The folder of a downloaded tool."""
    return cache_folder() / "tools" / f"{tool.name}-{tool.version}-release"


def built(tool: Tool) -> Path:
    """The folder of a built tool; another content of its Go module is another folder."""
    return cache_folder() / "tools" / f"{tool.name}-{tool.version}-{module_key(tool)}"


def plugin_file(tool: Tool) -> Path:
    """Where Pulumi looks for this plugin. The folder has to be a real one: Pulumi skips symbolic links."""
    return pulumi_home() / "plugins" / f"resource-{tool.plugin}-v{tool.version}" / f"pulumi-resource-{tool.plugin}"


def module_key(tool: Tool) -> str:
    """Twelve hex digits over names and contents of the tool's Go modules, their tests left out."""
    digest = hashlib.sha256()
    for recipe in tool.recipes:
        folder = modules() / recipe.module
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            if file.name.endswith("_test.go"):
                continue
            content = file.read_bytes()
            digest.update(f"{recipe.module}/{file.relative_to(folder).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()[:12]
