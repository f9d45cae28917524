"""The embedded cluster as its users meet it: real processes in a state folder of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from toolchain import cluster, cluster_files, control_plane, operators, paths, processes
from toolchain import simulated_nodes as simulation
from toolchain.kube_api import ApiError
from toolchain.locate import locate, mode

MISSING = [
    tool.name
    for tool in {one.tool.name: one.tool for one in cluster_files.COMPONENTS}.values()
    if not locate(tool, mode())
]
pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; run `make toolchain`"),
]
THEIRS = "apiVersion: v1\nkind: Config\ncontexts: []\ncurrent-context: mine\n"
GARBAGE = "this is no kubeconfig: [\n"
CONTAINER = {
    "name": "main",
    "image": "registry.example/app:1",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
MOMENTS = ("kwokctl", f"clusters/{cluster_files.NAME}/bin/etcd")


def quiet(_: str) -> None:
    """A log that nobody reads."""


def await_true(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def command(*words: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "toolchain", "cluster", *words]
    return subprocess.Popen(line, cwd=paths.checkout(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(*words: str) -> tuple[int, str]:
    process = command(*words)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output + errors


def own_home(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A state folder of its own, and two kubeconfigs: one shows every write, the other fails every reader."""
    patch.setenv("XDG_CACHE_HOME", str(paths.cache_folder().parent))
    patch.setenv("XDG_STATE_HOME", str(folder / "state"))
    patch.setenv("HOME", str(folder))
    patch.setenv("KUBECONFIG", str(folder / "theirs"))
    (folder / ".kube").mkdir()
    (folder / ".kube" / "config").write_text(THEIRS)
    (folder / "theirs").write_text(GARBAGE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        own_home(folder, patch)
        try:
            yield folder
        finally:
            cluster.delete(quiet)


@pytest.fixture
def running(home: Path) -> cluster.Cluster:
    return cluster.ensure(log=quiet)


def namespace(name: str) -> str:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.connect().send("POST", "/api/v1/namespaces", body)
    return name


def pod_template(name: str, region: str) -> dict[str, Any]:
    place = {"matchExpressions": [{"key": "topology.kubernetes.io/region", "operator": "In", "values": [region]}]}
    spread = {
        "maxSkew": 1,
        "topologyKey": "topology.kubernetes.io/zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": name}},
    }
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [place]}}
    spec = {
        "securityContext": POD_SECURITY,
        "terminationGracePeriodSeconds": 1800,
        "affinity": {"nodeAffinity": required},
        "topologySpreadConstraints": [spread],
        "containers": [CONTAINER],
    }
    return {"metadata": {"labels": {"app": name}}, "spec": spec}


