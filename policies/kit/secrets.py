"""Recognises secrets in text. Used twice: to find secrets where none belong, and to keep every message free of them.

Prefers a false alarm to a leak. It never returns the text it looked at.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

_PEM = re.compile(r"-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----")
_URL = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/@:\"']*:(?P<secret>[^\s/@\"']+)@", re.IGNORECASE)
_TOKENS = re.compile(
    r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|glpat-[A-Za-z0-9_-]{18,}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*|hvs\.[A-Za-z0-9_-]{20,}|sk_live_[A-Za-z0-9]{16,})"
)
_SENSITIVE = (
    r"[A-Za-z0-9_.-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|private[_-]?key|credentials?|[_-]pwd"
    r"|auth[_-]?pass|pgpass|masterauth|requirepass|primaryauth)"
)
_VALUE = r"(?P<secret>\"[^\"]*\"|'[^']*'|[^\s,;}#\"']+)"
_ASSIGNED = (
    re.compile(rf"(?<![A-Za-z0-9_.-]){_SENSITIVE}(?:[\"']?\s*=\s*|[\"']?:\s*){_VALUE}", re.IGNORECASE),
    re.compile(rf"(?<![A-Za-z0-9_.-])(?:requirepass|masterauth|primaryauth|auth-pass\s+\S+)\s+{_VALUE}", re.IGNORECASE),
    re.compile(r"\bpassword\s+(?P<secret>'[^']*')", re.IGNORECASE),
    re.compile(r"^\s*user\s+\S+\s.*?>(?P<secret>\S+)", re.IGNORECASE | re.MULTILINE),
)
_WORD = re.compile(r"[A-Za-z0-9+=_]{24,}")
_REFERENCE = re.compile(
    r"^[\"']?(?:[\"']?$|[/$<{%@~:*\[]|\./|secret:|file:"
    r"|(?:true|false|on|off|yes|no|none|null|required|optional|scram-sha-256|\d{1,5}[smhd]?)[\"']?$)",
    re.IGNORECASE,
)
_NAME_OF_SECRET = re.compile(rf"^{_SENSITIVE}$", re.IGNORECASE)
_ENTROPY = 4.0
"""Bits per character. English words and identifiers stay below 3.8; random base64 of 24 characters is above 4."""


def kinds_of(text: str) -> Iterator[str]:
    """What kinds of secret `text` holds, in words fit for a message."""
    if _PEM.search(text):
        yield "a private key in PEM form"
    if any(not is_reference(match["secret"]) for match in _URL.finditer(text)):
        yield "an address with a password in it"
    if _TOKENS.search(text):
        yield "an access token"
    if any(looks_random(word) for word in _WORD.findall(text)):
        yield "a random-looking value"


def assigned_names(text: str) -> Iterator[str]:
    """Names of settings in `text` that are given a literal secret: `requirepass`, `db_password`."""
    for pattern in _ASSIGNED:
        for match in pattern.finditer(text):
            if not is_reference(match["secret"]):
                yield re.split(r"[\s:=\"']", match[0].strip(), maxsplit=1)[0]


def is_secret_name(name: str) -> bool:
    """Whether a setting of this name holds a secret: `DB_PASSWORD` does, `DB_PASSWORD_FILE` holds a path."""
    return bool(_NAME_OF_SECRET.match(name))


def is_reference(value: str) -> bool:
    """Whether a value only points to a secret (a path, a variable, a placeholder) or is a plain switch."""
    return bool(_REFERENCE.match(value.strip()))


def looks_random(word: str) -> bool:
    """Whether a word is more like random bytes than like language: mixed letters and digits, high entropy."""
    mixed = re.search(r"[a-z]", word) and re.search(r"[A-Z]", word) and re.search(r"[0-9]", word)
    if not mixed:
        return False
    counts = Counter(word)
    return -sum(n / len(word) * math.log2(n / len(word)) for n in counts.values()) >= _ENTROPY


def redact(text: str) -> str:
    """`text` with everything that may be a secret replaced. The last guard before a message leaves the pack."""
    text = re.sub(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)", "[hidden]", text, flags=re.DOTALL)
    text = _URL.sub(lambda m: m[0] if is_reference(m["secret"]) else m[0].replace(m["secret"], "[hidden]"), text)
    for pattern in _ASSIGNED:
        text = pattern.sub(lambda m: m[0] if is_reference(m["secret"]) else m[0].replace(m["secret"], "[hidden]"), text)
    text = _TOKENS.sub("[hidden]", text)
    return _WORD.sub(lambda m: "[hidden]" if looks_random(m[0]) else m[0], text)


def shown(value: object, limit: int = 80) -> str:
    """A value as a message may show it: switches, numbers, short harmless text; anything else is hidden."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}"
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    if len(value) > limit:
        return f"[a text of {len(value)} characters]"
    line = " ".join(value.split())
    harmless = not any(kinds_of(line)) and not any(assigned_names(line))
    return f"`{line}`" if harmless else "[hidden]"
