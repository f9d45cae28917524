"""no-secret-in-plain: secrets stand in Secrets, and reach a process as files.

Looks at what may be read by more people than a Secret: configuration, variables, arguments, labels, annotations and the
facts of components. On a Docker engine a secret is an uploaded file that others can't read. A message names the place,
never the text.
"""

import re
from collections.abc import Collection, Iterator
from itertools import zip_longest

from policies.kit.content import File, Process, files_of, probes_of, processes_of
from policies.kit.node import UNKNOWN, Node
from policies.kit.resource import DOCKER, pods_of
from policies.kit.rule import STRINGS, Check, Rule
from policies.kit.secrets import assigned_names, is_reference, is_secret_name, kinds_of, shown

_FIX = "keep it in the Secret of the service and read it from a file"
_ENGINE_FIX = "keep it in a file with permissions 0440 and read it from there"
_HASHES = ("/config-hash", "/secret-hash")
_FREE = re.compile(r"(^|\.)(annotations|labels)\b")


def _check(check: Check) -> None:
    resource = check.resource
    if resource.is_a("core", "Secret"):
        _check_words(check, check.root.at("metadata"))
        return
    if not resource.group and not resource.is_service:
        return
    files = list(files_of(resource, check.root))
    _check_words(check, check.root, [file.content.path for file in files if file.secret or file.encoded])
    for file in files:
        _check_file(check, file)
    for process in (*processes_of(resource, check.root), *probes_of(resource, check.root)):
        _check_variables(check, process)
        _check_arguments(check, process)
    for pod in pods_of(resource, check.root):
        for container in pod.all_containers:
            _check_sources(check, container)


def _fix(check: Check) -> str:
    return _ENGINE_FIX if check.resource.group == DOCKER else _FIX


def _check_words(check: Check, root: Node, kept: Collection[str] = ()) -> None:
    """Every text of a resource but what is `kept` for another look. Unknown fields are left to the rules that read
    them; free text is read here only."""
    for node in _texts(root, free=check.resource.is_service):
        if not node.path.endswith(_HASHES) and node.path not in kept:
            for kind in kinds_of(str(node.value)):
                check.fail(node.path, f"holds {kind}", "no secret outside Secrets", _fix(check))


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


def _check_file(check: Check, file: File) -> None:
    """A file that others can read gives nothing away; one that they can't is not for its group to change either."""
    if file.secret:
        if file.mode and int(file.mode.text, 8) & ~0o440:
            what = f"is {shown(file.mode.value)}, which is more than reading by its owner and group"
            check.fail(file.mode.path, what, "0440 or less", f"set {file.mode.path} to 0440")
        return
    for kind in kinds_of(file.content.text) if file.encoded else ():
        check.fail(file.name, f"holds {kind}", "no secret outside Secrets", _fix(check))
    for number, line in enumerate(file.content.text.splitlines(), start=1):
        for setting in assigned_names(line):
            check.fail(
                f"{file.name} line {number}", f"gives `{setting}` a literal value", "a reference or a file", _fix(check)
            )


def _check_variables(check: Check, process: Process) -> None:
    for variable in process.variables:
        name, value = variable.name, variable.value
        if value.known and value.text and is_secret_name(name) and not is_reference(value.text):
            check.fail(variable.node.path, f"gives `{name}` a literal value", "a reference or a file", _fix(check))


def _check_sources(check: Check, container: Node) -> None:
    allowed: list[str] = check.params["secret_variables"]
    for variable in container.at("env").items:
        name = variable.at("name").text
        if not variable.at("valueFrom", "secretKeyRef").missing and name not in allowed:
            what = f"hands a secret to the process as variable `{name}`"
            fix = f"{_FIX}, or add the name to secret_variables in packs/"
            check.fail(variable.path, what, ", ".join(allowed) or "files", fix)
    for source in container.at("envFrom").items:
        if not source.at("secretRef").missing:
            check.fail(source.path, "hands a whole Secret to the process as variables", "files", _FIX)


def _check_arguments(check: Check, process: Process) -> None:
    for word, after in zip_longest(process.words, process.words[1:]):
        flag = word.text.lstrip("-")
        following = after.text if after is not None and word.text.startswith("-") else ""
        named = is_secret_name(flag) and following and not following.startswith("-") and not is_reference(following)
        for setting in [*assigned_names(word.text), *([flag] if named else [])]:
            check.fail(
                word.path, f"gives `{setting.lstrip('-')}` a literal value", "a reference or a file", _fix(check)
            )


RULE = Rule(
    name="no-secret-in-plain",
    description="Secrets stand in Secrets and reach processes as files.",
    severity="critical",
    references=("CIS 5.4.1", "NSA Network separation and hardening: Secrets"),
    fix="Move the value into the service's Secret and read it from a file.",
    check=_check,
    parameters={"secret_variables": STRINGS},
)
