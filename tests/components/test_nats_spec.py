"""What a person may declare of a NATS, and how each mistake is answered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.core.problems import Problem, problems_of
from components.nats import NatsSpec
from components.nats.subjects import covers, overlap
from tests.support.nats import JOBS, ORDERS, spec_of

WORDS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4)
NAMES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=5).map(tuple)


def mistakes(*streams: dict[str, Any], **fields: Any) -> dict[str, str]:
    """The errors of a spec by their paths."""
    with pytest.raises(ValidationError) as caught:
        spec_of(*streams, **fields)
    problems: list[Problem] = problems_of(caught.value, NatsSpec, "bus")
    return {problem.path.removeprefix("bus."): problem.text for problem in problems}


@st.composite
def subjects(draw: st.DrawFn) -> str:
    words = draw(WORDS)
    return ".".join(["a" if words[0] == "*" else words[0], *words[1:], *([">"] if draw(st.booleans()) else [])])


def matches(subject: str, name: tuple[str, ...]) -> bool:
    """NATS's rule, written down once more and differently: word by word."""
    pattern = subject.split(".")
    if pattern[-1] == ">":
        return len(name) >= len(pattern) and matches(".".join(pattern[:-1]) or ">", name[: len(pattern) - 1])
    return len(pattern) == len(name) and all(p in ("*", n) for p, n in zip(pattern, name, strict=True))


@given(one=subjects(), other=subjects(), name=NAMES)
def test_subjects_overlap_where_a_name_is_in_both(one: str, other: str, name: tuple[str, ...]) -> None:
    if matches(one, name) and matches(other, name):
        assert overlap(one, other)
    if covers(one, other) and matches(other, name):
        assert matches(one, name)


@pytest.mark.parametrize(
    ("wider", "narrower", "covered", "overlapping"),
    [
        ("a.>", "a.b", True, True),
        ("a.>", "a", False, False),
        ("a.>", "a.>", True, True),
        ("a.*", "a.>", False, True),
        ("a.*", "a.*.c", False, False),
        ("a.*.c", "a.b.*", False, True),
        ("a.b", "a.*", False, True),
        ("a.*", "a.b", True, True),
        ("a.b", "b.a", False, False),
    ],
)
def test_subjects_as_sets(wider: str, narrower: str, covered: bool, overlapping: bool) -> None:
    assert covers(wider, narrower) == covered
    assert overlap(wider, narrower) == overlap(narrower, wider) == overlapping


@pytest.mark.parametrize("subject", [">", "*", "*.a", "$JS.API.>", "_INBOX.x", "a..b", "a b", "a.>.b", ".a", "a.", ""])
def test_a_subject_that_nats_keeps_or_does_not_know_is_refused(subject: str) -> None:
    (text,) = mistakes({**ORDERS, "subjects": [subject], "durables": []}).values()
    assert "after the first, * for one word" in text


@pytest.mark.parametrize("name", ["", "1ST", "a.b", "a b", "a*", "x" * 65])
def test_a_name_that_is_no_folder_or_token_is_refused(name: str) -> None:
    assert list(mistakes({**ORDERS, "name": name})) == ["streams.0.name"]
    assert list(mistakes({**ORDERS, "durables": [{"name": name}]})) == ["streams.0.durables.0.name"]


def test_a_message_belongs_to_one_stream() -> None:
    assert mistakes(ORDERS, {**JOBS, "subjects": ["jobs.*", "orders.*.paid"]}) == {
        "streams.1.subjects.1": "orders.*.paid given; it overlaps orders.> of ORDERS, and a message belongs to one "
        "stream; change one of the two"
    }
    assert mistakes({**ORDERS, "subjects": ["orders.>", "orders.a"]}) == {
        "streams.0.subjects.1": "orders.a given; it overlaps orders.> above; remove one of the two"
    }