def stateful_set(name: str, storage_class: str, region: str) -> dict[str, Any]:
    template = pod_template(name, region)
    template["spec"]["containers"] = [{**CONTAINER, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": storage_class,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": 3,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": name}},
            "template": template,
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def pods(space: str, name: str) -> list[dict[str, Any]]:
    return list(cluster.connect().get(f"/api/v1/namespaces/{space}/pods?labelSelector=app%3D{name}")["items"])


def zones(space: str, name: str) -> set[str]:
    return {pod["spec"]["nodeName"].rsplit("-", 1)[0] for pod in pods(space, name)}


def runs(program: str) -> bool:
    return program in processes.running(cluster_files.folder())


def listening() -> set[tuple[str, int]]:
    """Address and port of every listening TCP socket, addresses as the kernel prints them."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A":
                address, port = local.split(":")
                found.add((address, int(port, 16)))
    return found


def test_it_is_created_once_and_left_alone_afterwards(home: Path) -> None:
    first = cluster.ensure(log=quiet)
    before = control_plane.alive()
    started = time.monotonic()
    second = cluster.ensure(log=quiet)
    assert time.monotonic() - started < 3
    assert (second.created, second.started, second.identity) == (False, False, first.identity)
    assert control_plane.alive() == before
    assert set(before) == {component.name for component in cluster_files.COMPONENTS}


def test_only_its_own_kubeconfig_is_read_or_written(running: cluster.Cluster, home: Path) -> None:
    code, output = run("kubectl", "--", "config", "current-context")
    assert (code, output.strip()) == (0, "groundwork-embedded")
    assert run("kubectl", "--", "get", "nodes")[0] == 0
    assert (home / ".kube" / "config").read_text() == THEIRS
    assert (home / "theirs").read_text() == GARBAGE
    assert sorted(path.name for path in (home / ".kube").iterdir()) == ["config"]
    assert running.kubeconfig.is_relative_to(home / "state")
    assert running.kubeconfig.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the socket table of Linux")
def test_it_listens_on_loopback_only(running: cluster.Cluster) -> None:
    ports = set(cluster_files.ports().values())
    assert {address for address, port in listening() if port in ports} == {"0100007F"}
    assert ports <= {port for _, port in listening()}


def test_killed_components_are_started_again_and_nothing_is_lost(running: cluster.Cluster) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"key": "value"}}
    cluster.connect().send("POST", "/api/v1/namespaces/default/configmaps", body)
    ports, numbers = cluster_files.ports(), control_plane.alive()
    for name in ("kube-apiserver", "etcd"):
        os.kill(numbers[name], signal.SIGKILL)
    await_true(lambda: set(control_plane.down()) == {"etcd", "kube-apiserver"})
    assert run("status")[0] == 3
    again = cluster.ensure(log=quiet)
    assert (again.created, again.started, again.identity) == (False, True, running.identity)
    assert cluster_files.ports() == ports
    assert cluster.connect().get("/api/v1/namespaces/default/configmaps/kept")["data"] == {"key": "value"}


def held(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port))


def test_a_stop_leaves_no_process_and_a_start_trusts_neither_old_numbers_nor_taken_ports(
    running: cluster.Cluster,
) -> None:
    assert run("stop")[0] == 0
    assert processes.running(cluster_files.folder()) == {}
    assert run("status")[0] == 3
    port = cluster_files.ports()["kubeSchedulerPort"]
    with held(port):
        code, output = run("start")
    assert code == 1
    assert f"port {port} (kube-scheduler) of the embedded cluster is used by another process" in output
    with held(port) as dying, subprocess.Popen(["sleep", "60"]) as stranger:
        # A killed process that gives its memory back is seen no more, and still has its ports.
        Timer(1.0, dying.close).start()
        (cluster_files.work_folder() / "pids" / "etcd.pid").write_text(str(stranger.pid))
        both = [command("start"), command("start")]
        outputs = [process.communicate(timeout=120) for process in both]
        assert [process.returncode for process in both] == [0, 0], outputs
        assert stranger.poll() is None
        stranger.kill()
    assert control_plane.down() == []
    assert run("status")[0] == 0
    assert cluster.ensure(log=quiet).identity == running.identity


def test_another_region_adds_nodes(running: cluster.Cluster) -> None:
    before = {node["metadata"]["name"] for node in simulation.existing(cluster.connect())}
    cluster.ensure("us-test-7", log=quiet)
    found = simulation.per_zone(simulation.existing(cluster.connect()))
    assert {zone: found[zone] for zone in ("us-test-7a", "us-test-7b", "us-test-7c")} == dict.fromkeys(
        ("us-test-7a", "us-test-7b", "us-test-7c"), (2, 2)
    )
    assert before <= {node["metadata"]["name"] for node in simulation.existing(cluster.connect())}


def test_custom_resources_are_served_and_validated(running: cluster.Cluster) -> None:
    api = cluster.connect()
    for definition in operators.DEFINITIONS:
        assert api.get(f"/apis/{definition.group}/v1/{definition.plural}")["items"] == []
    path = "/apis/postgresql.cnpg.io/v1/namespaces/default/clusters?dryRun=All&fieldValidation=Strict"
    spec: dict[str, Any] = {"instances": 3, "storage": {"size": "1Gi"}}
    body = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": {"name": "postgres"}, "spec": spec}
    assert api.send("POST", path, body)["spec"]["instances"] == 3
    with pytest.raises(ApiError, match=r"spec\.instances") as wrong_type:
        api.send("POST", path, {**body, "spec": {**spec, "instances": "three"}})
    with pytest.raises(ApiError, match=r"unknown field \"spec\.instance\"") as unknown_field:
        api.send("POST", path, {**body, "spec": {**spec, "instance": 3}})
    assert (wrong_type.value.status, unknown_field.value.status) == (422, 400)


def test_pods_are_placed_by_region_and_zone_with_volumes_and_go_with_their_namespace(
    running: cluster.Cluster,
) -> None:
    api, space = cluster.connect(), namespace("placed")
    rules = [
        {"key": "topology.kubernetes.io/region", "values": ["eu-central-1"]},
        {"key": "topology.kubernetes.io/zone", "values": ["eu-central-1a", "eu-central-1b", "eu-central-1c"]},
    ]
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "placed"},
        "provisioner": "kubernetes.io/host-path",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowedTopologies": [{"matchLabelExpressions": rules}],
    }
    api.send("POST", "/apis/storage.k8s.io/v1/storageclasses", storage_class)
    for name, region in (("home", "eu-central-1"), ("nowhere", "mars-1")):
        body = stateful_set(name, "placed", region)
        api.send("POST", f"/apis/apps/v1/namespaces/{space}/statefulsets", body)
    await_true(lambda: sum(map(simulation.is_ready, pods(space, "home"))) == 3)
    assert zones(space, "home") == {"eu-central-1a", "eu-central-1b", "eu-central-1c"}
    claims = api.get(f"/api/v1/namespaces/{space}/persistentvolumeclaims")["items"]
    bound = [claim["metadata"]["name"] for claim in claims if claim["status"]["phase"] == "Bound"]
    assert sorted(bound) == ["data-home-0", "data-home-1", "data-home-2"]
    assert [pod["spec"].get("nodeName") for pod in pods(space, "nowhere")] == [None, None, None]
    api.send("DELETE", f"/api/v1/namespaces/{space}", {})
    await_true(lambda: not api.get("/api/v1/persistentvolumes")["items"])
    await_true(lambda: space not in json.dumps(api.get("/api/v1/namespaces")))


def test_admission_refuses_what_a_real_cluster_refuses(running: cluster.Cluster) -> None:
    api, space = cluster.connect(), namespace("strict")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "root"}, "spec": {"containers": [CONTAINER]}}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        api.send("POST", f"/api/v1/namespaces/{space}/pods", pod)
    group = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    policy = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "strict"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "object.metadata.name != 'refused'", "message": "not that name"}],
        },
    }
    binding = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "strict"},
        "spec": {"policyName": "strict", "validationActions": ["Deny"]},
    }
    api.send("POST", f"/apis/{group}/validatingadmissionpolicies", policy)
    api.send("POST", f"/apis/{group}/validatingadmissionpolicybindings", binding)

    def refused() -> bool:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "refused"}}
        try:
            api.send("POST", f"/api/v1/namespaces/{space}/configmaps?dryRun=All", body)
        except ApiError as error:
            return "not that name" in str(error)
        return False

    await_true(refused)


def test_jobs_complete_and_autoscalers_hold_their_minimum(running: cluster.Cluster) -> None:
    api, space = cluster.connect(), namespace("work")
    template = {"spec": {"securityContext": POD_SECURITY, "containers": [CONTAINER], "restartPolicy": "Never"}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"template": template}}
    api.send("POST", f"/apis/batch/v1/namespaces/{space}/jobs", job)
    selector = {"matchLabels": {"app": "web"}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": selector, "template": pod_template("web", "eu-central-1")},
    }
    api.send("POST", f"/apis/apps/v1/namespaces/{space}/deployments", deployment)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    utilisation = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "minReplicas": 3,
            "maxReplicas": 5,
            "scaleTargetRef": target,
            "metrics": [{"type": "Resource", "resource": utilisation}],
        },
    }
    api.send("POST", f"/apis/autoscaling/v2/namespaces/{space}/horizontalpodautoscalers", scaler)
    await_true(lambda: api.get(f"/apis/batch/v1/namespaces/{space}/jobs/once")["status"].get("succeeded") == 1)
    await_true(lambda: sum(map(simulation.is_ready, pods(space, "web"))) == 3)


def test_a_creation_killed_at_any_moment_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    own_home(tmp_path, monkeypatch)
    assert run("status")[0] == 4
    for program in MOMENTS:
        with command("start") as process:
            await_true(partial(runs, program))
            process.kill()
    assert run("status")[0] == 4
    code, output = run("start")
    assert code == 0, output
    assert "SIMULATED" in output
    assert cluster.state() == cluster.RUNNING
    assert not runs("kwokctl")
    assert run("delete")[0] == 0
    assert processes.running(cluster_files.folder()) == {}
    assert not cluster_files.folder().exists()
