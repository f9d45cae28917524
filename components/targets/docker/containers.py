"""Workload -> the containers of one instance, as plain data: golden files show exactly what is deployed. Pure.

An instance is to Docker what a pod is to Kubernetes: containers that share one network and one host name, which a
sandbox holds, so that a process that ends and starts again finds both unchanged. Its files lie in volumes of a
container that never runs: uploads go to the root file system, and that of everything that runs is read-only. Docker
documentation, "docker container create".
"""

from collections.abc import Mapping, Sequence
from posixpath import dirname

import pulumi

from components.core.types import bytes_of
from components.core.workload import Container, Probe, Scratch, Workload
from components.targets.docker.naming import Naming, Properties, listed
from components.targets.docker.networks import published_ports

SANDBOX = "sandbox"
_SANDBOX_UID = 65534
_SANDBOX_MEMORY = 64
"""Mebibytes for a sleeping process and the requests of its health check."""
_MEBIBYTE = 2**20
_LOGS = {"max-size": "10m", "max-file": "3"}


def directories_of(workload: Workload, container: Container) -> tuple[str, ...]:
    """Directories of a container's files, each a volume of its own: a read-only root takes no uploads."""
    found = {dirname(path) for path in (*(f.path for f in workload.files), *(s.path for s in workload.secrets))}
    return tuple(sorted(directory for directory in found if _sees(container, directory)))


def shared_scratch(workload: Workload) -> tuple[str, ...]:
    """Names of the scratch spaces that several containers of an instance see."""
    return tuple(s.name for s in workload.scratch if sum(_sees(c, s.path) for c in workload.containers) > 1)


def render_volumes(workload: Workload, index: int, naming: Naming) -> dict[str, Properties]:
    """The named volumes of an instance, and memory for the scratch space that several containers see."""
    shared = shared_scratch(workload)
    options: dict[str, Properties] = {volume.name: {} for volume in workload.volumes}
    for scratch in workload.scratch:
        if scratch.name in shared:
            mount = _in_memory(scratch, workload.uid)
            options[scratch.name] = {"driverOpts": {"type": "tmpfs", "device": "tmpfs", "o": mount}}
    labels = listed(naming.labels(workload))
    return {
        name: {"name": naming.part(workload.name, index, name), "driver": "local", **more, "labels": labels}
        for name, more in options.items()
    }


def render_sandbox(
    workload: Workload, index: int, naming: Naming, image: str, networks: Sequence[pulumi.Input[str]]
) -> Properties:
    """The container that holds an instance's network and publishes its ports."""
    instance = f"{workload.name}-{index}"
    return {
        **_hardened(_SANDBOX_UID, image, _SANDBOX_MEMORY, "10m"),
        "name": naming.instance(workload.name, index),
        "hostname": instance,
        "entrypoints": ["sleep"],
        "command": ["infinity"],
        "init": True,
        "networksAdvanced": [{"name": network, "aliases": [workload.name, instance]} for network in networks],
        # A name that is gone must fail at once. The engine would ask upstream, whom closed networks don't reach, and
        # hold the asker for seconds: Sentinels would never agree. With this it keeps names without a dot to itself.
        "dnsOpts": ["ndots:1"],
        "dnsSearches": ["."],
        "ports": [
            {"internal": port, "external": outside, "ip": "127.0.0.1", "protocol": "tcp"}
            for outside, port in published_ports(workload).items()
        ],
        "labels": listed(naming.container_labels(workload, index, SANDBOX)),
        **_sandbox_health(workload),
    }


def render_files(
    workload: Workload,
    index: int,
    naming: Naming,
    image: str,
    container: Container,
    content: Mapping[str, pulumi.Input[str]],
) -> Properties:
    """The container that holds the files of another one and never runs. `content`: of each secret slot.

    Secret files are readable by root's group, which the process is in besides its own.
    """
    uploads: list[Properties] = [
        {"file": file.path, "content": file.content, "permissions": f"0{file.mode:o}"}
        for file in workload.files
        if _sees(container, dirname(file.path))
    ]
    uploads += [
        {"file": secret.path, "content": content[secret.slot], "permissions": "0440"}
        for secret in workload.secrets
        if _sees(container, dirname(secret.path))
    ]
    return {
        "name": naming.part(workload.name, index, f"{container.name}-files"),
        "image": image,
        "entrypoints": ["true"],
        "start": False,
        "mustRun": False,
        "networkMode": "none",
        "user": _user(workload.uid),
        "volumes": [{"containerPath": directory} for directory in directories_of(workload, container)],
        "uploads": uploads,
        "labels": listed(naming.container_labels(workload, index, f"{container.name}-files")),
    }