def test_names_are_taken_once() -> None:
    assert mistakes(ORDERS, {**JOBS, "name": "ORDERS"}) == {
        "streams.1.name": "ORDERS given; streams.0 has that name; choose another"
    }
    twice = [{"name": "billing"}, {"name": "billing"}]
    assert mistakes({**ORDERS, "durables": twice}) == {
        "streams.0.durables.1.name": "billing given; another one has that name; choose another"
    }


def test_a_durable_is_for_what_its_stream_captures() -> None:
    assert mistakes({**ORDERS, "durables": [{"name": "billing", "filter": "invoices.>"}]}) == {
        "streams.0.durables.0.filter": "invoices.> given; the stream does not capture all of it; allowed: a part of "
        "orders.>"
    }


def test_a_workqueue_gives_each_message_to_one_durable() -> None:
    both = [{"name": "one", "filter": "jobs.a"}, {"name": "two", "filter": "jobs.*"}]
    assert mistakes({**JOBS, "durables": both}) == {
        "streams.0.durables.1.filter": "jobs.* given; it overlaps one, and a workqueue gives each message to one "
        "durable; give both filters that don't overlap, or set retention: interest"
    }
    assert list(mistakes({**JOBS, "durables": [{"name": "one"}, {"name": "two"}]})) == ["streams.0.durables.1.filter"]
    spec_of({**JOBS, "durables": [{"name": "one", "filter": "jobs.a"}, {"name": "two", "filter": "jobs.b"}]})
    spec_of({**JOBS, "retention": "interest", "durables": both})


@pytest.mark.parametrize("retention", ["interest", "workqueue"])
def test_what_is_kept_for_durables_has_one(retention: str) -> None:
    (found,) = mistakes({**JOBS, "retention": retention, "durables": []}).items()
    assert found[0] == "streams.0.durables"
    assert found[1].startswith(f"none given; retention {retention} needs one")


def test_waits_between_deliveries_are_not_more_than_deliveries() -> None:
    wait = {"name": "billing", "backoff": ["1s", "10s", "1m"]}
    assert mistakes({**ORDERS, "durables": [{**wait, "max_deliver": 2}]}) == {
        "streams.0.durables.0.backoff": "3 waits given; max_deliver is 2; set max_deliver: 3 or more, or remove waits"
    }
    assert mistakes({**ORDERS, "durables": [{**wait, "ack_wait": "5s"}]}) == {
        "streams.0.durables.0.ack_wait": "5s given; backoff says how long to wait; remove one of the two"
    }
    spec_of({**ORDERS, "durables": [{**wait, "max_deliver": 3}]})


def test_streams_fit_on_the_disk() -> None:
    assert mistakes({**ORDERS, "max_bytes": "900Mi"}) == {
        "storage": "1Gi given; its streams may hold 900Mi, and a fifth of the disk is for their logs; set 1125Mi or "
        "more, or lower a max_bytes"
    }
    assert spec_of({**ORDERS, "max_bytes": "900Mi"}, storage="1125Mi").room == 900 * 2**20


def test_a_quorum_is_odd_and_not_more_than_five() -> None:
    assert mistakes(replicas=2) == {"replicas": "2 given; a quorum needs an odd number, set 3"}
    assert "at most 5" in mistakes(replicas=7)["replicas"]


def test_a_nats_has_streams_and_memory_for_them() -> None:
    assert "a NATS needs a stream" in mistakes(streams=())["streams"]
    assert "a stream captures something" in mistakes({**ORDERS, "subjects": [], "durables": []})["streams.0.subjects"]
    assert "needs at least 64Mi" in mistakes(resources={"memory": "32Mi"})["resources.memory"]


@pytest.mark.parametrize(
    ("retention", "discard", "dropped"),
    [("limits", None, "old"), ("workqueue", None, "new"), ("interest", None, "new"), ("workqueue", "old", "old")],
)
def test_jobs_do_not_vanish_from_a_full_stream_unless_asked(retention: str, discard: str | None, dropped: str) -> None:
    (stream,) = spec_of({**JOBS, "retention": retention, "discard": discard}).streams
    assert stream.dropped == dropped
