"""A process and what it needs, target-neutral and plain: the result of every plan we run ourselves.

Holds no Output: secret content is named by a slot and handed to the target beside the plan. Targets turn it into
resources; nothing here knows how.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from components.core.bindings import Reach


@dataclass(frozen=True)
class Listener:
    """A port a container listens on."""

    name: str
    """At most 15 characters, unique in the workload: `redis`, `metrics`."""
    port: int
    protocol: str
    """Application protocol: https, postgresql, redis, ..."""
    tls: Literal["server", "mutual"]
    """`server`: the server proves itself. `mutual`: a client without a certificate is refused."""
    service: bool = True
    """Whether the service's own name reaches it; metrics ports are scraped pod by pod and set False."""
    published: int = 0
    """Port by which the service's own name offers it, where that is another one: 443 for a process without rights."""

    def facts(self) -> dict[str, str | int]:
        """The listener as plain data, as policies and the inventory see it."""
        return {"name": self.name, "port": self.port, "protocol": self.protocol, "tls": self.tls}


@dataclass(frozen=True)
class File:
    """A configuration file. Never holds a secret. File names are unique within a workload."""

    path: str
    content: str
    mode: int = 0o444


@dataclass(frozen=True)
class SecretFile:
    """A file whose content is the secret in `slot`; readable by the process's group only."""

    path: str
    slot: str
    kept_in: str = ""
    """Secret of the namespace that has the slot already; for workloads that only Kubernetes runs. Empty: the content is
    handed in with the workload."""


@dataclass(frozen=True)
class Volume:
    """Storage that outlives the process: one per instance."""

    name: str
    path: str
    size: str


@dataclass(frozen=True)
class Scratch:
    """Space that dies with the instance; needed since the root file system is read-only."""

    name: str
    path: str
    size: str = "64Mi"


@dataclass(frozen=True)
class Probe:
    """A health check: a command in the container, or an HTTPS request to one of its ports."""

    command: tuple[str, ...] = ()
    path: str = ""
    port: int = 0
    period: int = 10
    """Seconds between two checks."""
    timeout: int = 3
    """Seconds until a check counts as failed."""
    failures: int = 3
    """Failed checks in a row until it counts."""


@dataclass(frozen=True)
class Container:
    """One process of an instance. The first container of a workload is its main process."""

    name: str
    image: str
    readiness: Probe
    """Whether it can serve now."""
    liveness: Probe
    """Whether it must be restarted; checks less than readiness does."""
    cpu: str
    memory: str
    startup: Probe | None = None
    """How long it may take to start; the other probes wait for it."""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    zone_variable: str = ""
    """Variable that says which zone the instance is in, where the target knows more than one."""
    listeners: tuple[Listener, ...] = ()
    mounts: tuple[str, ...] = ()
    """Directories it sees; empty: all of the workload's."""
    asked: bool = False
    """Whether the others of its instance can't start without it: it is there before they are, and while they wait."""


@dataclass(frozen=True)
class Autoscale:
    """Bounds of horizontal scaling and the mean CPU use, in percent of the request, that it aims at."""

    minimum: int
    maximum: int
    cpu_percent: int


@dataclass(frozen=True)
class Workload:
    """Equal instances of one process (with its helpers), their files, storage and network edges."""

    name: str
    kind: str
    version: str
    containers: tuple[Container, ...]
    owner: str
    data_class: str
    uid: int
    """User and group id every process runs as; never 0."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """Annotations of its account by which a cloud knows it; for workloads that only Kubernetes runs."""
    account: str = ""
    """Workload whose account it runs as; neither is given a token. Empty: it has one of its own."""
    background: bool = False
    """Whether it works on its own: nobody waits for it, and it may be away for a while, so that no disruption budget
    guards it."""
    part: str = ""
    """What it is of a service that has several workloads. Its name is that of the service, `-` and this, or the
    service's own where it is the one that clients dial. Empty: all."""
    replicas: int = 1
    stateful: bool = False
    """Instances have a stable name and their own volumes, and start and stop in order."""
    headless: bool = False
    """Clients may choose among the instances, though these have no stable names: DNS lists those that are ready."""
    files: tuple[File, ...] = ()
    secrets: tuple[SecretFile, ...] = ()
    volumes: tuple[Volume, ...] = ()
    scratch: tuple[Scratch, ...] = ()
    callers: tuple[Reach, ...] = ()
    """Services that may connect to this one, and to which of its ports."""
    reaches: tuple[Reach, ...] = ()
    """Services that this one connects to."""
    peers: tuple[int, ...] = ()
    """Ports on which instances of the service talk to these; none: instances don't know of each other."""
    public: bool = False
    """Whether clients from outside the environment may connect to its service ports."""
    publish: int = 0
    """Port of this machine's loopback address that leads to the first listener, where the target runs on this machine.
    0: the port by which a public service is offered; none for others."""
    autoscale: Autoscale | None = None
    parallel_start: bool = False
    """Stateful instances start all at once; needed where a quorum must form before any of them is ready."""
    grace_seconds: int = 30
    """Time a process has to finish after it was told to stop."""
    drain_seconds: int = 0
    """Time between leaving the service's addresses and being told to stop, for processes that don't wait themselves."""
    restart_on_secrets: bool = True
    """Whether changed secrets restart the instances; False where the server reloads files by itself."""

    @property
    def service(self) -> str:
        """The service that it is, or is a part of."""
        return self.name.removesuffix(f"-{self.part}") if self.part else self.name

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Every listener of every container."""
        return tuple(listener for container in self.containers for listener in container.listeners)

    @property
    def slots(self) -> tuple[str, ...]:
        """Names of the secrets that must be handed in with this workload."""
        return tuple(dict.fromkeys(secret.slot for secret in self.secrets if not secret.kept_in))
