"""postgresql.conf and pg_hba.conf.

PostgreSQL documentation, "Connections and Authentication" and "The pg_hba.conf File".
"""

import re
from collections.abc import Iterator, Sequence

from policies.readers.problem import Problem, listed

_SETTING = re.compile(r"^\s*(?P<name>[A-Za-z_][A-Za-z0-9_.]*)\s*(?:=\s*|\s+)(?P<value>'(?:[^']|'')*'|[^#\s]*)")
_ON = ("on", "true", "yes", "1")
_HIDING = ("include", "include_dir", "include_if_exists")
_TYPES = ("host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")
_EVERYWHERE = ("all", "0.0.0.0/0", "::/0")


def settings(text: str) -> Iterator[tuple[int, str, str]]:
    """Line number, lower-case name and value of each setting of postgresql.conf."""
    for number, line in enumerate(text.splitlines(), start=1):
        match = _SETTING.match(line)
        if match:
            yield number, match["name"].lower(), match["value"].strip("'")


def check_postgresql_conf(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of postgresql.conf; `protocols` are the TLS versions allowed."""
    found: dict[str, list[tuple[int, str]]] = {}
    for number, name, value in settings(text):
        found.setdefault(name, []).append((number, value))
    if "ssl" not in found:
        yield Problem(0, "ssl", "is not set, so the server speaks plaintext only", "on", "set `ssl = on`")
    for number, value in found.get("ssl", []):
        if value.lower() not in _ON:
            yield Problem(number, f"ssl = {value}", "turns TLS off", "on", "set `ssl = on`")
    yield from check_minimum(found.get("ssl_min_protocol_version", []), protocols)
    for name in _HIDING:
        for number, _ in found.get(name, []):
            yield Problem(
                number, name, "hides settings from this rule", "no include", "put the settings into this file"
            )


def check_minimum(found: Sequence[tuple[int, str]], protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of `ssl_min_protocol_version`, which defaults to TLSv1.2."""
    name, fix = "ssl_min_protocol_version", f"set `ssl_min_protocol_version = '{protocols[0]}'`"
    if not found and "TLSv1.2" not in protocols:
        yield Problem(0, name, "is not set, so TLSv1.2 is accepted", listed(protocols), fix)
    for number, value in found:
        if value not in protocols:
            yield Problem(number, f"{name} = {value}", "accepts other TLS versions", listed(protocols), fix)


def check_pg_hba(text: str, methods: Sequence[str]) -> Iterator[Problem]:
    """Problems of pg_hba.conf: the first network entry refuses plaintext, none admits it, none trusts without proof."""
    first = True
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if not words or words[0] == "local":
            continue
        if words[0].startswith("include") or any(word.startswith("@") for word in words):
            yield Problem(
                number, words[0], "hides entries from this rule", "no include", "put the entries into this file"
            )
            continue
        if first and not _refuses_plaintext(words):
            what = "comes before plaintext connections are refused"
            fix = "make `hostnossl all all all reject` the first network entry"
            yield Problem(number, _shown(words), what, "hostnossl all all all reject first", fix)
        first = False
        yield from _entry(number, words, methods)
    if first:
        what = "has no network entry that refuses plaintext"
        yield Problem(0, "hostnossl", what, "hostnossl all all all reject", "add `hostnossl all all all reject`")


def _entry(number: int, words: Sequence[str], methods: Sequence[str]) -> Iterator[Problem]:
    if words[0] not in ("hostssl", "hostnossl") and "reject" not in words:
        what = "admits connections without TLS"
        yield Problem(number, _shown(words), what, "hostssl", "make it a `hostssl` entry")
    elif words[0] == "hostnossl" and "reject" not in words:
        what = "admits connections without TLS"
        yield Problem(number, _shown(words), what, "hostnossl with reject", "write `reject` as its method or remove it")
    elif not any(word in methods for word in words[4:]):
        what = "admits clients by a method that is not allowed"
        yield Problem(number, _shown(words), what, listed(methods), f"use {methods[0]} as its method")


def _refuses_plaintext(words: Sequence[str]) -> bool:
    return (
        words[:3] == ["hostnossl", "all", "all"] and len(words) > 4 and words[3] in _EVERYWHERE and words[4] == "reject"
    )


def _shown(words: Sequence[str]) -> str:
    return " ".join(words[:5]) if words[0] in _TYPES else "an entry of another type"
