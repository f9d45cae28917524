"""Changes of a running environment, by plain `pulumi`: what would lose data is refused with the way out, volumes grow
under running pods, and one root takes another's place.
"""

from __future__ import annotations

import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.engine.test_interrupted import await_
from tests.support.checkout import Checkout, kill_all

STACK, NAMESPACE, FILE = "dev", "groundwork-dev", "Pulumi.dev.yaml"
PACK, CATALOGUE = "policies/packs/dev.json", "components/core/catalogue.py"
CLUSTER = "    cluster: {{context: {context}, kubeconfig: {file}, storage_class: {storage_class}}}\n"
SERVICES, ENVIRONMENT = "groundwork:services", "groundwork:environment"
GIVE_UP = "to lose the data, first run `up` with deletion_protection: false on it"
DOWN = "to lose the data, first take the environment down: make down ENV=dev"
STRANGE = "services would meet certificates of a root that they don't trust; take these steps, with an `up` after each"
OWNER, QUEUE, CACHE = "    owner: team-platform\n", "      role: queue\n", "      role: cache\n"
QUEUES, BACKUP = "      purpose: Back end of the BullMQ queues.\n", "      backup: {to: objects, retention: 7d}\n"
NOT_ENDED = (
    "roots: [1, 2], issuer: 2 given; the `up` that changed this last has not come to its end; first run it again with "
    "roots: [1], issuer: 1 or roots: [1, 2], issuer: 1"
)
STATEFUL = "clickhouse, kafka, nats, objects, postgres, queue, rabbitmq"

