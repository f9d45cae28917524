"""Every committed environment: it loads, its facts are complete and its parts fit together."""

import json
import subprocess

import pytest

from components.core.backups.contract import makes_backups, part_of
from tests.support.checkout import ROOT
from tests.support.environments import committed, load
from tests.support.recording import record


@pytest.mark.parametrize("name", committed())
def test_inventory_is_complete_plain_data(name: str) -> None:
    platform, _ = record(load(name))
    rows = platform.inventory()
    assert json.loads(json.dumps(rows)) == rows
    for row in rows:
        for field in ("owner", "purpose", "data_class", "lifecycle", "region", "version", "kind"):
            assert row[field], f"{row['name']} lacks {field}"


@pytest.mark.parametrize("name", committed())
def test_outside_reaches_the_gateway_and_nothing_else(name: str) -> None:
    platform, _ = record(load(name))
    external = [endpoint for endpoint in platform.endpoints() if endpoint["external"]]
    assert [endpoint["service"] for endpoint in external] == ["gateway"]
    assert all(endpoint["tls"] in ("server", "mutual") for endpoint in platform.endpoints())


@pytest.mark.parametrize("name", committed())
def test_every_logical_name_starts_with_its_component(name: str) -> None:
    _, recorded = record(load(name))
    for resource in recorded:
        path = resource.urn.split("::")[2].split("$")
        owners = [r.name for r in recorded if len(path) > 1 and r.type == path[-2]]
        assert len(path) == 1 or any(
            resource.name.startswith(f"{owner}-") or resource.name == owner for owner in owners
        )


@pytest.mark.parametrize("name", [name for name in committed() if load(name).target == "docker"])
def test_every_edge_is_a_network_of_its_two_ends(name: str) -> None:
    environment = load(name)
    _, recorded = record(environment)
    ends: dict[str, set[str]] = {}
    for resource in recorded:
        for network in resource.inputs.get("networksAdvanced", ()):
            ends.setdefault(network["name"], set()).add(resource.name.removesuffix("-0-sandbox"))
    services = environment.services
    edges = {(end, used) for name, spec in services.items() for used, ends in spec.ends(name).items() for end in ends}
    edges |= {(part_of(name), name) for name, spec in services.items() if makes_backups(spec)}
    assert edges
    expected = {f"groundwork-{name}-{consumer}--{used}": {consumer, used} for consumer, used in edges}
    assert {network: who for network, who in ends.items() if "--" in network} == expected
    assert all(len(who) == 1 for network, who in ends.items() if "--" not in network)


@pytest.mark.parametrize("name", [name for name in committed() if load(name).target == "kubernetes"])
def test_every_edge_is_open_at_both_ends_and_nothing_else_is(name: str) -> None:
    """A connection needs the caller's egress and the server's ingress; one without the other is a mistake."""
    _, recorded = record(load(name))
    opened: set[tuple[str, str, int]] = set()
    accepted: set[tuple[str, str, int]] = set()
    for policy, own in (
        (r.inputs["spec"], r.inputs["metadata"]["labels"].get("app.kubernetes.io/instance"))
        for r in recorded
        if r.type.endswith(":NetworkPolicy")
    ):
        for direction, peers, edges in (("egress", "to", opened), ("ingress", "from", accepted)):
            for rule in policy.get(direction, []):
                for peer in rule.get(peers, []):
                    other = peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/instance")
                    if other and "namespaceSelector" not in peer:
                        ends = (own, other) if direction == "egress" else (other, own)
                        edges |= {(*ends, int(port["port"])) for port in rule["ports"]}
    assert opened
    assert opened == accepted


@pytest.mark.parametrize("name", committed())
def test_no_key_of_anybody_s_own_stack_is_committed(name: str) -> None:
    """Plain `pulumi` notes it in the file; whoever clones the project has another passphrase."""
    command = ["git", "show", f":Pulumi.{name}.yaml"]
    text = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert not [word for word in ("encryptionsalt", "encryptedkey", "secretsprovider") if word in text]


@pytest.mark.parametrize("name", [name for name in committed() if load(name).target == "kubernetes"])
def test_every_pod_runs_as_an_account_that_is_made(name: str) -> None:
    _, recorded = record(load(name))
    manifests = [one.manifest for one in recorded if one.manifest]
    accounts = {one["metadata"]["name"] for one in manifests if one["kind"] == "ServiceAccount"}
    pods = [one["spec"]["template"]["spec"] for one in manifests if "template" in one.get("spec", {})]
    used = {pod["serviceAccountName"] for pod in pods if "serviceAccountName" in pod}
    assert used == accounts
