"""`pulumi preview --policy-pack policies` refuses one-line edits by rule, resource and fix; known at preview or not."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support.checkout import Checkout


@dataclass(frozen=True)
class Edit:
    """One line changed in one file, and what the gate must say of it."""

    file: str
    old: str
    new: str
    rule: str
    says: tuple[str, ...]


EDITS = {
    "TLS off in Redis": Edit(
        "components/redis/render.py", "port 0", "port 6379", "require-tls", ("cache", "redis.conf", "port 0")
    ),
    "another region": Edit(
        "Pulumi.prod.yaml",
        "region: eu-central-1",
        "region: eu-west-1",
        "regional-placement",
        ("eu-west-1", "eu-central-1"),
    ),
    "no owner": Edit("Pulumi.prod.yaml", "    owner: team-platform\n", "", "require-owner", ("cache", "owner")),
    "latest": Edit("components/core/catalogue.py", '"8.10.1-alpine"', '"latest"', "pinned-images", ("cache", "latest")),
    "a plaintext listener": Edit(
        "components/nginx/render.py", " ssl;", ";", "require-tls", ("gateway", "nginx.conf", "ssl")
    ),
}


@pytest.fixture(scope="module", autouse=True)
def prod(checkout: Checkout) -> None:
    """A preview needs a stack and a cluster, nothing deployed."""
    started = checkout.run_toolchain("cluster", "start")
    assert started.returncode == 0, started.stdout + started.stderr
    checkout.init("prod")


def test_the_committed_environment_passes(checkout: Checkout) -> None:
    done = checkout.preview("prod")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edit_is_refused_by_name(checkout: Checkout, edit: Edit) -> None:
    checkout.edit(edit.file, edit.old, edit.new)
    try:
        done = checkout.preview("prod")
    finally:
        checkout.restore(edit.file)
    assert done.returncode != 0
    report = done.stdout + done.stderr
    assert edit.rule in report, report
    for part in (*edit.says, "fix:"):
        assert part in report, f"{part!r} is not in the report:\n{report}"


def test_a_value_unknown_at_preview_is_refused(checkout: Checkout) -> None:
    """The image comes from a resource that does not exist yet, so nobody can tell at preview whether it is pinned."""
    file = "components/targets/kubernetes/pods.py"
    checkout.edit(file, '"image": container.image,', '"image": _unknown(container),')
    path = checkout.root / file
    path.write_text(
        path.read_text()
        + "\n\ndef _unknown(container: Container) -> object:\n"
        + "    import pulumi_random\n\n"
        + "    if container.name not in _made:\n"
        + "        _made[container.name] = pulumi_random.RandomId(f'unknown-{len(_made)}', byte_length=4)\n"
        + "    return _made[container.name].hex.apply(lambda tag: container.image + tag)\n\n\n"
        + "_made: dict[str, object] = {}\n"
    )
    try:
        done = checkout.preview("prod")
    finally:
        checkout.restore(file)
    report = done.stdout + done.stderr
    assert done.returncode != 0, report
    assert "pinned-images" in report
    assert "unknown" in report
