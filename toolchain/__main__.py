"""`python3 -m toolchain <command>`: picks the module that serves a command and loads only that one."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "install": ("toolchain.install", "get every tool at its pinned version; quick when all is there"),
    "env": ("toolchain.environment", 'print the variables a shell needs: eval "$(python3 -m toolchain env)"'),
    "docker": ("toolchain.docker_command", "start, stop and show a Docker engine of the toolchain's own"),
    "images": ("toolchain.images_command", "bring container images to the Docker engine, made here if need be"),
    "cluster": ("toolchain.cluster_command", "start, stop and show the embedded cluster"),
}


def usage() -> str:
    """The help text: one line per command."""
    lines = [f"  {name:<8} {purpose}" for name, (_, purpose) in COMMANDS.items()]
    return "\n".join(["usage: python3 -m toolchain <command> [arguments]", "", *lines])


def main(arguments: list[str]) -> int:
    """Run one command; every command module offers `main(arguments) -> exit code`."""
    from toolchain.errors import ToolchainError

    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    command, *rest = arguments
    if command not in COMMANDS:
        print(f"toolchain: {command}: no such command\n{usage()}", file=sys.stderr)
        return 2
    try:
        return int(importlib.import_module(COMMANDS[command][0]).main(rest))
    except ToolchainError as error:
        print(f"toolchain: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("toolchain: interrupted; run the same command again to continue", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
