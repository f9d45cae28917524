"""The processes behind the embedded cluster: etcd, API server, controller manager, scheduler and kwok, by kwokctl.

Knows processes; what the cluster contains is the business of `cluster.py`. etcd has no access control of its own: who
can log in to this machine can read the cluster, so it is for development and tests. kwokctl runs with an environment
and a home folder of its own and sees no other kubeconfig.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from toolchain import processes
from toolchain.cluster_files import (
    COMPONENTS,
    NAME,
    Component,
    binary,
    choose_ports,
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


def alive() -> dict[str, int]:
    """Component -> process number, for the components that run."""
    return processes.running(work_folder() / "bin")


def down() -> list[str]:
    """Names of the components that do not run."""
    present = alive()
    return [component.name for component in COMPONENTS if component.name not in present]


def create() -> None:
    """Choose ports, then let kwokctl make the cluster's files and start its processes."""
    content = json.dumps(configuration(choose_ports()), indent=1)
    folder().mkdir(parents=True, exist_ok=True)
    folder().chmod(0o700)
    (folder() / "kwokctl.json").write_text(content, encoding="utf-8")
    # Without leases: a kwok that starts again would leave the nodes alone until those of the killed one have run out.
    options = {"--kubeconfig": "", "--wait": "0s", "--node-lease-duration-seconds": "0"}
    words = [word for option in options.items() for word in option]
    _kwokctl("--config", str(folder() / "kwokctl.json"), "create", "cluster", *words)
    write_kubeconfig()


def start() -> None:
    """Start the components that do not run; current programs replace those of an older toolchain."""
    _end_kwokctl()
    present = alive()
    _require_ports([component for component in COMPONENTS if component.name not in present])
    for component in COMPONENTS:
        point(work_folder() / "bin" / component.name, binary(component.tool, component.binary))
        _record(component.name, present.get(component.name))
    _kwokctl("start", "cluster", "--wait", "0s")


def stop() -> int:
    """End every process of the cluster, etcd last; returns how many there were."""
    _end_kwokctl()
    present = alive()
    last = [number for name, number in present.items() if name == "etcd"]
    processes.terminate([number for number in present.values() if number not in last])
    processes.terminate(last)
    return len(present)


def remove() -> None:
    """Stop the cluster and delete everything of it."""
    stop()
    remove_tree(folder())


def last_words() -> str:
    """The end of the log of each component that does not run, for an error message."""
    logs = [work_folder() / "logs" / f"{name}.log" for name in down()]
    lines = [f"{log}:\n    " + "\n    ".join(_tail(log)) for log in logs if log.is_file()]
    return "\n".join(lines) or f"logs are in {work_folder() / 'logs'}"


def _tail(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]


def _require_ports(components: list[Component]) -> None:
    chosen = ports()
    options = {component.port_option: component.name for component in components}
    options |= {"etcdPeerPort": "etcd"} if "etcdPort" in options else {}
    taken = [f"{chosen[option]} ({name})" for option, name in options.items() if not is_free(chosen[option])]
    if taken:
        raise ToolchainError(
            f"port {', '.join(sorted(taken))} of the embedded cluster is used by another process. End that process, or "
            "give up the cluster's content and get new ports: `python3 -m toolchain cluster delete`, then start"
        )


def _record(component: str, number: int | None) -> None:
    """Make kwokctl's process number on file true: it would trust, and later kill, whatever has that number."""
    file = work_folder() / "pids" / f"{component}.pid"
    file.parent.mkdir(parents=True, exist_ok=True)
    if number is None:
        file.unlink(missing_ok=True)
    else:
        file.write_text(str(number), encoding="utf-8")


def _end_kwokctl() -> None:
    """End a kwokctl whose caller was killed. Call it with the lock held: no other call can be under way then."""
    processes.terminate([number for name, number in processes.running(folder()).items() if name == "kwokctl"])


def _kwokctl(*arguments: str) -> None:
    # Run from our folder, so that a call left over by a killed caller is recognised.
    program = folder() / "kwokctl"
    point(program, binary(KWOK_TOOL, "kwokctl"))
    kubectl = binary(KUBERNETES_TOOL, "kubectl").parent
    environment = {
        "HOME": str(folder()),
        "KWOK_WORKDIR": str(folder()),
        "PATH": f"{kubectl}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
    command = [str(program), "--name", NAME, *arguments]
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_SECONDS,
            check=False, start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ToolchainError(f"kwokctl took more than {START_SECONDS} s; {last_words()}") from error
    if done.returncode != 0:
        raise ToolchainError(f"kwokctl failed:\n    {done.stderr.strip()}\n{last_words()}")
