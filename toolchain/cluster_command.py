"""`python3 -m toolchain cluster ...`: words for a person around `cluster.py`; holds no logic of its own."""

from __future__ import annotations

import argparse
import time

from toolchain import cluster, cluster_files, control_plane, kubectl, processes
from toolchain import simulated_nodes as simulation
from toolchain.errors import ToolchainError
from toolchain.kube_api import KubeApi
from toolchain.progress import duration

SIMULATED = "nodes and pods are SIMULATED: real API server, scheduler and controllers, but no container runs"
NODE = "--node"
EXIT_CODES = {cluster.RUNNING: 0, cluster.STOPPED: 3, cluster.ABSENT: 4}


def main(arguments: list[str]) -> int:
    """Parse and do; returns the exit code (status: 0 running, 3 stopped, 4 absent)."""
    # kubectl's own words come third.
    if NODE in (arguments[:2] if arguments[:1] == ["kubectl"] else arguments):
        from toolchain.node import command

        at = arguments.index(NODE)
        return command.main(arguments[:at] + arguments[at + 1 :])
    if arguments[:1] == ["kubectl"]:
        return _kubectl(arguments[1:])
    options = _parser().parse_args(arguments)
    actions = {"stop": cluster.stop, "delete": cluster.delete}
    if options.action in actions:
        actions[options.action]()
        return 0
    if options.action == "start":
        return _start(options.region, options.other_region)
    if options.action == "kubeconfig":
        _require_cluster()
        print(cluster_files.kubeconfig_file())
        return 0
    return _status()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m toolchain cluster",
        description=cluster.__doc__,
        epilog=f"With {NODE} after an action, another cluster is meant: one with a real node, where containers run. "
        f"It needs Linux and root. `start {NODE} --help` says more.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="action")
    start = actions.add_parser("start", help="create it, start it, or leave it as it is")
    start.add_argument(
        "--region", default=simulation.DEFAULT_REGION, help="six nodes in three zones; default %(default)s"
    )
    start.add_argument("--other-region", help=f"two nodes; default {simulation.DEFAULT_OTHER_REGION}")
    actions.add_parser("stop", help="end its processes, keep its content")
    actions.add_parser("status", help="what is up; exit code 0 running, 3 stopped, 4 absent")
    actions.add_parser("delete", help="stop it and delete its content")
    actions.add_parser("kubeconfig", help="print the path of its kubeconfig")
    actions.add_parser("kubectl", help="run kubectl on it: kubectl -- get pods -A")
    return parser


def _start(region: str, other_region: str | None) -> int:
    begun = time.monotonic()
    result = cluster.ensure(region, other_region)
    verb = "created" if result.created else "started" if result.started else "was running"
    print(f"embedded cluster: {verb} ({duration(time.monotonic() - begun)}), context {result.context}")
    print(f"kubeconfig: {result.kubeconfig}")
    print(SIMULATED)
    return 0


def _status() -> int:
    state = cluster.state()
    alive = control_plane.alive()
    print(f"embedded cluster: {'not healthy' if alive and state == cluster.STOPPED else state}")
    print(SIMULATED)
    if state == cluster.ABSENT:
        print("start it: python3 -m toolchain cluster start")
        return EXIT_CODES[state]
    ports = cluster_files.ports()
    for component in cluster_files.COMPONENTS:
        number = alive.get(component.name)
        fact = f"up    process {number}, {processes.memory(number) >> 20} MiB" if number else "down"
        print(f"  {component.name:<26}127.0.0.1:{ports[component.port_option]}  {fact}")
    print(f"kubeconfig: {cluster_files.kubeconfig_file()}, context {cluster_files.CONTEXT}")
    if state == cluster.RUNNING:
        _print_content(cluster.connect())
    else:
        print("start it: python3 -m toolchain cluster start")
    return EXIT_CODES[state]


def _print_content(api: KubeApi) -> None:
    for zone, (ready, total) in simulation.per_zone(simulation.existing(api)).items():
        print(f"  zone {zone:<21}{ready} of {total} simulated nodes ready")
    pods = api.get("/api/v1/pods?resourceVersion=0")["items"] or []
    print(f"  pods                      {sum(map(simulation.is_ready, pods))} of {len(pods)} ready (simulated)")


def _require_cluster() -> None:
    if not cluster_files.kubeconfig_file().is_file():
        raise ToolchainError("there is no embedded cluster; start it: python3 -m toolchain cluster start")


def _kubectl(arguments: list[str]) -> int:
    _require_cluster()
    kubectl.become(cluster_files.SIMULATED, arguments)