def render_process(
    workload: Workload, index: int, naming: Naming, container: Container, *, awaited: bool
) -> Properties:
    """One process of an instance. The names of the containers it leans on are put in by whoever creates it.

    `awaited`: whether `up` goes on once its health check passes, where it has one.
    """
    properties: Properties = {
        **_hardened(workload.uid, container.image, bytes_of(container.memory) // _MEBIBYTE, container.cpu),
        "name": naming.part(workload.name, index, container.name),
        "groupAdds": ["0"],
        "stopTimeout": workload.grace_seconds,
        "destroyGraceSeconds": workload.grace_seconds,
        "tmpfs": _private_scratch(workload, container),
        "volumes": _volumes(workload, index, naming, container),
        "labels": listed(naming.container_labels(workload, index, container.name)),
    }
    if container.command:
        properties["entrypoints"] = [container.command[0]]
        properties["command"] = [*container.command[1:], *container.args]
    elif container.args:
        properties["command"] = list(container.args)
    if container.env:
        properties["envs"] = [f"{name}={value}" for name, value in sorted(container.env.items())]
    if container.readiness.command:
        properties |= _health(container.readiness.command, container.readiness, _grace(container))
        if awaited:
            # What one does first, as bringing back a backup, another waits for.
            longest = max(60, *map(_grace, workload.containers))
            patience = longest + container.readiness.period * container.readiness.failures
            properties |= {"wait": True, "waitTimeout": patience}
    return properties


def _grace(container: Container) -> int:
    """Seconds that it may take to start."""
    return container.startup.period * container.startup.failures if container.startup else 0


def _sees(container: Container, directory: str) -> bool:
    return not container.mounts or directory in container.mounts


def _user(uid: int) -> str:
    return f"{uid}:{uid}"


def _hardened(uid: int, image: str, memory: int, cpu: str) -> Properties:
    """What holds for everything that runs. Docker's default seccomp profile is in force, since none else is named."""
    millicores = int(cpu[:-1]) if cpu.endswith("m") else int(float(cpu) * 1000)
    return {
        "image": image,
        "user": _user(uid),
        "readOnly": True,
        "capabilities": {"drops": ["ALL"]},
        "securityOpts": ["no-new-privileges:true"],
        "memory": memory,
        "memorySwap": memory,
        "cpuShares": max(2, millicores * 1024 // 1000),
        "restart": "unless-stopped",
        "logDriver": "json-file",
        "logOpts": _LOGS,
    }


def _private_scratch(workload: Workload, container: Container) -> dict[str, str]:
    shared = shared_scratch(workload)
    return {
        s.path: _in_memory(s, workload.uid)
        for s in workload.scratch
        if s.name not in shared and _sees(container, s.path)
    }


def _in_memory(scratch: Scratch, uid: int) -> str:
    """Options of a scratch space as a file system in memory. tmpfs(5)."""
    return f"size={bytes_of(scratch.size)},uid={uid},gid={uid},mode=0700"


def _volumes(workload: Workload, index: int, naming: Naming, container: Container) -> list[Properties]:
    shared = shared_scratch(workload)
    places = [(v.name, v.path) for v in workload.volumes] + [(s.name, s.path) for s in workload.scratch]
    wanted = {v.name for v in workload.volumes} | set(shared)
    return [
        {"volumeName": naming.part(workload.name, index, name), "containerPath": path}
        for name, path in places
        if name in wanted and _sees(container, path)
    ]


def _sandbox_health(workload: Workload) -> Properties:
    """HTTPS probes ask from outside the process, as a Kubernetes node does: its image need not have a client."""
    probes = [container.readiness for container in workload.containers if container.readiness.path]
    if not probes:
        return {}
    urls = [word for p in probes for word in ("-o", "/dev/null", f"https://127.0.0.1:{p.port}{p.path}")]
    slowest = max(probes, key=lambda probe: probe.timeout)
    first = min(probes, key=lambda probe: probe.period)
    command = ("curl", "--fail", "--fail-early", "--silent", "--insecure", "--max-time", str(slowest.timeout), *urls)
    limits = Probe(period=first.period, timeout=slowest.timeout * len(probes) + 1, failures=slowest.failures)
    return _health(command, limits, max(map(_grace, workload.containers)))


def _health(command: Sequence[str], probe: Probe, grace: int) -> Properties:
    return {
        "healthcheck": {
            "tests": ["CMD", *command],
            "interval": f"{probe.period}s",
            "timeout": f"{probe.timeout}s",
            "retries": probe.failures,
            "startPeriod": _duration(grace),
        }
    }


def _duration(seconds: int) -> str:
    """As the provider writes it back, so that a refresh finds no difference: Go's time.Duration.String."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
