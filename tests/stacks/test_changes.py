"""Changes of what is deployed: what they would lose is found before anything is done, with the way out; exact words."""

from __future__ import annotations

import json
from functools import cache
from itertools import pairwise
from typing import Any

import pulumi
import pytest
from pulumi.runtime.invoke import InvokeResult

from components.core.certificates import CertificatePolicy
from components.core.changes import Kept, grown, refusals
from components.core.problems import ConfigError
from stacks import changes, previous
from stacks.authority import Authority
from stacks.changes import growing_volumes, place_problems, refuse_unsafe, root_problems, service_problems
from stacks.config import parse
from stacks.environment import Environment
from stacks.previous import Deployed
from tests.support.recording import CLUSTER, record

GIVE_UP = "to lose the data, first run `up` with deletion_protection: false on it"
PLACE = {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1", "eu-west-1"]}
BASE: dict[str, Any] = {"profile": "dev", "cluster": "embedded", "placement": PLACE, "owner": "team-platform"}
OWN = {"context": "mine", "storage_class": "fast"}
SERVICES: dict[str, Any] = {
    "postgres": {"storage": "10Gi"},
    "cluster": {"kind": "postgres", "replicas": 3, "storage": "40Gi"},
    "queue": {"kind": "redis", "role": "queue", "storage": "4Gi", "replicas": 3},
    "cache": {"kind": "redis", "role": "cache"},
    "warm": {"kind": "redis", "role": "cache", "persistence": "rdb", "storage": "2Gi"},
    "api": {"kind": "app", "image": "registry.example/api:1.0.0", "uses": ["postgres", "queue"]},
}


def environment(base: dict[str, Any] | None = None, **services: Any) -> Environment:
    """The environment with some services changed; None takes one away, and whoever uses it forgets it."""
    written = {name: raw for name, raw in {**SERVICES, **services}.items() if raw is not None}
    uses = [name for name in written["api"]["uses"] if name in written] if "api" in written else []
    return parse(
        "test", {**BASE, **(base or {})}, {**written, **({"api": {**written["api"], "uses": uses}} if uses else {})}
    )


def facts(base: dict[str, Any] | None = None, **services: Any) -> dict[str, dict[str, Any]]:
    """What such an environment says of itself once it is deployed, as the engine hands it over."""
    platform, _ = record(environment(base, **services), CLUSTER)
    rows: list[dict[str, Any]] = json.loads(json.dumps(platform.inventory()))
    return {row["name"]: row for row in rows}


@cache
def deployed() -> dict[str, dict[str, Any]]:
    """What the environment says of itself."""
    return facts()


def changed(name: str, **fields: Any) -> Environment:
    return environment(**{name: {**SERVICES[name], **fields}})


def without(facts_: dict[str, dict[str, Any]], *keys: str) -> dict[str, dict[str, Any]]:
    return {name: {key: value for key, value in row.items() if key not in keys} for name, row in facts_.items()}


def said(wanted: Environment, before: dict[str, dict[str, Any]] | None = None) -> list[str]:
    found = deployed() if before is None else before
    return [str(p) for p in (*service_problems(wanted, found), *place_problems(wanted, found))]


def test_no_change_is_no_problem() -> None:
    assert said(environment()) == []
    assert growing_volumes(environment(), deployed()) == []


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (
            changed("queue", storage="2Gi"),
            "groundwork:services.queue.storage: 2Gi given, 4Gi deployed; it can grow, never shrink; "
            f"set 4Gi or more; {GIVE_UP}",
        ),
        (
            changed("cluster", wal_storage="5Gi"),
            "groundwork:services.cluster.wal_storage: 5Gi given, 10Gi deployed; it can grow, never shrink; "
            f"set 10Gi or more; {GIVE_UP}",
        ),
        (
            changed("warm", storage="1Gi"),
            "groundwork:services.warm.storage: 1Gi given, 2Gi deployed; it can grow, never shrink; "
            f"set 2Gi or more; {GIVE_UP}",
        ),
        (
            environment(queue=None),
            "groundwork:services.queue: missing; the data of this redis would be lost; put it back under this name; "
            f"{GIVE_UP}",
        ),
        (
            environment(queue=None, jobs=SERVICES["queue"]),
            "groundwork:services.queue: missing; the data of this redis would be lost; jobs would begin empty; "
            f"put it back under this name; {GIVE_UP}",
        ),
        (
            environment(queue={"kind": "postgres"}),
            "groundwork:services.queue.kind: postgres given, redis deployed; one can't take over the names of the "
            "other; give it a name of its own, or remove the old one and run `up` first",
        ),
        (
            environment(queue={"kind": "redis", "role": "cache"}),
            "groundwork:services.queue.kind: redis given; with these settings it no longer keeps its data; "
            f"put the old ones back; {GIVE_UP}",
        ),
        (
            changed("queue", replicas=1),
            "groundwork:services.queue.replicas: 1 given, 3 deployed; what their master alone has would be lost; "
            f"keep at least 3; {GIVE_UP}",
        ),
        (
            changed("postgres", replicas=3),
            "groundwork:services.postgres.replicas: 3 given, 1 deployed; no data goes over from one server to several "
            f"or back; put it back, or dump the databases and restore them into a new service; {GIVE_UP}",
        ),
        (
            changed("cluster", replicas=1),
            "groundwork:services.cluster.replicas: 1 given, 3 deployed; no data goes over from one server to several "
            f"or back; put it back, or dump the databases and restore them into a new service; {GIVE_UP}",
        ),
    ],
)
def test_data_that_would_be_lost(wanted: Environment, says: str) -> None:
    assert said(wanted) == [says]


