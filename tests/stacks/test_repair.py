"""After a killed run: what is imported, what is dropped, and when the cluster is read anew."""

from collections.abc import Mapping
from typing import Any

import pytest

from stacks.places.kubernetes import Cluster
from stacks.pulumi_cli import _changes, _images
from stacks.repair import repair

REFRESH = ("refresh", "--yes", "--skip-preview")
URN = "urn:pulumi:dev::groundwork::"
CONTAINER = "docker:index/container:Container"


class Recorder:
    """Stands for `pulumi`: a state with pending operations, and the commands it was given."""

    def __init__(self, *pending: dict[str, Any]) -> None:
        self._pending = list(pending)
        self.resources: list[dict[str, Any]] = []
        self.commands: list[tuple[str, ...]] = []
        self.said: list[str] = []
        self.written: dict[str, Any] = {}

    def read(self, *_: str) -> dict[str, Any]:
        return {"deployment": {"pending_operations": self._pending, "resources": self.resources}}

    def run(self, *args: str) -> None:
        self.commands.append(args)

    def write_state(self, state: dict[str, Any]) -> None:
        self.written = state["deployment"]

    def say(self, text: str) -> None:
        self.said.append(text)


class Engine:
    """Stands for a Docker engine with these containers, and those that run."""

    def __init__(self, *running: str) -> None:
        self._running = running
        self.removed: list[tuple[str, str]] = []
        self.mended = False

    def is_missing_any(self, names: Mapping[str, bool]) -> bool:
        return any(runs and name not in self._running for name, runs in names.items())

    def mend(self) -> None:
        self.mended = True

    def remove(self, kind: str, name: str) -> None:
        self.removed.append((kind, name))


def operation(kind: str, type_: str, role: str, **metadata: str) -> dict[str, Any]:
    return {"type": kind, "resource": {"urn": f"{URN}{type_}::{role}", "type": type_, "inputs": {"metadata": metadata}}}


def test_a_clean_state_costs_nothing() -> None:
    pulumi: Any = Recorder()
    repair(pulumi, Cluster("dev"), fresh=False)
    assert pulumi.commands == []


def test_unfinished_creations_are_looked_up_by_the_names_they_would_have() -> None:
    pulumi: Any = Recorder(
        operation("creating", "kubernetes:core/v1:Secret", "cache-secret", name="cache", namespace="groundwork-dev"),
        operation("creating", "kubernetes:core/v1:Namespace", "namespace", name="groundwork-dev"),
        operation("creating", "tls:index/privateKey:PrivateKey", "cache-key"),
        operation("updating", "kubernetes:apps/v1:Deployment", "demo-set", name="demo", namespace="groundwork-dev"),
    )
    repair(pulumi, Cluster("dev"), fresh=False)
    assert pulumi.commands == [REFRESH]
    assert {resource["urn"].split("::")[-1]: resource["id"] for resource in pulumi.written["resources"]} == {
        "cache-secret": "groundwork-dev/cache",
        "namespace": "groundwork-dev",
    }
    assert pulumi.written["pending_operations"] == []
    assert "settling 4 unfinished" in pulumi.said[0]


def test_what_was_being_replaced_is_in_state_once() -> None:
    pending = operation("creating", "kubernetes:core/v1:Secret", "cache", name="cache", namespace="groundwork-dev")
    pulumi: Any = Recorder(pending)
    pulumi.resources = [{**pending["resource"], "id": "groundwork-dev/cache", "pendingReplacement": True}]
    repair(pulumi, Cluster("dev"), fresh=False)
    assert pulumi.written["resources"] == pulumi.resources


def test_a_new_cluster_is_read_even_if_the_state_is_clean() -> None:
    pulumi: Any = Recorder()
    repair(pulumi, Cluster("dev"), fresh=True)
    assert pulumi.commands[0][0] == "refresh"


def test_what_was_half_made_on_an_engine_is_removed_by_its_name() -> None:
    made = {
        "urn": f"{URN}container",
        "type": "docker:index/container:Container",
        "inputs": {"name": "groundwork-local-cache-0"},
    }
    kept = {
        "urn": f"{URN}network",
        "type": "docker:index/network:Network",
        "inputs": {"name": "groundwork-local-cache"},
    }
    pulumi: Any = Recorder({"type": "creating", "resource": made}, {"type": "updating", "resource": kept})
    engine: Any = Engine()
    repair(pulumi, engine, fresh=False)
    assert engine.mended
    assert engine.removed == [("container", "groundwork-local-cache-0")]
    assert pulumi.written["resources"] == []
    assert pulumi.commands == [REFRESH]


@pytest.mark.parametrize(("running", "refreshed"), [(["a", "b"], False), (["a"], True)])
def test_a_container_that_is_gone_or_stopped_is_noticed(running: list[str], refreshed: bool) -> None:
    pulumi: Any = Recorder()
    files = {"name": "a-files", "mustRun": False}
    pulumi.resources = [
        {"type": "docker:index/container:Container", "inputs": inputs}
        for inputs in ({"name": "a"}, {"name": "b"}, files)
    ]
    engine: Any = Engine(*running)
    repair(pulumi, engine, fresh=False)
    assert bool(pulumi.commands) is refreshed


def test_images_are_read_from_the_events_of_a_preview() -> None:
    new = {"type": "docker:index/container:Container", "inputs": {"image": "docker.io/library/redis:8"}}
    assert list(_images({"resourcePreEvent": {"metadata": {"new": new}}})) == ["docker.io/library/redis:8"]
    assert list(_images({"resourcePreEvent": {"metadata": {"new": None}}})) == []
    assert list(_images({"summaryEvent": {}})) == []


@pytest.mark.parametrize(
    ("kind", "inputs", "images"),
    [
        (
            "apps/v1:StatefulSet",
            {"spec": {"template": {"spec": {"containers": [{"image": "a:1"}, {"image": "b:2"}]}}}},
            ["a:1", "b:2"],
        ),
        ("postgresql.cnpg.io/v1:Cluster", {"spec": {"imageName": "a:1", "instances": 3}}, ["a:1"]),
        ("postgresql.cnpg.io/v1:Pooler", {"spec": {"pgbouncer": {"image": "a:1"}}}, ["a:1"]),
        ("core/v1:ConfigMap", {"data": {"image": "no image"}}, []),
    ],
)
def test_images_of_pods_are_read_from_whatever_makes_them(kind: str, inputs: dict[str, Any], images: list[str]) -> None:
    event = {"resourcePreEvent": {"metadata": {"new": {"type": f"kubernetes:{kind}", "inputs": inputs}}}}
    assert list(_images(event)) == images


@pytest.mark.parametrize(
    ("event", "changed"),
    [
        ({"summaryEvent": {"resourceChanges": {"same": 96}}}, False),
        ({"summaryEvent": {"resourceChanges": {"same": 95, "update": 1}}}, True),
        ({"resourcePreEvent": {"metadata": {"type": "pulumi:pulumi:Stack"}}}, False),
        (
            {
                "resOutputsEvent": {
                    "metadata": {
                        "type": "pulumi:pulumi:Stack",
                        "old": {"outputs": {"endpoints": []}},
                        "new": {"outputs": {"endpoints": ["one"]}},
                    }
                }
            },
            True,
        ),
        ({"resOutputsEvent": {"metadata": {"type": "other", "old": {"outputs": 1}, "new": {"outputs": 2}}}}, False),
    ],
)
def test_what_counts_as_a_change(event: dict[str, Any], changed: bool) -> None:
    assert _changes(event) is changed
