"""A killed `up` is repaired by the next one: everything is there once, nothing is left over."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.checkout import Checkout, kill_all

PATIENCE_SECONDS = 120


@pytest.fixture(scope="module", autouse=True)
def dev(checkout: Checkout) -> Iterator[None]:
    """It is about how services are made, not which; these make more objects than any of the runs lives to see."""
    checkout.keep("dev", "cache", "queue", "demo", "gateway")
    yield
    checkout.restore("Pulumi.dev.yaml")


def objects(checkout: Checkout) -> set[str]:
    """What `up` makes: what owners such as a ReplicaSet make in turn is not ours to count."""
    kinds = "serviceaccount,configmap,secret,service,deployment,statefulset,poddisruptionbudget,networkpolicy"
    found = checkout.objects(kinds, "-n", "groundwork-dev", "-l", "groundwork.dev/environment=dev")
    return {f"{item['kind']}/{item['metadata']['name']}" for item in found}


@pytest.mark.parametrize("enough", [1, 8, 20], ids=lambda n: f"after {n} objects")
def test_a_killed_up_is_repaired_by_the_next(checkout: Checkout, enough: int) -> None:
    checkout.run_toolchain("cluster", "start")
    process = checkout.start("up", "dev")
    await_(lambda: len(objects(checkout)) >= enough, f"{enough} objects")
    kill_all(process)
    interrupted = objects(checkout)
    assert interrupted, "the kill came too early to show anything"

    repaired = checkout.groundwork("up", "dev")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr

    state = checkout.state("dev")
    assert not state.get("pending_operations")
    urns = [resource["urn"] for resource in state["resources"]]
    assert len(urns) == len(set(urns))
    known = {
        f"{resource['inputs'].get('kind')}/{resource['inputs']['metadata']['name']}"
        for resource in state["resources"]
        if resource["type"].startswith("kubernetes:")
    }
    assert objects(checkout) <= known, "objects that state knows nothing of"
    assert interrupted <= known
    unchanged = checkout.preview("dev", "--expect-no-changes")
    assert unchanged.returncode == 0, unchanged.stdout + unchanged.stderr
    assert checkout.groundwork("down", "dev").returncode == 0
    assert objects(checkout) == set()


def test_what_was_made_and_not_noted_is_not_forgotten(checkout: Checkout) -> None:
    """A killed `up` knows that it had begun to make an object, not that it is there. Its service is dropped then."""
    assert checkout.groundwork("up", "dev").returncode == 0
    # `pulumi stack import` takes no pending operation.
    (file,) = checkout.state_home.rglob("stacks/groundwork/dev.json")
    state = json.loads(file.read_text())
    latest = state["checkpoint"]["latest"]
    forgotten = [r for r in latest["resources"] if r["urn"].split("::")[-1] in ("gateway-set", "gateway-secret")]
    assert len(forgotten) == 2
    latest["resources"] = [resource for resource in latest["resources"] if resource not in forgotten]
    begun = [{k: v for k, v in resource.items() if k not in ("id", "outputs")} for resource in forgotten]
    latest["pending_operations"] = [{"type": "creating", "resource": resource} for resource in begun]
    file.write_text(json.dumps(state))
    checkout.keep("dev", "cache", "queue", "demo")

    repaired = checkout.groundwork("up", "dev")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    left = [name for name in objects(checkout) if name.split("/")[1].startswith("gateway")]
    assert not left, repaired.stdout
    assert checkout.groundwork("down", "dev").returncode == 0


def await_(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s for {what}"
        time.sleep(0.2)