@pytest.mark.parametrize(
    "wanted",
    [
        environment(cache=None),
        environment(warm=None),
        environment(warm={"kind": "redis", "role": "cache"}),
        changed("queue", storage="8Gi"),
        changed("queue", replicas=5),
        changed("cluster", replicas=5),
        environment(api=None),
    ],
)
def test_what_loses_nothing_is_left_alone(wanted: Environment) -> None:
    assert said(wanted) == []


@pytest.mark.parametrize(
    ("version", "says"),
    [
        (
            "99.1",
            "18.6 given, 99.1 deployed; an older server can't read what a newer one wrote; stay at 99.1 or newer",
        ),
        (
            "18.7",
            "18.6 given, 18.7 deployed; an older server can't read what a newer one wrote; stay at 18.7 or newer",
        ),
        ("16.4", "18.6 given, 16.4 deployed; data is upgraded one major version at a time; go to 17 first"),
    ],
)
def test_a_version_that_can_t_take_over_is_refused_even_without_protection(version: str, says: str) -> None:
    old = {"cluster": {**deployed()["cluster"], "version": version, "deletion_protection": False}}
    assert said(environment(), old) == [f"groundwork:services.cluster.version: {says}"]


STORE: dict[str, Any] = {"kind": "clickhouse", "storage": "10Gi"}
REPLICATED: dict[str, Any] = {**STORE, "replicas": 3, "shards": 2, "keeper": {"storage": "5Gi"}}


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            STORE,
            {**STORE, "replicas": 2},
            "replicas: 2 given, 1 deployed; a Keeper of three begins empty; put it back, or copy the tables into a new "
            f"service; {GIVE_UP}",
        ),
        (
            REPLICATED,
            {**REPLICATED, "replicas": 2},
            f"replicas: 2 given, 3 deployed; it can grow, never shrink; set 3 or more; {GIVE_UP}",
        ),
        (
            REPLICATED,
            {**REPLICATED, "shards": 1},
            f"shards: 1 given, 2 deployed; it can grow, never shrink; set 2 or more; {GIVE_UP}",
        ),
        (
            REPLICATED,
            {**REPLICATED, "keeper": {"storage": "4Gi"}},
            f"keeper.storage: 4Gi given, 5Gi deployed; it can grow, never shrink; set 5Gi or more; {GIVE_UP}",
        ),
        (
            REPLICATED,
            STORE,
            "replicas: 1 given, 3 deployed; without Keeper the tables could not be written; put it back, or copy the "
            f"tables into a new service; {GIVE_UP}",
        ),
    ],
)
def test_a_clickhouse_keeps_its_keeper_and_its_shards(before: dict[str, Any], after: dict[str, Any], says: str) -> None:
    assert said(environment(store=after), facts(store=before)) == [f"groundwork:services.store.{says}"]


