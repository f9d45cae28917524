"""The variables under which plain `pulumi` works in this checkout: `eval "$(python3 -m toolchain env)"`.

A backend, a passphrase, a cluster or a Docker engine that the user has chosen is never changed. KUBECONFIG is not set:
an environment names its cluster itself.
"""

from __future__ import annotations

import os
import secrets
import shlex
from pathlib import Path
from urllib.parse import quote

from toolchain import docker_files, venv
from toolchain.errors import ToolchainError
from toolchain.locate import locate, mode
from toolchain.paths import pulumi_home, state_folder
from toolchain.pins import TOOLS


def main(arguments: list[str]) -> int:
    """Print one `export` line for each variable, quoted for a shell, and nothing else."""
    if arguments:
        raise ToolchainError(f"env: takes no arguments, {' '.join(arguments)!r} given")
    for name, value in environment().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def environment() -> dict[str, str]:
    """The variables to set, by name. Creates the default backend and its passphrase when they are first needed.

    Raises ToolchainError when a tool is missing.
    """
    variables = {
        "PATH": _search_path(),
        "PULUMI_HOME": str(pulumi_home()),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # All plugins were installed here; an attempt to download one more would only hang on a closed network.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        # A stack's file in git holds no key: the key's salt is read from the stack's state instead.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
    }
    if docker_files.marker().is_file() and not os.environ.get("DOCKER_HOST"):
        variables["DOCKER_HOST"] = docker_files.url()
    _no_debug_logs()
    chosen = os.environ.get("PULUMI_BACKEND_URL", "")
    if chosen in ("", _default_backend()):
        variables["PULUMI_BACKEND_URL"] = _default_backend()
        _private_folder(state_folder() / "state")
        if not any(os.environ.get(f"PULUMI_CONFIG_PASSPHRASE{suffix}") for suffix in ("", "_FILE")):
            variables["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase_file())
    return variables


def _no_debug_logs() -> None:
    """The CLI keeps an encrypted debug log of every run, a quarter of a preview's work and up to 500 MB.

    It goes without where there is no folder for it: an empty file takes its place. Whoever wants logs makes a folder.
    """
    logs = pulumi_home() / "logs"
    if not logs.exists():
        logs.parent.mkdir(parents=True, exist_ok=True)
        logs.touch()


def _search_path() -> str:
    """Our folders first, then the user's; running it twice changes nothing."""
    how = mode()
    found = {tool.name: locate(tool, how) for tool in TOOLS}
    missing = [name for name, place in found.items() if place is None]
    if not venv.is_ready():
        missing.append("python environment")
    if missing:
        raise ToolchainError(f"not installed: {', '.join(missing)}; run `python3 -m toolchain install`")
    ours = [str(venv.link() / "bin")]
    for tool in TOOLS:
        place = found[tool.name]
        if place is not None and not tool.plugin and place.source != "official":
            ours.append(str(place.folder))
    theirs = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry not in ours]
    return os.pathsep.join([*ours, *theirs])


def _default_backend() -> str:
    # Without `metadata=skip` each file of state has a second one beside it, written in place: whoever reads it at that
    # moment, or after a writer was killed there, finds it empty and gives up with nothing but `EOF`.
    return "file://" + quote(str(state_folder() / "state")) + "?metadata=skip"


def _private_folder(folder: Path) -> None:
    try:
        state_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ToolchainError(f"{folder}: cannot be created: {error.strerror}; set XDG_STATE_HOME elsewhere") from error


def _passphrase_file() -> Path:
    """A random passphrase that only this user can read, made once: stacks encrypted with it need it for ever."""
    file = state_folder() / "passphrase"
    if not file.exists():
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as output:
            output.write(secrets.token_urlsafe(32))
        try:
            os.link(fresh, file)
        except FileExistsError:
            pass  # Another process was first; its passphrase counts.
        finally:
            fresh.unlink()
    return file
