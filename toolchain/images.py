"""Images for an engine or a node: what is there is kept, what a registry has is pulled, the rest is made here.

Says plainly what was made here and of what; an image that is neither to be had nor to be made is an error.
"""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Callable, Sequence

from toolchain import docker, image_archive, image_recipes
from toolchain.errors import ToolchainError
from toolchain.progress import duration

Log = Callable[[str], None]

ANSWER_SECONDS = 15
"""How long a registry may take to say that it has the image; the image itself may take as long as it wants."""
UNREACHABLE = (
    "dial tcp", "no such host", "server misbehaving", "i/o timeout", "Client.Timeout", "TLS handshake", "unreachable",
    "connection refused", "proxyconnect",
)  # fmt: skip
"""How the engine says that it could not talk to a registry, in contrast to what a registry said."""
OWN = "groundwork/"
"""Images of this project are on no public registry, where somebody else could offer another under the same name."""


def ensure_images(references: Sequence[str], host: str, log: Log = print) -> None:
    """Bring every image to the engine at `host`, under exactly these references; quick when all are there.

    Raises ToolchainError for an image that can be neither pulled nor made.
    """
    command = docker.command(host, log)
    bring(absent(references, command), [*command, "pull"], [*command, "load"], log)


def bring(missing: Sequence[str], pull: list[str], load: list[str], log: Log) -> None:
    """Pull each image by the command `pull`, or make it and give its archive to the command `load`.

    Raises ToolchainError for an image that can be neither pulled nor made.
    """
    silent: set[str] = set()
    for number, reference in enumerate(missing, start=1):
        started = time.monotonic()
        log(f"[{number}/{len(missing)}] {reference}")
        reason = _pull(reference, pull, silent, log)
        if reason:
            image = image_archive.make(reference, log)
            log(f"  {reason}; made here from {image.made_from}")
            _load(image, reference, load)
        log(f"  {'in place' if reason else 'pulled'} after {duration(time.monotonic() - started)}")


def absent(references: Sequence[str], command: list[str]) -> list[str]:
    """The references that the engine does not have, each once."""
    inspect = [*command, "image", "inspect", "--format", "{{.Id}}"]
    wanted = list(dict.fromkeys(references))
    if not wanted or _succeeds([*inspect, *wanted]):
        return []
    return [reference for reference in wanted if not _succeeds([*inspect, reference])]


def origin(reference: str, command: list[str]) -> str:
    """What an image of the engine is, in words."""
    form = f'{{{{index .Config.Labels "{image_archive.LABEL}"}}}}'
    done = subprocess.run(
        [*command, "image", "inspect", "--format", form, reference], capture_output=True, text=True, check=False
    )
    made_from = done.stdout.strip()
    return f"made here from {made_from}" if made_from else "as its registry or its builder made it"


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _pull(reference: str, command: list[str], silent: set[str], log: Log) -> str:
    """Pull an image; returns why it could not be had, or nothing. Registries that do not answer are put in `silent`."""
    host = image_recipes.registry(reference)
    if host == "docker.io" and reference.removeprefix("docker.io/").startswith(OWN):
        return "an image of this project"
    if host in silent:
        return f"{host} not reachable"
    with subprocess.Popen(
        [*command, reference],
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as pull:
        assert pull.stdout is not None
        assert pull.stderr is not None
        if not select.select([pull.stdout, pull.stderr], [], [], ANSWER_SECONDS)[0]:
            pull.kill()
            silent.add(host)
            return f"{host} not reachable (no answer within {ANSWER_SECONDS} s)"
        for line in pull.stdout:
            if "complete" in line:
                log(f"    {line.strip()}")
        errors = pull.stderr.read().strip()
    if pull.returncode == 0:
        return ""
    said = errors.splitlines()[-1] if errors else f"exit code {pull.returncode}"
    if any(sign in errors for sign in UNREACHABLE):
        silent.add(host)
        return f"{host} not reachable"
    return f"not to be had ({said})"


def _load(image: image_archive.Image, reference: str, command: list[str]) -> None:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as load:
        assert load.stdin is not None
        assert load.stderr is not None
        try:
            image_archive.write(image, reference, load.stdin)
            load.stdin.close()
        except BrokenPipeError:
            pass  # It ended early and says why.
        errors = load.stderr.read().decode(errors="replace").strip()
    if load.returncode != 0:
        raise ToolchainError(f"{reference}: `{' '.join(command)}` did not take the image: {errors}")