def test_an_operator_takes_one_major_and_a_single_server_takes_none() -> None:
    assert said(environment(), {"cluster": {**deployed()["cluster"], "version": "17.9"}}) == []
    assert said(environment(), {"postgres": {**deployed()["postgres"], "version": "17.9"}}) == [
        "groundwork:services.postgres.version: 18.6 given, 17.9 deployed; a single server can't take over its "
        f'data; set version: "17"; {GIVE_UP}'
    ]


def test_without_protection_data_may_be_lost() -> None:
    before = facts(
        queue={**SERVICES["queue"], "deletion_protection": False},
        postgres={**SERVICES["postgres"], "deletion_protection": False},
    )
    assert said(environment(queue=None, postgres={**SERVICES["postgres"], "replicas": 3}), before) == []
    assert said(changed("queue", storage="2Gi"), before) == []
    assert said(changed("queue", storage="2Gi", deletion_protection=False)), (
        "protection must be off before, not with it"
    )


def test_what_has_data_does_not_begin_with_a_backup() -> None:
    store = {"backup": {"to": "objects"}, "restore": {"store": "objects"}}
    wanted = environment(objects={}, postgres={**SERVICES["postgres"], **store})
    assert [str(problem) for problem in service_problems(wanted, deployed())] == [
        "groundwork:services.postgres.restore: given; a backup is what a new service begins with, and this one has "
        "data, which would stay as it is; remove it, or restore into a service of another name, with restore.service: "
        "the name of this one"
    ]
    assert service_problems(wanted, facts(objects={}, postgres={**SERVICES["postgres"], **store})) == []
    assert service_problems(wanted, {}) == []


def test_protection_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ConfigError) as caught:
        changed("cache", deletion_protection=False)
    assert str(caught.value) == (
        "groundwork:services.cache.deletion_protection: false given; the service keeps nothing to protect; remove it"
    )


STAYS = "to lose the data, first take the environment down: make down ENV=test"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            {},
            {"target": "docker"},
            f"target: docker given, kubernetes deployed; the data of postgres, queue would stay behind; "
            f"put kubernetes back; {STAYS}",
        ),
        (
            {},
            {"cluster": OWN},
            f"cluster: mine given, embedded deployed; the data of postgres, queue would stay behind; "
            f"put embedded back; {STAYS}",
        ),
        (
            {},
            {"placement": {**PLACE, "region": "eu-west-1"}},
            "placement.region: eu-west-1 given, eu-central-1 deployed; the data of postgres, queue would stay "
            f"behind; put eu-central-1 back; {STAYS}",
        ),
        (
            {"cluster": OWN},
            {"cluster": {**OWN, "storage_class": "slow"}},
            "cluster.storage_class: slow given, fast deployed; the data of postgres, queue would stay behind; "
            f"put fast back; {STAYS}",
        ),
        (
            {"cluster": OWN},
            {"cluster": {"context": "mine", "provisioner": "disk.example"}},
            "cluster.storage_class: nothing given, fast deployed; the data of postgres, queue would stay behind; "
            f"put fast back; {STAYS}",
        ),
    ],
)
def test_data_that_would_stay_behind(before: dict[str, Any], after: dict[str, Any], says: str) -> None:
    kept = {"postgres": SERVICES["postgres"], "queue": SERVICES["queue"]}
    others = {name: None for name in SERVICES if name not in kept}
    base = {key: value for key, value in BASE.items() if key != "cluster"} if "target" in after else BASE
    wanted = parse("test", {**base, **after}, kept)
    deployed = facts(before, **others)
    assert said(wanted, deployed) == [f"groundwork:environment.{says}"]
    assert said(wanted, {name: {**row, "deletion_protection": False} for name, row in deployed.items()}) == []


def test_another_file_of_the_same_cluster_is_no_move() -> None:
    wanted = environment({"cluster": {**OWN, "kubeconfig": "/elsewhere/config"}})
    assert said(wanted, facts({"cluster": OWN})) == []


