"""What a secret looks like, so that none is accepted where it would be readable, and no message repeats one. Pure."""

import re

_KNOWN = re.compile(
    r"://[^/\s:@]*:[^/\s@]+@"  # a URL with a password
    r"|-----BEGIN "  # PEM
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\."  # a JSON web token
    r"|\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bxox[abpr]-|\bsk-[A-Za-z0-9]{20,}"
)
_RANDOM = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*[0-9])[A-Za-z0-9+/=_-]{24,}|(?=\S*[a-f])(?=\S*[0-9])[0-9a-f]{32,}")


def is_secret(text: str) -> bool:
    """Whether text holds something with the form of a secret: a key, a token, a URL with a password."""
    return bool(_KNOWN.search(text))


def may_be_secret(text: str) -> bool:
    """Whether text had better not be repeated: a secret by its form, or one long random-looking word."""
    return is_secret(text) or any(_RANDOM.fullmatch(word) for word in text.split())
