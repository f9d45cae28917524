"""nginx.conf (nginx documentation, ngx_http_core_module, ngx_http_ssl_module, ngx_http_proxy_module, ngx_stream_*).

Parses blocks, so that an inherited setting counts. Knows only the directives that open a listener or a connection.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from policies.readers.problem import Problem, listed

_TOKEN = re.compile(r"(?P<space>\s+|#[^\n]*)|(?P<quoted>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*')|(?P<mark>[{};])"
                    r"|(?P<word>(?:\$\{[^}]*\}|\\.|[^\s{};\"'\\])+)", re.DOTALL)  # fmt: skip
_LOCAL = re.compile(r"^(unix:|127\.\d+\.\d+\.\d+|\[::1\]|localhost)")
_PLAIN_PASSES = ("fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass", "redis_pass")


class UnreadableError(ValueError):
    """The text is no nginx configuration; `line` says where reading stopped."""

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line}")
        self.line = line


@dataclass
class Block:
    """A block with its directives; `words` are its name and arguments."""

    words: tuple[str, ...] = ()
    line: int = 0
    parent: "Block | None" = None
    directives: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    blocks: list["Block"] = field(default_factory=list)

    @property
    def name(self) -> str:
        """First word: `server`, `location`, ..."""
        return self.words[0] if self.words else ""

    def inherited(self, name: str) -> tuple[str, ...] | None:
        """Arguments of a directive in this block or the nearest one around it."""
        own = [words[1:] for _, words in self.directives if words[0] == name]
        return own[-1] if own else self.parent.inherited(name) if self.parent else None

    def inside(self, name: str) -> bool:
        """Whether it is a block of this name or within one."""
        return self.name == name or bool(self.parent and self.parent.inside(name))

    def walk(self) -> Iterator["Block"]:
        """This block and everything in it."""
        yield self
        for block in self.blocks:
            yield from block.walk()


def parse(text: str) -> Block:
    """The blocks of a configuration. Raises UnreadableError where it is none."""
    root = current = Block()
    words: list[str] = []
    position, line, start = 0, 1, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise UnreadableError(line)
        token, position = match[0], match.end()
        if match["mark"]:
            current = _close(current, token, tuple(words), start, line)
            words = []
        elif not match["space"]:
            start = line if not words else start
            words.append(token[1:-1] if match["quoted"] else token)
        line += token.count("\n")
    if words or current is not root:
        raise UnreadableError(line)
    return root


def _close(current: Block, mark: str, words: tuple[str, ...], start: int, line: int) -> Block:
    if mark == ";" and words:
        current.directives.append((start, words))
    elif mark == "{" and words:
        block = Block(words, start, current)
        current.blocks.append(block)
        return block
    elif mark == "}" and not words and current.parent:
        return current.parent
    elif mark != ";":
        raise UnreadableError(line)
    return current


def check_nginx(text: str, protocols: Sequence[str], readable: Callable[[str], bool]) -> Iterator[Problem]:
    """Problems of a configuration; `readable` says whether an included file is judged elsewhere."""
    try:
        root = parse(text)
    except UnreadableError as error:
        yield Problem(
            error.line, "syntax", "can't be read as nginx configuration", "nginx syntax", "correct the syntax"
        )
        return
    for block in root.walk():
        if block.name == "server":
            yield from _server(block, protocols)
        for line, words in block.directives:
            yield from _directive(block, line, words, protocols, readable)


def _server(block: Block, protocols: Sequence[str]) -> Iterator[Problem]:
    listens = [words for _, words in block.directives if words[0] == "listen"]
    if not listens:
        what = "has no `listen`, so it opens port 80 in plaintext"
        yield Problem(block.line, "server", what, "listen with ssl", "add `listen <port> ssl`")
    if any("ssl" in words or "quic" in words for words in listens) and block.inherited("ssl_protocols") is None:
        what = "has no `ssl_protocols`, so the default accepts TLSv1.2"
        yield Problem(block.line, "server", what, listed(protocols), f"set `ssl_protocols {' '.join(protocols)}`")


def _directive(
    block: Block, line: int, words: tuple[str, ...], protocols: Sequence[str], readable: Callable[[str], bool]
) -> Iterator[Problem]:
    name, args = words[0], words[1:]
    shown = " ".join(words)
    if name == "listen" and not _LOCAL.match(args[0] if args else "") and not {"ssl", "quic"} & set(args):
        yield Problem(line, shown, "opens a plaintext listener", "listen with ssl", f"write `{shown} ssl` or remove it")
    elif name in ("ssl_protocols", "proxy_ssl_protocols", "grpc_ssl_protocols") and not set(args) <= set(protocols):
        yield Problem(
            line, shown, "accepts other TLS versions", listed(protocols), f"set `{name} {' '.join(protocols)}`"
        )
    elif name in ("proxy_pass", "grpc_pass"):
        yield from _connection(block, line, name, args[0] if args else "")
    elif name in _PLAIN_PASSES and not _LOCAL.match(args[0] if args else ""):
        allowed = "https with proxy_pass, or a unix socket"
        yield Problem(line, name, "connects in plaintext", allowed, "use proxy_pass with https")
    elif name == "include" and not readable(args[0].rsplit("/", 1)[-1] if args else ""):
        what = "includes a file that this rule can't read"
        yield Problem(
            line, shown, what, "files of the same ConfigMap and reviewed names", "put its content into this file"
        )


def _connection(block: Block, line: int, name: str, address: str) -> Iterator[Problem]:
    prefix, scheme = ("grpc", "grpcs") if name == "grpc_pass" else ("proxy", "https")
    host = address.split("://", 1)[-1]
    if _LOCAL.match(host):
        return
    setting = f"{name} {address.split('://', 1)[0]}://" if "://" in address else name
    if block.inside("stream"):
        encrypted = block.inherited("proxy_ssl") == ("on",)
        allowed, fix = "proxy_ssl on", "set `proxy_ssl on`"
    else:
        encrypted, allowed, fix = address.startswith(f"{scheme}://"), scheme, f"use `{scheme}://`"
    if not encrypted:
        yield Problem(line, setting, "connects in plaintext", allowed, fix)
    elif block.inherited(f"{prefix}_ssl_verify") != ("on",):
        what = "does not verify the server's certificate"
        yield Problem(line, setting, what, f"{prefix}_ssl_verify on", f"set `{prefix}_ssl_verify on`")
