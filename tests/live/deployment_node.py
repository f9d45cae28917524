"""An environment on the toolchain's cluster with a real node: pods told of by the API, processes found by their group.

The kubelet puts the processes of a container into a control group of its own that bears the container's number, and
all of them are processes of this machine.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from tests.live.deployment import Insider, Inventory, Listener, Process
from tests.live.groups import first_processes, members
from tests.live.network_policies import allowances
from tests.support.checkout import Checkout
from toolchain.processes import running
from toolchain.waiting import wait_until

_INSTANCE = "app.kubernetes.io/instance"
_POOLER = "cnpg.io/poolerName"
_INTERFACES = Path("/sys/class/net")
_GROUPS = Path("/sys/fs/cgroup")
_NUMBERED = re.compile(r"-[0-9]+$")
_NODE = "node"
_RESTART_SECONDS = 300
_POOL, _POOLED = "pgbouncer", "postgres"
"""Containers of a replicated PostgreSQL."""
_OF_POOL = {"postgresql", "pooler-metrics"}
_POSTGRES, _STATUS, _MANAGER = 5432, 8000, 8010
_AMONG_PEERS = {"events": {25672}, "bus": {6222}, "log": {9090, 9091}}
"""On which ports the servers of a broker talk to one another; those of other services do so where clients do."""


class NodeDeployment:
    """An environment on the cluster with a real node that belongs to a checkout."""

    target = "node"

    def __init__(self, environment: str, checkout: Checkout) -> None:
        self._checkout = checkout
        self._environment = environment
        self._namespace = f"groundwork-{environment}"
        self._claimed: set[str] = set()

    def processes(self) -> list[Process]:
        """The first process of each container that runs now."""
        first = first_processes()
        return [
            Process(_service(pod), instance, status["name"], first[number])
            for instance, pod in self._pods().items()
            for status in pod["status"].get("containerStatuses", ())
            if (number := str(status.get("containerID", "")).rpartition("/")[2]) in first
        ]

    def addresses(self) -> dict[str, list[str]]:
        """The address of each pod."""
        return {instance: [pod["status"]["podIP"]] for instance, pod in self._pods().items() if _has_address(pod)}

    def connected(self, inventory: Inventory, source: Process, target: Process, port: int) -> bool:
        """Whether policies let `source` call `target`: along edges, and between the peers of a stateful service.

        Consumers of a replicated PostgreSQL reach its pooler alone, and the pooler its instances.
        """
        facts, is_edge = inventory[target.service], target.service in inventory[source.service]["uses"]
        if target.container == _POOLED:
            if source.service == target.service:
                return port in (_POSTGRES, _STATUS) if source.container == _POOLED else port == _POSTGRES
            return False
        among_peers = source.service == target.service and facts["stateful"] and target.container != _POOL
        if among_peers and target.service in _AMONG_PEERS:
            return port in _AMONG_PEERS[target.service]
        return port in facts["ports"] and (is_edge or among_peers)

    def names(self, process: Process, service: Sequence[str], *, stateful: bool) -> list[str]:
        """The operator's own services lead to PostgreSQL's instances; other peers have a name below `-peers`."""
        if process.container == _POOLED:
            short = [f"{process.service}-{role}" for role in ("rw", "r", "ro")]
            return [*short, *(f"{name}.{self._namespace}.svc" for name in short)]
        peers = f"{process.instance}.{process.service}-peers.{self._namespace}.svc"
        return [*service, peers] if stateful and process.container != _POOL else list(service)

    def declared(self, process: Process, listeners: Sequence[Listener]) -> list[Listener]:
        """PostgreSQL's instances and its pooler share what the service declares."""
        if process.container == _POOL:
            return [one for one in listeners if one["name"] in _OF_POOL]
        if process.container == _POOLED:
            return [one for one in listeners if one["name"] not in _OF_POOL - {"postgresql"}]
        return list(listeners)

    def is_foreign(self, process: Process, address: str, port: int) -> bool:
        """Whether it is where CloudNativePG's instance manager serves the commands that PostgreSQL starts beside it.

        It does so in plaintext, and to its own pod alone; no setting of the operator's closes it.
        """
        return process.container == _POOLED and (address, port) == ("127.0.0.1", _MANAGER)

    def is_operated(self, process: Process) -> bool:
        """Whether CloudNativePG does, which fetches them from the API server."""
        return process.container in (_POOL, _POOLED)

    def insider(self, process: Process) -> Insider | None:
        """The pooler, for instances of PostgreSQL."""
        if process.container != _POOLED:
            return None
        pooler = next(one for one in self.processes() if (one.service, one.container) == (process.service, _POOL))
        files = pooler.root / "controller/configs/server-tls"
        return Insider(f"{process.service}-pooler", "postgres", files)

    def published(self) -> set[tuple[str, int]]:
        """Ports of the node that lead to a service: none, unless somebody asked for one."""
        services = self._get("services")
        return {
            (service["spec"]["clusterIP"], port["nodePort"])
            for service in services
            for port in service["spec"]["ports"]
            if "nodePort" in port
        }

    def address(self, service: str) -> str:
        """This machine has routes to the cluster's services."""
        return str(self._get("service", name=service)[0]["spec"]["clusterIP"])

    def told(self) -> Iterator[tuple[str, str]]:
        """What `kubectl get` and `kubectl logs` print of each pod."""
        for pod in self._pods().values():
            name = pod["metadata"]["name"]
            yield f"kubectl get pod {name}", json.dumps(pod)
            yield f"kubectl logs {name}", self._kubectl("logs", name, "--all-containers")

    @contextmanager
    def opened(self, source: str, target: str) -> Iterator[None]:
        """A policy that nobody declared: one pod may call another."""
        pods = self._pods()
        policies = allowances(pods[source], pods[target])
        listed = {"apiVersion": "v1", "kind": "List", "items": policies}
        self._kubectl("apply", "--filename=-", stdin=json.dumps(listed))
        try:
            yield
        finally:
            self._kubectl("delete", "networkpolicy", *(policy["metadata"]["name"] for policy in policies))

    def lose(self, instance: str) -> None:
        """Kill every process of the pod, that of its network included, and delete it: another one takes its place."""
        pod = self._pods()[instance]["metadata"]
        for number, group in members():
            if f"/pod{pod['uid']}/" in group:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        self._kubectl("delete", "pod", pod["name"], "--grace-period=0", "--force")

    def note(self) -> None:
        """Volumes bear no label."""
        self._claimed |= {claim["spec"].get("volumeName", "") for claim in self._get("persistentvolumeclaims")}

    def remains(self) -> list[str]:
        """The namespace, its volumes, and processes of its pods."""
        found = [f"namespace {self._namespace}" for _ in self._get("namespace", name=self._namespace)]
        volumes = (volume["metadata"]["name"] for volume in self._get("persistentvolumes"))
        found += [f"volume {name}" for name in volumes if name in self._claimed]
        return found

    def is_ready(self, service: str) -> bool:
        """Whether its set has as many ready pods as it wants."""
        found = self._get("statefulset", name=service)[0]
        return bool(found["status"].get("readyReplicas") == found["spec"]["replicas"])

    def restart(self, service: str) -> None:
        """Restart the instances of a stateful service one by one, as a changed password does; returns at its end.

        `kubectl rollout restart` would leave a note in the set: whoever makes that anew restarts them once more.
        """
        for pod in sorted((name for name in self._pods() if name.rpartition("-")[0] == service), reverse=True):
            before = self._pods()[pod]["metadata"]["uid"]
            self._kubectl("delete", "pod", pod)
            wait_until(pod, _RESTART_SECONDS, partial(self._is_another, pod, before), lambda: "see its events")

    def _is_another(self, pod: str, uid: str) -> bool:
        """Whether another pod has taken the place of the one with this uid, and serves."""
        found = self._pods().get(pod)
        if not found or found["metadata"]["uid"] == uid:
            return False
        return any(one["type"] == "Ready" and one["status"] == "True" for one in found["status"].get("conditions", []))

    def primary(self, service: str) -> str:
        """The instance of a replicated PostgreSQL that takes writes."""
        return str(self._status(service)["currentPrimary"])

    def is_whole(self, service: str) -> bool:
        """Whether every instance of a replicated PostgreSQL is ready."""
        status = self._status(service)
        return bool(status.get("readyInstances") == status["instances"])

    def _status(self, service: str) -> Any:
        return self._get("clusters.postgresql.cnpg.io", name=service)[0]["status"]

    @contextmanager
    def full(self) -> Iterator[None]:
        """No room for another pod: what is lost stays away, as with a node that is gone."""
        self._kubectl("cordon", _NODE)
        try:
            yield
        finally:
            self._kubectl("uncordon", _NODE)

    @contextmanager
    def without_kubelet(self) -> Iterator[None]:
        """Kill the kubelet; afterwards it is started as a person does who finds the node's programs incomplete."""
        os.kill(running(self._folder / "bin")["kubelet"], signal.SIGKILL)
        try:
            yield
        finally:
            done = self._checkout.run_toolchain("cluster", "start", "--node")
            assert done.returncode == 0, done.stdout + done.stderr

    def end(self) -> list[str]:
        """Delete the cluster; returns what is left of it on this machine."""
        interface = next((path.parent for path in _INTERFACES.glob("*/ifalias") if self._owns(path)), None)
        done = self._checkout.run_toolchain("cluster", "delete", "--node")
        assert done.returncode == 0, done.stderr
        if interface is None:
            return []
        groups = [str(path) for path in _GROUPS.glob(f"**/{interface.name}")]
        processes = [f"process {number}" for number, group in members() if f"/{interface.name}/" in group]
        paths = (interface, self._folder)
        return [*(str(path) for path in paths if path.exists()), *groups, *processes]

    def _owns(self, alias: Path) -> bool:
        return alias.read_text(encoding="utf-8").strip().startswith(str(self._checkout.state_home))

    @property
    def _folder(self) -> Path:
        """Everything of the cluster."""
        return self._checkout.state_home / "groundwork/node"

    def _pods(self) -> dict[str, Any]:
        """Pods by the name of the instance: their own where that is numbered, else service and place in order."""
        found, others = {}, defaultdict(list)
        for pod in self._get("pods"):
            if pod["status"]["phase"] != "Running" or "deletionTimestamp" in pod["metadata"]:
                continue
            owner = pod["metadata"]["ownerReferences"][0]
            if owner["kind"] in ("StatefulSet", "Cluster") and _NUMBERED.search(pod["metadata"]["name"]):
                found[pod["metadata"]["name"]] = pod
            elif owner["kind"] == "ReplicaSet":
                others[pod["metadata"]["labels"].get(_POOLER) or _service(pod)].append(pod)
        for name, pods in others.items():
            ordered = sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
            found |= {f"{name}-{number}": pod for number, pod in enumerate(ordered)}
        return found

    def _get(self, kind: str, *, name: str = "") -> list[Any]:
        words = ["get", kind, "--ignore-not-found", "--output=json", *([name] if name else [])]
        printed = self._kubectl(*words)
        answer = json.loads(printed) if printed.strip() else {"items": []}
        return list(answer["items"]) if "items" in answer else [answer]

    def _kubectl(self, *args: str, stdin: str | None = None) -> str:
        return self._checkout.kubectl("--namespace", self._namespace, *args, stdin=stdin, node=True)


def _service(pod: Any) -> str:
    """CloudNativePG labels its poolers by their own name alone."""
    labels = pod["metadata"]["labels"]
    return str(labels.get("cnpg.io/cluster") or labels[_INSTANCE])


def _has_address(pod: Any) -> bool:
    return bool(pod["status"].get("podIP"))
