"""The guard around every rule: unknown values, crashes, levels, parameters, and what a rule is given."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto.analyzer_pb2_grpc import AnalyzerServicer
from pulumi_policy import deserialize, policy, proxy

from policies.kit.analyzer import Analyzer
from policies.kit.node import TRUE, Node
from policies.kit.node import UNKNOWN as NOT_KNOWN
from policies.kit.packs import LEVELS, STRICTEST, Packs, check_packs
from policies.kit.rule import Check, Rule, StackCheck
from policies.kit.selectors import matches
from policies.kit.wire import NOT_KNOWN as SENTINELS
from policies.kit.wire import SECRET, SIGNATURE, plain
from policies.rules import RULES
from tests.policies.judge import PACK, UNKNOWN, baseline, change, judge


def _rule(**functions: Any) -> Rule:
    return Rule(name="test-rule", description="A rule.", severity="low", references=(), fix="None.", **functions)


def test_a_crash_is_a_violation_with_its_name_and_without_its_text() -> None:
    def crash(check: Check) -> None:
        check.fail("here", "is wrong", "right", "put it right")
        raise KeyError("hunter2")

    found = judge(baseline(), rules=[_rule(check=crash)], only=["Secret cache"])["test-rule"]
    place = "cache: Secret groundwork-prod/cache, "
    assert found[-2] == f"{place}here is wrong; allowed: right; fix: put it right"
    assert re.fullmatch(place + r"the rule could not run: KeyError in test_kit.py line \d+; allowed: .*", found[-1])
    assert "hunter2" not in str(found)


def test_a_crash_on_the_whole_stack_is_a_violation() -> None:
    def crash(check: StackCheck) -> None:
        raise IndexError("hunter2")

    found = judge(baseline(), rules=[_rule(check_stack=crash)])
    assert list(found) == ["test-rule-stack"]
    assert "the rule could not run: IndexError in test_kit.py" in found["test-rule-stack"][0]


def test_two_unknown_values_are_two_violations() -> None:
    resources = baseline()
    change(resources, "StatefulSet cache > spec > template > spec > hostNetwork", UNKNOWN)
    change(resources, "StatefulSet cache > spec > template > spec > containers > 0 > securityContext", UNKNOWN)
    found = judge(resources, only=["StatefulSet cache"])["pod-hardening"]
    assert len(found) == 2
    assert all("could not be checked: spec.template.spec." in message for message in found)


def test_an_unknown_file_is_a_violation() -> None:
    resources = baseline()
    change(resources, "ConfigMap cache > data", UNKNOWN)
    found = judge(resources, only=["ConfigMap cache"])
    message = (
        "cache: ConfigMap groundwork-prod/cache, could not be checked: data is unknown until apply; "
        "allowed: a value known at preview; fix: make it plain data that does not come from another resource"
    )
    assert found["require-tls"] == [message]


def test_an_unknown_secret_is_expected() -> None:
    resources = baseline()
    change(resources, "Secret cache > stringData", UNKNOWN)
    change(
        resources,
        "StatefulSet cache > spec > template > metadata > annotations",
        {"groundwork.dev/secret-hash": UNKNOWN},
    )
    assert judge(resources) == {}


def test_properties_become_plain_data() -> None:
    wire = {
        "replicas": 3.0, "share": 0.5, "list": [1.0, {"name": UNKNOWN}], "text": "x", "none": None, "yes": True,
        "key": {SIGNATURE: SECRET, "value": {"a": 1.0}}, "file": {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17"},
    }  # fmt: skip
    result = plain(json_format.ParseDict(wire, struct_pb2.Struct()))
    assert result == {
        "replicas": 3, "share": 0.5, "list": [1, {"name": NOT_KNOWN}], "text": "x", "none": None, "yes": True,
        "key": {"a": 1}, "file": NOT_KNOWN,
    }  # fmt: skip
    assert isinstance(result["replicas"], int)


def test_the_marks_are_those_of_the_sdk() -> None:
    assert {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")} == SENTINELS
    assert (SIGNATURE, SECRET) == (deserialize.SPECIAL_SIG_KEY, deserialize.SPECIAL_SECRET_SIG)


def test_every_request_of_the_engine_is_answered() -> None:
    asked = {name for name in vars(AnalyzerServicer) if not name.startswith("_")}
    # Those that the SDK of policies leaves out too: the engine does without, and ends the process.
    assert asked - set(vars(Analyzer)) == asked - set(vars(policy._PolicyAnalyzerServicer)) == {"Handshake", "Cancel"}


def test_nothing_can_be_read_past_an_unknown_value() -> None:
    noted: list[str] = []
    below = Node({"spec": NOT_KNOWN}, "", noted.append).at("spec", "containers", 0)
    assert (below.text, below.number, below.items, below.fields, below.missing) == ("", None, [], {}, False)
    assert not below.differs("anything")
    assert set(noted) == {"spec"}


def test_true_is_not_one() -> None:
    assert Node(1, "x", lambda _: None).differs(TRUE)
    assert not Node(TRUE, "x", lambda _: None).differs(TRUE)


@pytest.mark.parametrize("pack", ["dev", "local", "prod"])
def test_a_pack_gives_every_rule_a_level_and_every_parameter(pack: str) -> None:
    content = json.loads((PACK / "packs" / f"{pack}.json").read_text(encoding="utf-8"))
    assert set(content) == {rule.name for rule in RULES}
    for rule in RULES:
        assert content[rule.name].pop("enforcementLevel") in LEVELS
        assert set(content[rule.name]) == set(rule.parameters), rule.name


def test_an_environment_without_a_pack_is_judged_as_the_strictest(tmp_path: Path) -> None:
    (tmp_path / "prod.json").write_text('{"a": {"enforcementLevel": "mandatory", "x": 1}}')
    (tmp_path / "dev.json").write_text('{"a": {"enforcementLevel": "advisory", "x": 2}}')
    packs = Packs(tmp_path)
    assert packs.settings("dev", "a", {}).params == {"x": 2}
    assert packs.settings("review-17", "a", {}) == packs.settings(STRICTEST, "a", {})
    assert packs.settings("dev", "b", {}).level == "mandatory"
    assert packs.settings("dev", "a", {"level": "nonsense"}).level == "mandatory"


RULE_IN_PACK = {"enforcementLevel": "mandatory", "x": 1, "y": []}


@pytest.mark.parametrize(
    ("pack", "said"),
    [
        ([], " is no mapping; allowed: rules"),
        ({}, ": a is not given; allowed: every rule"),
        ({"a": RULE_IN_PACK, "b": {}}, ": b is no rule; allowed: a"),
        ({"a": []}, ": a is no mapping; allowed: a level and parameters"),
        ({"a": {"x": 1, "y": []}}, ": a.enforcementLevel is not given; allowed: every parameter"),
        ({"a": {**RULE_IN_PACK, "enforcementLevel": "hard"}}, ": a.enforcementLevel is 'hard'; allowed: mandatory, "),
        ({"a": {"enforcementLevel": "advisory", "x": 1}}, ": a.y is not given; allowed: every parameter"),
        ({"a": {**RULE_IN_PACK, "z": 1}}, ": a.z is no parameter; allowed: enforcementLevel, x, y"),
        ({"a": {**RULE_IN_PACK, "x": True}}, ": a.x is True; allowed: a value of type number"),
        ({"a": {**RULE_IN_PACK, "y": "z"}}, ": a.y is 'z'; allowed: a value of type array"),
    ],
)
def test_a_slip_in_a_pack_is_an_error(tmp_path: Path, pack: Any, said: str) -> None:
    (tmp_path / "dev.json").write_text(json.dumps(pack))
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        check_packs(tmp_path, {"a": {"x": {"type": "number"}, "y": {"type": "array"}}})
    assert str(raised.value).count("; fix: ") == 1


def test_a_pack_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text("{")
    with pytest.raises(ValueError, match=r"dev\.json can't be read \(.*line 1.*; fix: "):
        check_packs(tmp_path, {})


def test_given_parameters_go_before_those_of_the_pack() -> None:
    config = {"pinned-images": {"version_parts": 3}}
    found = judge(baseline(), config=config, only=["Cluster postgres"])
    assert "a version of at least 3 numbers" in found["pinned-images"][0]


def test_an_advisory_rule_gives_notices_and_a_disabled_one_nothing() -> None:
    resources = baseline()
    change(resources, "Namespace > metadata > labels > groundwork.dev/owner", "(deleted)")
    blocked = judge(resources)["require-owner"]
    advisory = judge(resources, config={"require-owner": {"level": "advisory"}})
    assert advisory == {"require-owner (notice)": blocked}
    assert judge(resources, config={"require-owner": {"level": "disabled"}}) == {}


def test_every_rule_says_where_it_comes_from() -> None:
    for rule in RULES:
        assert rule.references
        assert rule.fix
        assert rule.severity in ("low", "medium", "high", "critical")
        assert (PACK / "rules" / f"{rule.name.replace('-', '_')}.py").is_file()


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        ({}, True),
        (None, False),
        ({"matchLabels": {"a": "1"}}, True),
        ({"matchLabels": {"a": "2"}}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "In", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "b", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Guess"}]}, False),
        ({"matchLabels": NOT_KNOWN}, False),
    ],
)
def test_selectors_select_as_the_api_server_does(selector: Any, selected: bool) -> None:
    assert matches(selector, {"a": "1"}) is selected
