"""The Docker target: the networks, volumes and containers of each workload on one engine.

Creates what `networks` and `containers` render and adds nothing but secret content and the order of things.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Self

import pulumi
import pulumi_docker as docker

from components.core.catalogue import CATALOGUE
from components.core.component import Component
from components.core.site import Names
from components.core.workload import Container, Workload
from components.targets.docker.containers import (
    directories_of,
    render_files,
    render_process,
    render_sandbox,
    render_volumes,
)
from components.targets.docker.naming import DockerNames, Naming, Properties
from components.targets.docker.networks import reached_networks, render_networks


class Docker:
    """One environment on one engine."""

    kind = "docker"

    def __init__(self, environment: str, host: str, registry: str = "") -> None:
        self.names: Names = DockerNames()
        self.naming = Naming(environment)
        sandbox = CATALOGUE["sandbox"].reference
        self.sandbox_image = f"{registry}/{sandbox}" if registry else sandbox
        self.made: list[pulumi.Resource] = []
        self._provider = docker.Provider("docker", host=host)
        self._networks: dict[str, DockerObject] = {}
        self._serving: dict[str, list[pulumi.Resource]] = {}
        self._after: tuple[pulumi.Resource, ...] = ()

    def growth(self) -> None:
        """Nothing: volumes have no size here."""

    def following(self, services: Iterable[str]) -> Self:
        """The same target, for what must start after these services can serve."""
        later = copy(self)
        later._after = tuple(resource for service in services for resource in self._serving.get(service, ()))
        return later

    def realise(
        self, parent: Component, workload: Workload, secrets: Mapping[str, pulumi.Input[str]]
    ) -> list[pulumi.Resource]:
        """Create everything of the workload below `parent`. Raises KeyError for a slot without content.

        Workloads of one service share its networks. Who is waited for takes one of Pulumi's few workers, and so must
        never wait itself for what is yet to be created: of instances that find each other first, only the last is.
        """
        content = {slot: pulumi.Output.secret(secrets[slot]) for slot in workload.slots}
        made = self._networks_of(parent, workload)
        joined = [*made, *(self._networks[name] for name in reached_networks(workload, self.naming))]
        serving: list[pulumi.Resource] = []
        last = (workload.autoscale.minimum if workload.autoscale else workload.replicas) - 1
        for index in range(last + 1):
            alone = index == last or not workload.parallel_start
            in_order = serving if workload.stateful and alone else []
            instance = _Instance(self, parent, workload, index, content, awaited=alone and not workload.background)
            serving = [*serving, *instance.create(joined, [*self._after, *in_order])]
        # What makes backups is no part of its service: nobody waits for it.
        self._serving.setdefault(workload.service, []).extend(serving)
        return [*made, *serving]

    def _networks_of(self, parent: Component, workload: Workload) -> "list[DockerObject]":
        networks = []
        for role, properties in render_networks(workload, self.naming).items():
            name = str(properties["name"])
            if name not in self._networks:
                self._networks[name] = self.create(parent, f"{parent.name}-{role}", "network:Network", properties)
            networks.append(self._networks[name])
        return networks

    def create(
        self,
        parent: Component,
        name: str,
        kind: str,
        properties: Mapping[str, Any],
        after: Sequence[pulumi.Resource] = (),
    ) -> "DockerObject":
        """Create one object. Names on an engine are unique, so what is replaced goes first."""
        options = pulumi.ResourceOptions(
            parent=parent,
            provider=self._provider,
            depends_on=list(after),
            delete_before_replace=True,
            # The provider reports a changed health check as done without changing it.
            replace_on_changes=["healthcheck"] if "healthcheck" in properties else None,
        )
        resource = DockerObject(kind, name, properties, options)
        self.made.append(resource)
        return resource


class _Instance:
    """Creates the volumes and containers of one instance."""

    def __init__(
        self,
        target: Docker,
        parent: Component,
        workload: Workload,
        index: int,
        content: Mapping[str, pulumi.Output[str]],
        *,
        awaited: bool,
    ) -> None:
        self._target = target
        self._parent = parent
        self._workload = workload
        self._index = index
        self._content = content
        self._awaited = awaited
        self._holders: dict[tuple[str, ...], DockerObject] = {}

    def create(self, networks: "Sequence[DockerObject]", after: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        """Everything of the instance; its processes start after `after`, and the main one before those that are waited
        for. Returns the processes."""
        target, workload = self._target, self._workload
        volumes = {
            str(properties["name"]): self._make(f"{name}-volume", "volume:Volume", properties)
            for name, properties in render_volumes(workload, self._index, target.naming).items()
        }
        names = [network.named for network in networks]
        sandbox = render_sandbox(workload, self._index, target.naming, target.sandbox_image, names)
        holder = self._make("sandbox", "container:Container", sandbox)
        made: list[pulumi.Resource] = []
        for group in _in_turns(workload.containers):
            earlier = [*after, *made]
            made += [self._create_process(container, holder, volumes, earlier) for container in group]
        return made

    def _create_process(
        self,
        container: Container,
        sandbox: "DockerObject",
        volumes: "Mapping[str, DockerObject]",
        after: Sequence[pulumi.Resource],
    ) -> "DockerObject":
        properties = render_process(
            self._workload,
            self._index,
            self._target.naming,
            container,
            awaited=self._awaited and not container.asked,
        )
        # What is replaced takes along who has its id or name: a process never stays in a network that is gone.
        properties["networkMode"] = pulumi.Output.concat("container:", sandbox.id)
        own: Any = properties["volumes"]
        mounts = [{**mount, "volumeName": volumes[mount["volumeName"]].named} for mount in own]
        files = self._files_of(container)
        if files:
            # The provider has no effect of `readOnly` here; the engine takes the mode from the reference itself.
            mounts.append({"fromContainer": pulumi.Output.concat(files.named, ":ro")})
        properties["volumes"] = mounts
        return self._make(container.name, "container:Container", properties, after)

    def _files_of(self, container: Container) -> "DockerObject | None":
        """The container with its files; containers that see the same directories share one."""
        directories = directories_of(self._workload, container)
        if directories and directories not in self._holders:
            target = self._target
            properties = render_files(
                self._workload, self._index, target.naming, target.sandbox_image, container, self._content
            )
            self._holders[directories] = self._make(f"{container.name}-files", "container:Container", properties)
        return self._holders.get(directories)

    def _make(
        self, role: str, kind: str, properties: Properties, after: Sequence[pulumi.Resource] = ()
    ) -> "DockerObject":
        name = f"{self._workload.name}-{self._index}-{role}"
        return self._target.create(self._parent, name, kind, properties, after)


def _in_turns(containers: Sequence[Container]) -> list[list[Container]]:
    """The containers of an instance as they start: what others ask for something, the main process, helpers that nobody
    waits for, and each of the others."""
    main, *others = containers
    helpers = [container for container in others if not container.asked]
    return [
        [container for container in others if container.asked],
        [main],
        [container for container in helpers if not container.readiness.command],
        *([container] for container in helpers if container.readiness.command),
    ]


class DockerObject(pulumi.CustomResource):
    """Any object of an engine, by its plain properties. The generated classes would add nothing to them."""

    def __init__(self, kind: str, name: str, properties: Mapping[str, Any], options: pulumi.ResourceOptions) -> None:
        super().__init__(f"docker:index/{kind}", name, dict(properties), options)

    @property
    def named(self) -> pulumi.Output[str]:
        """Its name as an output: whoever takes it depends on it."""
        name: pulumi.Output[str] = self.__dict__["name"]
        return name
