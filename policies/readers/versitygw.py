"""versitygw.conf: variables of versitygw, as a shell reads them (versitygw's wiki, "Global Options").

The server can't be told to refuse TLS 1.2, so that it listens on a socket alone, behind a server that can. Each
variable is known here: of those that are not, many open a listener or a connection in plaintext.
"""

import re
from collections.abc import Iterator

from policies.readers.problem import Problem, listed

_SILENT = (
    "GOMEMLIMIT", "VGW_DISABLE_ACL", "VGW_HEALTH", "VGW_IAM_CACHE_DISABLE", "VGW_IAM_DIR", "VGW_KEEP_ALIVE",
    "VGW_POSIX_CONCURRENCY", "VGW_QUIET", "VGW_REGION", "VGW_SOCKET_PERM", "VGW_VERSIONING_DIR",
)  # fmt: skip
"""Variables that open nothing."""
_LISTENER = "VGW_PORT"
_LINE = re.compile(r"([A-Z][A-Z_0-9]*)=([\w./:@-]*)")
_SOCKETS = "the path of a socket"


def check_versitygw(text: str) -> Iterator[Problem]:
    """Problems of a server's variables."""
    listeners: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match and match[1] == _LISTENER:
            listeners.append((number, match[2]))
        elif match and match[1] not in _SILENT:
            what = "may open a listener or a connection in plaintext"
            yield Problem(
                number, match[1], what, listed((_LISTENER, *_SILENT)), "remove it, or teach the rule what it opens"
            )
        elif not match and line.strip() and not line.startswith("#"):
            what = "hides settings from this rule"
            yield Problem(number, "a line", what, "lines of the form NAME=value", "write each variable on a line")
    for number, address in listeners or [(0, "")]:
        if not address.startswith("/"):
            what = (
                f"is {address}, a port" if address else "is not set, so that the default opens port 7070 in plaintext"
            )
            yield Problem(number, _LISTENER, what, _SOCKETS, "set it to a socket, and put nginx with TLS before it")
