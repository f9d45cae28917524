"""no-secret-in-plain: secrets stand in Secrets, and reach a process as files.

Looks at what may be read by more people than a Secret: configuration, variables, arguments, labels, annotations and the
facts of components. A message names the place, never the text.
"""

import re
from collections.abc import Iterator
from itertools import zip_longest

from policies.kit.node import UNKNOWN, Node
from policies.kit.resource import pods_of
from policies.kit.rule import STRINGS, Check, Rule
from policies.kit.secrets import assigned_names, is_reference, is_secret_name, kinds_of

_FIX = "keep it in the Secret of the service and read it from a file"
_HASHES = ("/config-hash", "/secret-hash")
_FREE = re.compile(r"(^|\.)(annotations|labels)\b")


def _check(check: Check) -> None:
    resource = check.resource
    if resource.is_a("core", "Secret"):
        _check_words(check, check.root.at("metadata"))
        return
    if not resource.group and not resource.is_service:
        return
    _check_words(check, check.root)
    if resource.is_a("core", "ConfigMap"):
        for name, node in check.root.at("data").fields.items():
            _check_file(check, name, node)
    for pod in pods_of(resource, check.root):
        for container in pod.all_containers:
            _check_environment(check, container)
            _check_arguments(check, container)


def _check_words(check: Check, root: Node) -> None:
    """Every text of a resource. Unknown fields are left to the rules that read them; free text is read here only."""
    for node in _texts(root, free=check.resource.is_service):
        if not node.path.endswith(_HASHES):
            for kind in kinds_of(str(node.value)):
                check.fail(node.path, f"holds {kind}", "no secret outside Secrets", _FIX)


def _texts(node: Node, *, free: bool) -> Iterator[Node]:
    """Texts below a node; where text is free, an unknown one counts as not checked."""
    if node.value is UNKNOWN:
        # A digest of secrets is unknown until they are made, and reveals none of them.
        if (free or _FREE.search(node.path)) and not node.path.endswith(_HASHES):
            node.note_unknown()
        return
    if isinstance(node.value, dict):
        for below in node.fields.values():
            yield from _texts(below, free=free)
    elif isinstance(node.value, list):
        for below in node.items:
            yield from _texts(below, free=free)
    elif isinstance(node.value, str):
        yield node


def _check_file(check: Check, name: str, node: Node) -> None:
    for number, line in enumerate(node.text.splitlines(), start=1):
        for setting in assigned_names(line):
            check.fail(f"{name} line {number}", f"gives `{setting}` a literal value", "a reference or a file", _FIX)


def _check_environment(check: Check, container: Node) -> None:
    allowed: list[str] = check.params["secret_variables"]
    for variable in container.at("env").items:
        name, value = variable.at("name").text, variable.at("value")
        if value.known and value.text and is_secret_name(name) and not is_reference(value.text):
            check.fail(variable.path, f"gives `{name}` a literal value", "a reference or a file", _FIX)
        if not variable.at("valueFrom", "secretKeyRef").missing and name not in allowed:
            what = f"hands a secret to the process as variable `{name}`"
            fix = f"{_FIX}, or add the name to secret_variables in packs/"
            check.fail(variable.path, what, ", ".join(allowed) or "files", fix)
    for source in container.at("envFrom").items:
        if not source.at("secretRef").missing:
            check.fail(source.path, "hands a whole Secret to the process as variables", "files", _FIX)


def _check_arguments(check: Check, container: Node) -> None:
    for key in ("command", "args"):
        words = container.at(key).items
        for word, after in zip_longest(words, words[1:]):
            flag = word.text.lstrip("-")
            following = after.text if after is not None and word.text.startswith("-") else ""
            named = is_secret_name(flag) and following and not following.startswith("-") and not is_reference(following)
            for setting in [*assigned_names(word.text), *([flag] if named else [])]:
                check.fail(word.path, f"gives `{setting.lstrip('-')}` a literal value", "a reference or a file", _FIX)


RULE = Rule(
    name="no-secret-in-plain",
    description="Secrets stand in Secrets and reach processes as files.",
    severity="critical",
    references=("CIS 5.4.1", "NSA Network separation and hardening: Secrets"),
    fix="Move the value into the service's Secret and read it from a file.",
    check=_check,
    parameters={"secret_variables": STRINGS},
)