def test_facts_of_an_earlier_release_lack_what_this_one_adds() -> None:
    old = without(deployed(), "growing", "place", "deletion_protection")
    assert said(changed("queue", storage="2Gi"), old) == []
    assert len(said(environment(queue=None), old)) == 1
    assert root_problems(environment(), Deployed(without(old, "roots", "issuer"), frozenset())) == []


def test_numbers_shrink_no_more_than_sizes_do_and_are_no_volumes() -> None:
    queue = {**deployed()["queue"], "growing": {"topics.orders.partitions": 12, "storage": "4Gi"}}
    fewer = Kept(durable=True, growing={"topics.orders.partitions": 6, "storage": "4Gi"})
    assert [(r.field, r.text) for r in refusals(queue, "redis", "8.10.1", fewer)] == [
        ("topics.orders.partitions", "6 given, 12 deployed; it can grow, never shrink; set 12 or more")
    ]
    more = Kept(durable=True, growing={"topics.orders.partitions": 24, "storage": "4Gi"})
    assert list(refusals(queue, "redis", "8.10.1", more)) == []
    assert grown(queue, more) == {}


def test_what_grows() -> None:
    wanted = environment(
        queue={**SERVICES["queue"], "storage": "8Gi"}, cluster={**SERVICES["cluster"], "storage": "80Gi"}
    )
    assert growing_volumes(wanted, deployed()) == [
        ("cluster", "storage", "40Gi", "80Gi"),
        ("cluster", "wal_storage", "10Gi", "20Gi"),
        ("queue", "storage", "4Gi", "8Gi"),
    ]
    assert growing_volumes(changed("warm", storage="2048Mi"), deployed()) == []


def roots(numbers: list[int], issuer: int | None = None) -> dict[str, Any]:
    return {"certificates": {"roots": numbers, **({"issuer": issuer} if issuer else {})}}


def trusting(*states: dict[str, Any], unfinished: str = "") -> Deployed:
    """Components of which each trusts what one of these settings says."""
    found = [Authority.of(CertificatePolicy.model_validate(state["certificates"])) for state in states]
    facts_ = {f"service-{n}": {"roots": list(one.roots), "issuer": one.issuer} for n, one in enumerate(found)}
    return Deployed(facts_, frozenset({unfinished}))


ROOTS = "groundwork:environment.certificates"
STRANGE = "services would meet certificates of a root that they don't trust; take these steps, with an `up` after each"
ONE, BOTH, OTHER, NEW = roots([1]), roots([1, 2], 1), roots([1, 2], 2), roots([2])


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            ONE,
            NEW,
            f"roots: [2], issuer: 2 given, roots: [1], issuer: 1 deployed; {STRANGE}: roots: [1, 2], issuer: 1; "
            "roots: [1, 2], issuer: 2; roots: [2], issuer: 2",
        ),
        (
            ONE,
            OTHER,
            f"roots: [1, 2], issuer: 2 given, roots: [1], issuer: 1 deployed; {STRANGE}: roots: [1, 2], issuer: 1; "
            "roots: [1, 2], issuer: 2; roots: [2], issuer: 2",
        ),
        (
            BOTH,
            NEW,
            f"roots: [2], issuer: 2 given, roots: [1, 2], issuer: 1 deployed; {STRANGE}: roots: [1, 2], issuer: 2; "
            "roots: [2], issuer: 2",
        ),
    ],
)
def test_a_root_that_takes_another_s_place_at_once(before: dict[str, Any], after: dict[str, Any], says: str) -> None:
    assert [str(problem) for problem in root_problems(environment(after), trusting(before))] == [f"{ROOTS}: {says}"]


def test_a_root_takes_another_s_place_step_by_step() -> None:
    for before, after in pairwise([ONE, BOTH, OTHER, NEW, roots([2, 3]), NEW]):
        assert root_problems(environment(after), trusting(before)) == []


@pytest.mark.parametrize(
    ("deployed_", "known"),
    [
        (trusting(BOTH, unfinished="pki"), ["roots: [1, 2], issuer: 1"]),
        (trusting(ONE, BOTH), ["roots: [1], issuer: 1", "roots: [1, 2], issuer: 1"]),
    ],
)
def test_a_step_waits_for_the_one_before_it(deployed_: Deployed, known: list[str]) -> None:
    """Until everything trusts both roots, only what some trust already may be asked for."""
    assert [str(problem) for problem in root_problems(environment(OTHER), deployed_)] == [
        f"{ROOTS}: roots: [1, 2], issuer: 2 given; the `up` that changed this last has not come to its end; first run "
        f"it again with {' or '.join(known)}"
    ]
    assert root_problems(environment(BOTH), deployed_) == []