REFUSED = {
    "a volume that shrinks": (
        [(FILE, "storage: 1Gi", "storage: 512Mi")],
        f"{SERVICES}.queue.storage: 512Mi given, 1Gi deployed; it can grow, never shrink; set 1Gi or more; {GIVE_UP}",
    ),
    "another storage class": (
        [(FILE, "storage_class: fast", "storage_class: slow")],
        f"{ENVIRONMENT}.cluster.storage_class: slow given, fast deployed; the data of {STATEFUL} would "
        f"stay behind; put fast back; {DOWN}",
    ),
    "another region": (
        [
            (
                FILE,
                "region: eu-central-1, zones: 3, residency: [",
                "region: eu-west-1, zones: 3, residency: [eu-west-1, ",
            )
        ],
        f"{ENVIRONMENT}.placement.region: eu-west-1 given, eu-central-1 deployed; the data of {STATEFUL} would "
        f"stay behind; put eu-central-1 back; {DOWN}",
    ),
    "a service renamed": (
        [(FILE, "    queue:\n", "    jobs:\n"), (FILE, "cache, queue", "cache, jobs")],
        f"{SERVICES}.queue: missing; the data of this redis would be lost; jobs would begin empty; put it back under "
        f"this name; {GIVE_UP}",
    ),
    "another kind": (
        [(FILE, "kind: redis\n" + QUEUE, "kind: postgres\n")],
        f"{SERVICES}.queue.kind: postgres given, redis deployed; one can't take over the names of the other; give it a "
        "name of its own, or remove the old one and run `up` first",
    ),
    "another role": (
        [(FILE, QUEUE + "      storage: 1Gi\n", "      role: cache\n"), (FILE, QUEUES + BACKUP, QUEUES)],
        f"{SERVICES}.queue.kind: redis given; with these settings it no longer keeps its data; put the old ones back; "
        f"{GIVE_UP}",
    ),
    "one server becomes several": (
        [(FILE, "    postgres:\n", "    postgres:\n      replicas: 3\n"), (FILE, BACKUP, "")],
        f"{SERVICES}.postgres.replicas: 3 given, 1 deployed; no data goes over from one server to several or back; "
        f"put it back, or dump the databases and restore them into a new service; {GIVE_UP}",
    ),
    "a server downgrade": (
        [(CATALOGUE, '"8.10.1"', '"8.9.9"')],
        f"{SERVICES}.queue.version: 8.9.9 given, 8.10.1 deployed; an older server can't read what a newer one wrote; "
        "stay at 8.10.1 or newer",
    ),
    "a skipped major": (
        [(CATALOGUE, '"8.10.1"', '"10.0.1"')],
        f"{SERVICES}.queue.version: 10.0.1 given, 8.10.1 deployed; data is upgraded one major version at a time; "
        "go to 9 first",
    ),
    "a major that a single server can't take": (
        [(FILE, "    postgres:\n", '    postgres:\n      version: "17"\n')],
        f"{SERVICES}.postgres.version: 17.11 given, 18.6 deployed; an older server can't read what a newer one wrote; "
        "stay at 18.6 or newer",
    ),
    "a backup in the place of data": (
        [(FILE, QUEUE, f"{QUEUE}      restore: {{store: objects}}\n")],
        f"{SERVICES}.queue.restore: given; a backup is what a new service begins with, and this one has data, which "
        "would stay as it is; remove it, or restore into a service of another name, with restore.service: the name of "
        "this one",
    ),
    "a root swapped at once": (
        [(FILE, OWNER, f"{OWNER}    certificates: {{roots: [2]}}\n")],
        f"{ENVIRONMENT}.certificates: roots: [2], issuer: 2 given, roots: [1], issuer: 1 deployed; {STRANGE}: roots: "
        "[1, 2], issuer: 1; roots: [1, 2], issuer: 2; roots: [2], issuer: 2",
    ),
    "a root that nobody trusts yet": (
        [(FILE, OWNER, f"{OWNER}    certificates: {{roots: [1, 2], issuer: 2}}\n")],
        f"{ENVIRONMENT}.certificates: roots: [1, 2], issuer: 2 given, roots: [1], issuer: 1 deployed; {STRANGE}: "
        "roots: [1, 2], issuer: 1; roots: [1, 2], issuer: 2; roots: [2], issuer: 2",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def running(checkout: Checkout) -> Iterator[None]:
    """dev with a storage class of one's own, deployed."""
    started = checkout.run_toolchain("cluster", "start")
    assert started.returncode == 0, started.stdout + started.stderr
    for name in ("fast", "slow"):
        checkout.kubectl("apply", "-f", "-", stdin=STORAGE_CLASS.format(name=name))
    before = (checkout.root / FILE).read_text()
    context = checkout.kubectl("config", "current-context").strip()
    file = next(checkout.state_home.rglob("kubeconfig*"))
    cluster = CLUSTER.format(context=context, file=file, storage_class="fast")
    (checkout.root / FILE).write_text(before.replace("    cluster: embedded\n", cluster))
    with edited(checkout, (PACK, '"storage_classes": []', '"storage_classes": ["fast", "slow"]')):
        up(checkout)
        yield
        assert checkout.groundwork("down", STACK).returncode == 0
    (checkout.root / FILE).write_text(before)
    checkout.kubectl("delete", "storageclass", "fast", "slow")


@pytest.mark.parametrize("case", REFUSED)
def test_preview_refuses(checkout: Checkout, case: str) -> None:
    edits, says = REFUSED[case]
    with edited(checkout, *edits):
        done = checkout.pulumi("preview", "--stack", STACK)
    assert done.returncode != 0
    assert f"the configuration of dev has errors, nothing was changed:\n    {says}\n" in done.stdout + done.stderr


@pytest.mark.parametrize("command", ["plain", "make"])
def test_up_refuses_before_anything_is_changed(checkout: Checkout, command: str) -> None:
    edits, says = REFUSED["a volume that shrinks"]
    before = changes_of(checkout)
    with edited(checkout, *edits, (FILE, "level=info", "level=warn")):
        plain = command == "plain"
        done = checkout.pulumi("up", "--yes", "--skip-preview", "--stack", STACK) if plain else up(checkout, fails=True)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert changes_of(checkout) == before


def test_a_class_that_forbids_growth_is_found_before_anything_is_changed(checkout: Checkout) -> None:
    let_volumes_grow(checkout, "false")
    with edited(checkout, (FILE, "storage: 1Gi", "storage: 2Gi")):
        done = checkout.pulumi("preview", "--stack", STACK)
    let_volumes_grow(checkout, "true")
    assert done.returncode != 0
    says = "volumes of storage class fast can't grow; set allowVolumeExpansion: true in it, or put the size back"
    assert f"{SERVICES}.queue.storage: 2Gi given, 1Gi deployed; {says}\n" in done.stdout + done.stderr


def test_a_volume_grows_under_its_pod(checkout: Checkout, tmp_path: Path) -> None:
    """At the second try: the first one fails after the claim has grown."""
    (checkout.root / FILE).write_text((checkout.root / FILE).read_text().replace("storage: 1Gi", "storage: 2Gi"))
    pod, old = get(checkout, "pod", "queue-0"), get(checkout, "statefulset", "queue")
    others = {claim["metadata"]["name"]: sizes(claim) for claim in claims(checkout)}
    failing = tmp_path / "kubectl"
    failing.write_text(FAILING_KUBECTL.format(kubectl=shutil.which("kubectl", path=checkout.env["PATH"])))
    failing.chmod(0o755)
    path = f"{tmp_path}:{checkout.env['PATH']}"
    done = checkout.pulumi("up", "--yes", "--skip-preview", "--stack", STACK, PATH=path)
    assert done.returncode != 0
    assert "error: no deletion today" in done.stdout + done.stderr
    assert get(checkout, "statefulset", "queue")["metadata"]["uid"] == old["metadata"]["uid"]
    up(checkout)
    same, new = get(checkout, "pod", "queue-0"), get(checkout, "statefulset", "queue")
    assert same["metadata"]["uid"] == pod["metadata"]["uid"]
    assert [own["uid"] for own in same["metadata"]["ownerReferences"]] == [new["metadata"]["uid"]]
    assert new["metadata"]["uid"] != old["metadata"]["uid"]
    assert [sizes(template) for template in new["spec"]["volumeClaimTemplates"]] == ["2Gi"]
    assert {claim["metadata"]["name"]: sizes(claim) for claim in claims(checkout)} == {**others, "data-queue-0": "2Gi"}
    assert new["status"]["readyReplicas"] == 1
    again = checkout.preview(STACK, "--expect-no-changes")
    assert again.returncode == 0, again.stdout + again.stderr


def test_what_is_given_up_goes_and_the_roots_go_round(checkout: Checkout) -> None:
    """Two steps of each at once: first say that the data may go, and trust both roots; then drop the one, and issue.

    The first one is killed, and the second one waits for it. A single instance becomes three in between.
    """
    old = roots_of(checkout, "cache")
    path = checkout.root / FILE
    text = path.read_text().replace(OWNER, f"{OWNER}    certificates: {{roots: [1, 2]}}\n")
    first = text.replace(QUEUE, f"{QUEUE}      deletion_protection: false\n").replace(
        CACHE, f"{CACHE}      replicas: 3\n"
    )
    second = without_queue(first.replace("roots: [1, 2]", "roots: [1, 2], issuer: 2"))

    path.write_text(first)
    process = checkout.start("up", STACK)
    await_(lambda: len(roots_of(checkout, "cache")) > 1, "the second root")
    kill_all(process)
    path.write_text(second)
    done = checkout.pulumi("preview", "--stack", STACK)
    path.write_text(first)
    assert done.returncode != 0
    assert f"{ENVIRONMENT}.certificates: {NOT_ENDED}\n" in done.stdout + done.stderr

    done = up(checkout)
    warning = f"warning: {SERVICES}.queue.deletion_protection: false given; the next change may delete its data;"
    assert warning in done.stdout + done.stderr
    both = roots_of(checkout, "demo")
    assert both[:1] == old
    assert len(both) == 2
    assert issuer_of(checkout, "demo") == both[0].subject

    path.write_text(second)
    up(checkout)
    assert roots_of(checkout, "demo") == both
    assert issuer_of(checkout, "demo") == both[1].subject
    left = [item["metadata"]["name"] for item in [*claims(checkout), *checkout.objects("pods,sts", "-n", NAMESPACE)]]
    assert [name for name in left if "queue" in name] == []
    assert {"data-postgres-0", "cache-2"} <= set(left)


def test_a_first_up_that_was_killed_has_data_too(checkout: Checkout) -> None:
    assert checkout.groundwork("down", STACK).returncode == 0
    process = checkout.start("up", STACK)
    await_(lambda: bool(checkout.objects("statefulsets", "-n", NAMESPACE)), "the first set")
    kill_all(process)
    with edited(
        checkout, (FILE, "    postgres:\n", "    database:\n      kind: postgres\n"), (FILE, "[postgres,", "[database,")
    ):
        done = checkout.pulumi("preview", "--stack", STACK)
    assert done.returncode != 0
    assert f"{SERVICES}.postgres: missing; the data of this postgres would be lost" in done.stdout + done.stderr


FAILING_KUBECTL = """#!/bin/sh
case " $* " in *" delete "*) echo "error: no deletion today" >&2; exit 1 ;; esac
exec {kubectl} "$@"
"""
STORAGE_CLASS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {{name: {name}}}
provisioner: kubernetes.io/host-path
allowVolumeExpansion: true
"""


def up(checkout: Checkout, fails: bool = False) -> Any:
    done = checkout.groundwork("up", STACK)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done


@contextmanager
def edited(checkout: Checkout, *edits: tuple[str, str, str]) -> Iterator[None]:
    before = {file: (checkout.root / file).read_text() for file, _, _ in edits}
    for file, old, new in edits:
        text = (checkout.root / file).read_text()
        assert old in text, f"{file} does not contain {old!r}"
        (checkout.root / file).write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        for file, text in before.items():
            (checkout.root / file).write_text(text)


def changes_of(checkout: Checkout) -> dict[str, object]:
    """When each resource was changed last."""
    return {resource["urn"]: resource.get("modified") for resource in checkout.state(STACK)["resources"]}


def without_queue(text: str) -> str:
    return re.sub(r"    queue:\n(      .*\n)+", "", text).replace("cache, queue", "cache")


def let_volumes_grow(checkout: Checkout, answer: str) -> None:
    change = f'{{"allowVolumeExpansion": {answer}}}'
    checkout.kubectl("patch", "storageclass", "fast", "--patch", change)


def get(checkout: Checkout, kind: str, name: str) -> Any:
    return next(item for item in checkout.objects(kind, "-n", NAMESPACE) if item["metadata"]["name"] == name)


def claims(checkout: Checkout) -> list[dict[str, Any]]:
    return checkout.objects("persistentvolumeclaims", "-n", NAMESPACE)


def sizes(claim: Any) -> str:
    return str(claim["spec"]["resources"]["requests"]["storage"])


def certificates(checkout: Checkout, service: str, file: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(b64decode(get(checkout, "secret", service)["data"][file]))


def roots_of(checkout: Checkout, service: str) -> list[x509.Certificate]:
    return certificates(checkout, service, "ca.crt")


def issuer_of(checkout: Checkout, service: str) -> x509.Name:
    """Of the intermediate."""
    return certificates(checkout, service, "tls.crt")[1].issuer
