"""`python3 -m toolchain docker ...`: words for a person around `docker.py` and `docker_engine.py`."""

from __future__ import annotations

import argparse

from toolchain import docker, docker_engine, docker_files, docker_remains
from toolchain.errors import ToolchainError

EXIT_CODES = {docker_engine.RUNNING: 0, docker_engine.STOPPED: 3, docker_engine.ABSENT: 4}
START = "start it: python3 -m toolchain docker start"


def main(arguments: list[str]) -> int:
    """Parse and do; returns the exit code (status: 0 running, 3 stopped, 4 absent)."""
    action = _parser().parse_args(arguments).action
    actions = {"stop": docker_engine.stop, "delete": docker_engine.delete}
    if action in actions:
        actions[action]()
    elif action == "start":
        print(f"Docker engine: {docker_engine.start()}")
    elif action == "host":
        return _host()
    else:
        return _status()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m toolchain docker", description=docker_engine.__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    actions.add_parser("start", help="make the toolchain's own engine, start it, or leave it as it is")
    actions.add_parser("stop", help="end it and its containers, keep its content")
    actions.add_parser("status", help="whether it runs; exit code 0 running, 3 stopped, 4 absent")
    actions.add_parser("delete", help="stop it and remove everything of it")
    actions.add_parser("host", help="print the URL of the engine that environments use: its own, else yours")
    return parser


def _host() -> int:
    found = docker_files.url() if docker_files.marker().is_file() else docker.existing()
    if found is None:
        raise ToolchainError(f"no Docker engine answers; {START}")
    print(found)
    return 0


def _status() -> int:
    state = docker_engine.state()
    print(f"Docker engine of the toolchain: {state}")
    if state == docker_engine.RUNNING:
        number = docker_remains.engine(docker_files.folder())
        print(f"  {docker_files.url()}, process {number}, addresses {docker_files.pool()}")
        print(f"  log: {docker_files.log_file()}")
    else:
        print(START)
    return EXIT_CODES[state]