def test_every_component_says_which_roots_it_trusts() -> None:
    found = {name: (row["roots"], row["issuer"]) for name, row in facts(OTHER).items()}
    assert set(found) == {"pki", *SERVICES}
    assert all(trusts == ([1, 2], 2) for trusts in found.values())


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (
            {"roots": [1], "issuer": 2},
            "issuer: 2 given; nobody trusts that root; allowed: 1; set one of them or add 2 to roots",
        ),
        ({"roots": [2, 2]}, "roots: [2, 2] given; a root is there once; remove the other one"),
        ({"roots": []}, "roots: an empty list given; certificates lead to a root; set [1]"),
        ({"roots": [0]}, "roots.0: 0 given; at least 1 is needed"),
        ({"roots": [True]}, "roots.0: true given; a whole number is needed, such as 3"),
    ],
)
def test_roots_that_make_no_sense(policy: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        environment({"certificates": policy})
    assert str(caught.value).startswith(f"{ROOTS}.{says}")


class Cluster:
    """Stands for kubectl: answers with a storage class, or fails."""

    def __init__(self, answer: dict[str, Any] | None, error: str = "") -> None:
        self._answer, self._error = answer, error
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, cluster: object, *words: str) -> str:
        from components.targets.kubernetes.kubectl import KubectlError

        self.asked.append(words)
        if self._answer is None:
            raise KubectlError(self._error)
        return json.dumps(self._answer)


def grow(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, base: dict[str, Any]) -> frozenset[str]:
    monkeypatch.setattr("components.targets.kubernetes.kubectl.kubectl", cluster)
    monkeypatch.setattr(changes, "read_deployed", lambda: Deployed(facts(base), frozenset()))
    return refuse_unsafe(environment(base, queue={**SERVICES["queue"], "storage": "8Gi"}))


def test_volumes_grow_where_their_class_lets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster({"allowVolumeExpansion": True})
    assert grow(monkeypatch, cluster, {}) == {"queue"}
    assert cluster.asked == [("get", "storageclass", "groundwork-test", "--output=json")]


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        (
            Cluster({"allowVolumeExpansion": False}),
            "volumes of storage class fast can't grow; set allowVolumeExpansion: true in it, or put the size back",
        ),
        (
            Cluster(None, "there is no kubectl on PATH"),
            "kubectl, by which volumes grow, says: there is no kubectl on PATH; make it work or put the size back",
        ),
    ],
)
def test_volumes_that_can_t_grow(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        grow(monkeypatch, cluster, {"cluster": OWN})
    assert str(caught.value) == f"groundwork:services.queue.storage: 8Gi given, 4Gi deployed; {says}"


@pytest.mark.parametrize(
    ("service", "fields", "reshaped"),
    [
        ("queue", {}, False),
        ("queue", {"replicas": 5}, False),
        ("queue", {"ttl": None, "resources": {"memory": "256Mi"}}, False),
        ("queue", {"storage": "8Gi"}, True),
        ("cache", {"replicas": 3}, True),
        ("warm", {"persistence": "none", "storage": None}, True),
        ("api", {"replicas": 3}, False),
    ],
)
def test_what_is_deployed_in_another_shape(
    monkeypatch: pytest.MonkeyPatch, service: str, fields: dict[str, Any], reshaped: bool
) -> None:
    monkeypatch.setattr("components.targets.kubernetes.kubectl.kubectl", Cluster({"allowVolumeExpansion": True}))
    monkeypatch.setattr(changes, "read_deployed", lambda: Deployed(deployed(), frozenset()))
    assert refuse_unsafe(changed(service, **fields)) == ({service} if reshaped else set())


def test_what_a_killed_run_was_changing_may_have_either_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "read_deployed", lambda: Deployed(deployed(), frozenset({"queue", "gone"})))
    assert refuse_unsafe(changed("queue")) == {"queue"}


