"""The processes behind an embedded cluster: etcd, API server, controller manager, scheduler and kwok, by kwokctl.

A `Profile` says which cluster; without it the one with simulated nodes is meant. Knows processes; what the cluster
contains is the business of `cluster.py`. etcd has no access control of its own: who can log in to this machine can
read the cluster, so it is for development and tests. kwokctl runs with an environment and a home folder of its own and
sees no other kubeconfig.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from toolchain import processes
from toolchain.cluster_files import (
    NAME,
    SIMULATED,
    Component,
    Profile,
    binary,
    choose_ports,
    command,
    configuration,
    folder,
    is_free,
    ports,
    work_folder,
    write_kubeconfig,
)
from toolchain.errors import ToolchainError
from toolchain.locking import point, remove_tree
from toolchain.pins import KUBERNETES_TOOL, KWOK_TOOL

START_SECONDS = 90
RELEASE_SECONDS = 3
"""A process that was killed keeps its ports until its memory is given back, and is no longer seen by then."""


def alive(profile: Profile = SIMULATED) -> dict[str, int]:
    """Component -> process number, for the components that run."""
    return processes.running(work_folder(profile) / "bin")


def down(profile: Profile = SIMULATED) -> list[str]:
    """Names of the components that do not run."""
    present = alive(profile)
    return [component.name for component in profile.components if component.name not in present]


def create(profile: Profile = SIMULATED) -> None:
    """Choose ports, then let kwokctl make the cluster's files and start its processes."""
    content = json.dumps(configuration(choose_ports(profile), profile), indent=1)
    folder(profile).mkdir(parents=True, exist_ok=True)
    folder(profile).chmod(0o700)
    (folder(profile) / "kwokctl.json").write_text(content, encoding="utf-8")
    # Without leases: a kwok that starts again would leave the nodes alone until those of the killed one have run out.
    options = {"--kubeconfig": "", "--wait": "0s", "--node-lease-duration-seconds": "0"}
    words = [word for option in options.items() for word in option]
    _kwokctl(profile, "--config", str(folder(profile) / "kwokctl.json"), "create", "cluster", *words)
    write_kubeconfig(profile)


def start(profile: Profile = SIMULATED) -> None:
    """Start the components that do not run; current programs replace those of an older toolchain."""
    _end_kwokctl(profile)
    present = alive(profile)
    if not profile.enter:
        _require_ports([component for component in profile.components if component.name not in present])
    for component in profile.components:
        point(work_folder(profile) / "bin" / component.name, binary(component.tool, component.binary))
        _record(work_folder(profile), component.name, present.get(component.name))
    _kwokctl(profile, "start", "cluster", "--wait", "0s")


def all_up(profile: Profile, ready: Callable[[], bool]) -> bool:
    """Whether all components run and the API answers; starts again what ended, as happens before etcd is reachable."""
    if down(profile):
        start(profile)
    return not down(profile) and ready()


def stop(profile: Profile = SIMULATED) -> int:
    """End every process of the cluster, etcd last; returns how many there were."""
    _end_kwokctl(profile)
    present = alive(profile)
    last = [number for name, number in present.items() if name == "etcd"]
    processes.terminate([number for number in present.values() if number not in last])
    processes.terminate(last)
    return len(present)


def remove(profile: Profile = SIMULATED) -> None:
    """Stop the cluster and delete everything of it."""
    stop(profile)
    remove_tree(folder(profile))


def last_words(profile: Profile = SIMULATED) -> str:
    """The end of the log of each component that does not run, for an error message."""
    folder = work_folder(profile) / "logs"
    return log_ends([folder / f"{name}.log" for name in down(profile)]) or f"logs are in {folder}"


def log_ends(logs: list[Path]) -> str:
    """The last lines of each of these files that is there."""
    return "\n".join(f"{log}:\n    " + "\n    ".join(_tail(log)) for log in logs if log.is_file())


def _tail(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]


def _require_ports(components: list[Component]) -> None:
    chosen = ports()
    options = {component.port_option: component.name for component in components}
    options |= {"etcdPeerPort": "etcd"} if "etcdPort" in options else {}
    deadline = time.monotonic() + RELEASE_SECONDS
    while taken := [f"{chosen[option]} ({name})" for option, name in options.items() if not is_free(chosen[option])]:
        if time.monotonic() > deadline:
            raise ToolchainError(
                f"port {', '.join(sorted(taken))} of the embedded cluster is used by another process. End that "
                f"process, or give up the cluster's content and get new ports: `{command('delete')}`, then start"
            )
        time.sleep(0.05)


def _record(folder: Path, component: str, number: int | None) -> None:
    """Make kwokctl's process number on file true: it would trust, and later kill, whatever has that number."""
    file = folder / "pids" / f"{component}.pid"
    file.parent.mkdir(parents=True, exist_ok=True)
    if number is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(str(number), encoding="utf-8")


def _end_kwokctl(profile: Profile) -> None:
    """End a kwokctl whose caller was killed. Call it with the lock held: no other call can be under way then."""
    processes.terminate([number for name, number in processes.running(folder(profile)).items() if name == "kwokctl"])


def _kwokctl(profile: Profile, *arguments: str) -> None:
    # Run from our folder, so that a call left over by a killed caller is recognised.
    program = folder(profile) / "kwokctl"
    point(program, binary(KWOK_TOOL, "kwokctl"))
    kubectl = binary(KUBERNETES_TOOL, "kubectl").parent
    environment = {
        "HOME": str(folder(profile)),
        "KWOK_WORKDIR": str(folder(profile)),
        "PATH": f"{kubectl}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    words = [*profile.enter, str(program), "--name", NAME, *arguments]
    try:
        done = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_SECONDS,
            check=False, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"kwokctl took more than {START_SECONDS} s; {last_words(profile)}") from error
    if done.returncode != 0:
        raise ToolchainError(f"kwokctl failed:\n    {done.stderr.strip()}\n{last_words(profile)}")
