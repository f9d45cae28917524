"""`python3 -m toolchain cluster ACTION --node`: words for a person around `cluster.py`; holds no logic of its own."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from toolchain import control_plane, kubectl, processes
from toolchain.cluster import ABSENT, RUNNING, STOPPED
from toolchain.errors import ToolchainError
from toolchain.kube_api import KubeApi
from toolchain.node import cluster, machine, profile, services
from toolchain.progress import duration
from toolchain.simulated_nodes import DEFAULT_REGION, existing, is_ready

EXIT_CODES = {RUNNING: 0, STOPPED: 3, ABSENT: 4}
START = "start it: python3 -m toolchain cluster start --node"


def main(arguments: list[str]) -> int:
    """Parse and do; returns the exit code (status: 0 running, 3 stopped, 4 absent)."""
    if arguments[:1] == ["kubectl"]:
        return _kubectl(arguments[1:])
    options = _parser().parse_args(arguments)
    if options.action == "start":
        return _start(options.region)
    if options.action == "stop":
        cluster.stop()
    elif options.action == "delete":
        cluster.delete()
    elif options.action == "load":
        for archive in options.archives:
            cluster.load_image(archive)
    elif options.action == "kubeconfig":
        _require_cluster()
        print(profile.kubeconfig_file())
    else:
        return _status()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m toolchain cluster --node", description=cluster.__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    start = actions.add_parser("start", help="create it, start it, or leave it as it is; needs root")
    start.add_argument("--region", default=DEFAULT_REGION, help="where its node is; default %(default)s")
    actions.add_parser("stop", help="end its processes, keep its content")
    actions.add_parser("status", help="what is up; exit code 0 running, 3 stopped, 4 absent")
    actions.add_parser("delete", help="stop it and delete its content; nothing is left")
    actions.add_parser("kubeconfig", help="print the path of its kubeconfig")
    actions.add_parser("kubectl", help="run kubectl on it: kubectl --node -- get pods -A")
    load = actions.add_parser("load", help="give the node the images of archives (docker save)")
    load.add_argument("archives", nargs="+", type=Path, metavar="archive")
    return parser


def _start(region: str) -> int:
    begun = time.monotonic()
    result = cluster.ensure(region)
    verb = "created" if result.created else "started" if result.started else "was running"
    print(f"cluster with a real node: {verb} ({duration(time.monotonic() - begun)}), context {result.context}")
    print(f"kubeconfig: {result.kubeconfig}")
    return 0


def _status() -> int:
    state = cluster.state()
    alive = {} if state == ABSENT else {**control_plane.alive(profile.profile()), **services.alive(profile.folder())}
    print(f"cluster with a real node: {'not healthy' if alive and state == STOPPED else state}")
    if state == ABSENT:
        print(START)
        return EXIT_CODES[state]
    holder = machine.holder(profile.folder())
    print(f"  {'namespaces':<26}{f'held by process {holder}' if holder else 'none'}")
    for name in (*(component.name for component in profile.COMPONENTS), *services.NAMES):
        number = alive.get(name)
        fact = f"up    process {number}, {processes.memory(number) >> 20} MiB" if number else "down"
        print(f"  {name:<26}{fact}")
    print(f"kubeconfig: {profile.kubeconfig_file()}, context {profile.CONTEXT}")
    if state == RUNNING:
        _print_content(profile.connect())
    else:
        print(START)
    return EXIT_CODES[state]


def _print_content(api: KubeApi) -> None:
    for node in existing(api):
        labels = node["metadata"]["labels"]
        zone = labels.get("topology.kubernetes.io/zone", "none")
        print(f"  node {node['metadata']['name']:<21}{'ready' if is_ready(node) else 'not ready'}, zone {zone}")
    pods = api.get("/api/v1/pods?resourceVersion=0")["items"] or []
    print(f"  pods                      {sum(map(is_ready, pods))} of {len(pods)} ready")


def _require_cluster() -> None:
    if not profile.kubeconfig_file().is_file():
        raise ToolchainError(f"there is no cluster with a real node; {START}")


def _kubectl(arguments: list[str]) -> int:
    _require_cluster()
    # Its address is this machine's own, and no proxy could reach it.
    kubectl.become(profile.UNKNOWN, arguments, NO_PROXY="*")
