"""`make bench`: what Groundwork costs, beside kubectl on the same objects in the same run, and how it grows.

Runs in a private checkout on an embedded cluster of its own. Figures are seconds of whole processes, the median where a
command runs several times.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from tests.support.checkout import Checkout
from tests.support.deployed import deployed_manifests

COPIES = (1, 2, 4)
REPEATS = 3
POLICIES = ("--policy-pack", "policies")
REFERENCES = ("uses", "to", "users")
"""Fields that name services."""


def main() -> None:
    """Measure, then print one table for cost and one for growth."""
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Checkout.copy(Path(folder) / "groundwork", Path(folder) / "state")
        try:
            checkout.run_toolchain("cluster", "start")
            console.print(cost(checkout, console))
            console.print(growth(checkout, console))
        finally:
            checkout.run_toolchain("cluster", "delete")


def cost(checkout: Checkout, console: Console) -> Table:
    """prod against kubectl."""
    checkout.init("prod")
    pulumi = command(checkout, "pulumi", "--stack", "prod")
    console.print("prod: first preview, first up ...")
    first_preview = timed(lambda: pulumi("preview", *POLICIES))
    first_up = timed(lambda: pulumi("up", "--yes", "--skip-preview", *POLICIES))
    console.print("prod: previews and second up ...")
    plain = median(lambda: pulumi("preview"))
    gated = median(lambda: pulumi("preview", *POLICIES))
    second_up = median(lambda: pulumi("up", "--yes", "--skip-preview", *POLICIES))
    program = median(lambda: run_program(checkout))
    console.print("the same objects with kubectl ...")
    diff_new, apply_new, diff, apply = kubectl_times(checkout)
    resources = checkout.state("prod")["resources"]
    down = timed(lambda: pulumi("destroy", "--yes", "--skip-preview"))
    objects = sum(resource["type"].startswith("kubernetes:") for resource in resources)
    table = Table(
        "action",
        "seconds",
        "against",
        "seconds ",
        "ratio",
        title=f"prod: {len(resources)} resources, {objects} objects",
    )
    rows: list[tuple[str, float, str, float]] = [
        ("first preview, with policies", first_preview, "kubectl diff, nothing there", diff_new),
        ("first up, with policies", first_up, "kubectl apply --server-side", apply_new),
        ("preview, with policies", gated, "kubectl diff, nothing to do", diff),
        ("second up, with policies", second_up, "kubectl apply, nothing to do", apply),
        ("second up, with policies", second_up, "preview, with policies", gated),
        ("preview, with policies", gated, "preview, without", plain),
        ("down", down, "first preview and up", first_preview + first_up),
    ]
    for action, seconds, against, other in rows:
        table.add_row(action, f"{seconds:.2f}", against, f"{other:.2f}", f"{seconds / other:.2f}")
    table.caption = (
        f"Of the preview's {gated:.2f} s the program takes {program:.2f} (start, specs, plans, mock registration), the "
        f"policies {gated - plain:.2f}; the rest is the engine, the providers and {objects} dry runs on the API server."
    )
    return table


def growth(checkout: Checkout, console: Console) -> Table:
    """dev with several copies of its services."""
    table = Table(
        "copies", "resources", "state kB", "first up", "second up", "preview", "per resource", title="dev, growing"
    )
    original = (checkout.root / "Pulumi.dev.yaml").read_text()
    checkout.init("dev")
    allow_public(checkout, [f"gateway-{number}" for number in range(2, COPIES[-1] + 1)])
    pulumi = command(checkout, "pulumi", "--stack", "dev")
    for copies in COPIES:
        console.print(f"dev with {copies} copies of each service ...")
        (checkout.root / "Pulumi.dev.yaml").write_text(multiplied(original, copies))
        first = timed(lambda: pulumi("up", "--yes", "--skip-preview", *POLICIES))
        second = timed(lambda: pulumi("up", "--yes", "--skip-preview", *POLICIES))
        preview = timed(lambda: pulumi("preview", *POLICIES))
        state = checkout.state("dev")
        count, size = len(state["resources"]), len(json.dumps(state)) / 1000
        table.add_row(
            str(copies), str(count), f"{size:.0f}", f"{first:.1f}", f"{second:.1f}", f"{preview:.1f}",
            f"{preview / count * 1000:.0f} ms",
        )  # fmt: skip
        pulumi("destroy", "--yes", "--skip-preview")
    table.caption = "Per resource: the preview's share. First up writes the whole state at each step."
    return table


def allow_public(checkout: Checkout, gateways: list[str]) -> None:
    """Each copy of the gateway is one more way in, which the policies of dev would refuse."""
    pack = checkout.root / "policies/packs/dev.json"
    rules = json.loads(pack.read_text())
    rules["network-isolation"]["public_services"] += gateways
    pack.write_text(json.dumps(rules))


def multiplied(settings: str, copies: int) -> str:
    """The settings with every service `copies` times, each copy wired to the others of its number."""
    yaml = YAML()
    content: Any = yaml.load(settings)
    services = content["config"]["groundwork:services"]
    base = dict(services)
    for number in range(2, copies + 1):
        for name, spec in base.items():
            services[f"{name}-{number}"] = numbered({"kind": name, **spec}, number)
    with tempfile.TemporaryFile("w+") as file:
        yaml.dump(content, file)
        file.seek(0)
        return file.read()


def numbered(value: Any, number: int, field: str = "") -> Any:
    """A copy of a value in which services have this number."""
    if isinstance(value, dict):
        return {name: numbered(content, number, name) for name, content in value.items()}
    if isinstance(value, list):
        return [numbered(one, number, field) for one in value]
    return f"{value}-{number}" if field in REFERENCES else value


def kubectl_times(checkout: Checkout) -> tuple[float, float, float, float]:
    """diff and apply of what `up` deployed, in a namespace of its own: first nothing there, then nothing to do."""
    items = json.loads(
        json.dumps(deployed_manifests(checkout, "prod")).replace("groundwork-prod", "groundwork-kubectl")
    )
    namespace = [item for item in items if item["kind"] == "Namespace"]
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl = ["kubectl", "--kubeconfig", kubeconfig(checkout)]
    apply = [*kubectl, "apply", "--server-side", "--force-conflicts", "-f", "-"]
    diff = [*kubectl, "diff", "--server-side", "--force-conflicts", "-f", "-"]
    subprocess.run(apply, input=json.dumps(namespace[0]), text=True, check=True, env=checkout.env, capture_output=True)

    def run(command: list[str], codes: tuple[int, ...]) -> None:
        done = subprocess.run(command, input=content, text=True, env=checkout.env, capture_output=True)
        assert done.returncode in codes, done.stderr

    new = timed(lambda: run(diff, (1,))), timed(lambda: run(apply, (0,)))
    again = median(lambda: run(diff, (0, 1))), median(lambda: run(apply, (0,)))
    subprocess.run(
        [*kubectl, "delete", "namespace", "groundwork-kubectl"], check=True, env=checkout.env, capture_output=True
    )
    return *new, *again


def kubeconfig(checkout: Checkout) -> str:
    return checkout.run_toolchain("cluster", "kubeconfig").stdout.strip()


def run_program(checkout: Checkout) -> None:
    """The program alone: everything but the engine, the providers and the cluster."""
    code = (
        "from ruamel.yaml import YAML; from stacks.config import parse; from tests.support.recording import record;"
        "c = YAML(typ='safe').load(open('Pulumi.prod.yaml'))['config'];"
        "record(parse('prod', c['groundwork:environment'], c['groundwork:services']))"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout.root,
        check=True,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
    )


def command(checkout: Checkout, program: str, *always: str) -> Callable[..., None]:
    """A command that must succeed. The environment is found once, so that looking it up is not measured."""
    env = checkout.env

    def run(*args: str) -> None:
        done = subprocess.run([program, *args, *always], cwd=checkout.root, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median(action: Callable[[], object]) -> float:
    return statistics.median(timed(action) for _ in range(REPEATS))


if __name__ == "__main__":
    main()