def test_missing_protection_is_said_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    monkeypatch.setattr(changes, "read_deployed", lambda: Deployed({}, frozenset()))
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    assert refuse_unsafe(changed("queue", deletion_protection=False)) == frozenset()
    assert warned == [
        "groundwork:services.queue.deletion_protection: false given; the next change may delete its data; remove the "
        "line to protect it again"
    ]


class Engine:
    """Stands for the engine's own function on state."""

    def __init__(self, resources: dict[str, Any] | Exception) -> None:
        self._answer = resources
        self.asked: list[tuple[str, dict[str, str]]] = []

    def __call__(self, token: str, arguments: dict[str, str]) -> Any:
        self.asked.append((token, arguments))
        if isinstance(self._answer, Exception):
            raise self._answer
        return InvokeResult({"outputs": self._answer})


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    def ask(engine: Engine, organization: str = "organization") -> Deployed:
        monkeypatch.setattr(pulumi, "get_organization", lambda: organization)
        monkeypatch.setattr(pulumi, "get_project", lambda: "groundwork")
        monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
        monkeypatch.setattr(pulumi.runtime, "invoke", engine)
        return previous.read_deployed()

    return ask


READ = "pulumi:pulumi:readStackResourceOutputs"


def registered(stack: dict[str, Any], **components: dict[str, Any]) -> dict[str, Any]:
    """Resources of a state, with some that are not ours."""
    urn = "urn:pulumi:dev::groundwork::"
    return {
        f"{urn}pulumi:pulumi:Stack::groundwork-dev": {"type": "pulumi:pulumi:Stack", "outputs": stack},
        f"{urn}kubernetes:core/v1:Secret::secret": {"type": "kubernetes:core/v1:Secret", "outputs": {"data": "x"}},
        **{
            f"{urn}groundwork:data:Redis::{name}": {"type": "groundwork:data:Redis", "outputs": outputs}
            for name, outputs in components.items()
        },
    }


def test_what_is_deployed_is_what_components_say(ask: Any) -> None:
    facts = {"kind": "redis", "replicas": 3.0, "growing": {"storage": "4Gi"}, "roots": [1.0]}
    engine = Engine(registered({"inventory": [{"name": "queue", **facts}]}, queue=facts))
    found = ask(engine)
    assert found == Deployed(
        {"queue": {"kind": "redis", "replicas": 3, "growing": {"storage": "4Gi"}, "roots": [1]}}, frozenset()
    )
    assert isinstance(found.facts["queue"]["replicas"], int)
    assert engine.asked == [(READ, {"stackName": "dev"})]


def test_a_stack_of_an_organization_is_asked_for_by_its_whole_name(ask: Any) -> None:
    engine = Engine({})
    assert ask(engine, "acme") == Deployed({}, frozenset())
    assert engine.asked == [(READ, {"stackName": "acme/groundwork/dev"})]


def test_a_component_that_a_killed_run_was_changing_is_what_it_was(ask: Any) -> None:
    """One that is new has nothing below it yet; one that is gone has nothing to lose."""
    rows = [{"name": name, "kind": "redis"} for name in ("queue", "gone", "cache")]
    found = ask(Engine(registered({"inventory": rows}, queue={}, new={}, cache={"kind": "redis", "ca": "PEM"})))
    assert found.facts == {"queue": {"name": "queue", "kind": "redis"}, "cache": {"kind": "redis", "ca": "PEM"}}
    assert found.unfinished == {"queue", "new"}


@pytest.mark.parametrize("rows", [[{"name": "queue", "kind": "redis", "replicas": 1.0}], []])
def test_a_component_that_says_other_than_the_run_before_it_is_not_at_its_end(ask: Any, rows: list[Any]) -> None:
    new = {"kind": "redis", "replicas": 3.0}
    found = ask(Engine(registered({"inventory": rows}, queue=new)))
    assert found == Deployed({"queue": {"kind": "redis", "replicas": 3}}, frozenset({"queue"}))


def test_state_that_can_t_be_read_is_no_empty_one(ask: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        ask(Engine(Exception("unknown stack")))
    assert str(caught.value) == (
        "stack: dev given; what is deployed there can't be read, so nothing can be compared with it: unknown stack"
    )
