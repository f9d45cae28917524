"""After a killed run: what is imported, what is dropped, and when the cluster is read anew."""

from typing import Any

import pytest

from stacks.pulumi_cli import _changes
from stacks.repair import repair

URN = "urn:pulumi:dev::groundwork::"


class Recorder:
    """Stands for `pulumi`: a state with pending operations, and the commands it was given."""

    def __init__(self, *pending: dict[str, Any]) -> None:
        self._pending = list(pending)
        self.commands: list[tuple[str, ...]] = []
        self.said: list[str] = []

    def read(self, *_: str) -> dict[str, Any]:
        return {"deployment": {"pending_operations": self._pending}}

    def run(self, *args: str) -> None:
        self.commands.append(args)

    def say(self, text: str) -> None:
        self.said.append(text)


def operation(kind: str, type_: str, role: str, **metadata: str) -> dict[str, Any]:
    return {"type": kind, "resource": {"urn": f"{URN}{type_}::{role}", "type": type_, "inputs": {"metadata": metadata}}}


def test_a_clean_state_costs_nothing() -> None:
    pulumi: Any = Recorder()
    repair(pulumi, refresh=False)
    assert pulumi.commands == []


def test_unfinished_creations_are_looked_up_by_the_names_they_would_have() -> None:
    pulumi: Any = Recorder(
        operation("creating", "kubernetes:core/v1:Secret", "cache-secret", name="cache", namespace="groundwork-dev"),
        operation("creating", "kubernetes:core/v1:Namespace", "namespace", name="groundwork-dev"),
        operation("creating", "tls:index/privateKey:PrivateKey", "cache-key"),
        operation("updating", "kubernetes:apps/v1:Deployment", "demo-set", name="demo", namespace="groundwork-dev"),
    )
    repair(pulumi, refresh=False)
    (command,) = pulumi.commands
    assert command[0] == "refresh"
    imported = [word for word in command if word != "--import-pending-creates"]
    assert f"{URN}kubernetes:core/v1:Secret::cache-secret" in imported
    assert "groundwork-dev/cache" in imported
    assert "groundwork-dev" in imported
    assert not [word for word in imported if "cache-key" in word or "demo-set" in word]
    assert "settling 4 unfinished" in pulumi.said[0]


def test_a_new_cluster_is_read_even_if_the_state_is_clean() -> None:
    pulumi: Any = Recorder()
    repair(pulumi, refresh=True)
    assert pulumi.commands[0][0] == "refresh"


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
