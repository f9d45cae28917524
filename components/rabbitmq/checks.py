"""What is wrong with a topology as a whole: (field, text) pairs. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from components.core.problems import Wrong, closest, listed, shown
from components.rabbitmq import names
from components.rabbitmq.topology import Binding, Exchange, Queue, Topology

_BY_KEY = ("topic", "direct")


def wrong_topology(topology: Topology) -> list[tuple[str, str]]:
    """Everything that is wrong with it, but for what only follows from something else that is."""
    checks: tuple[Callable[[Topology], Wrong], ...] = (_missing, _wrong_vhosts, _wrong_names, _unused)
    return next((wrong for wrong in (list(check(topology)) for check in checks) if wrong), [])


def _missing(topology: Topology) -> Wrong:
    for field in ("vhosts", "exchanges", "queues", "bindings"):
        if not getattr(topology, field):
            yield field, "an empty list given; without one nothing can be sent; add one"


def _wrong_vhosts(topology: Topology) -> Wrong:
    yield from _twice("vhosts", topology.vhosts)
    for field in ("exchanges", "queues", "bindings"):
        yield from _unknown_vhosts(field, getattr(topology, field), topology.vhosts)


def _wrong_names(topology: Topology) -> Wrong:
    for field, items in _named(topology):
        found = [(topology.place(item), item.name) for item in items]
        yield from _twice(field, found, ".name")
    yield from _taken_names(topology)
    yield from _wrong_bindings(topology)


def _named(topology: Topology) -> Iterator[tuple[str, Sequence[Exchange | Queue]]]:
    yield "exchanges", topology.exchanges
    yield "queues", topology.queues


def _twice(field: str, items: Sequence[object], suffix: str = "") -> Wrong:
    seen: dict[object, int] = {}
    for index, item in enumerate(items):
        if item in seen:
            name = item[-1] if isinstance(item, tuple) else item
            text = f"{name} given; {field}.{seen[item]} has this name already; remove one of the two"
            yield f"{field}.{index}{suffix}", text
        seen.setdefault(item, index)


def _unknown_vhosts(field: str, items: Iterable[Exchange | Queue | Binding], vhosts: Sequence[str]) -> Wrong:
    for index, item in enumerate(items):
        if item.vhost and item.vhost not in vhosts:
            fix = f"set one of them or add {item.vhost} to vhosts"
            yield f"{field}.{index}.vhost", f"{item.vhost} given; allowed: {', '.join(vhosts)}; {fix}"


def _taken_names(topology: Topology) -> Wrong:
    """Names that are declared and made for another queue too."""
    made: dict[tuple[str, str, str], str] = {}
    for queue in topology.queues:
        retry, vhost = queue.handling(topology.policies).retry, topology.place(queue)
        waits = len(retry.waits) if retry else 0
        made |= {("queues", vhost, name): queue.name for name in names.made_queues(queue.name, waits)}
        made |= {("exchanges", vhost, name): queue.name for name in names.made_exchanges(queue.name, waits)}
    for field, items in _named(topology):
        for index, item in enumerate(items):
            owner = made.get((field, topology.place(item), item.name))
            if owner:
                text = f"{item.name} given; it is made for the queue {owner}; choose another name"
                yield f"{field}.{index}.name", text


def _wrong_bindings(topology: Topology) -> Wrong:
    seen: dict[tuple[object, ...], int] = {}
    for index, binding in enumerate(topology.bindings):
        vhost, path = topology.place(binding), f"bindings.{index}"
        exchanges = {e.name: e for e in topology.exchanges if topology.place(e) == vhost}
        queues = [q.name for q in topology.queues if topology.place(q) == vhost]
        if binding.exchange not in exchanges:
            yield f"{path}.exchange", _unknown(binding.exchange, exchanges, "exchange", vhost)
        else:
            yield from _unfit(path, binding, exchanges[binding.exchange].type)
        if binding.queue not in queues:
            yield f"{path}.queue", _unknown(binding.queue, queues, "queue", vhost)
        same = (vhost, binding.exchange, binding.queue, binding.key, *sorted(binding.headers.items()), binding.match)
        if same in seen:
            yield path, f"{binding.exchange} to {binding.queue} given; bindings.{seen[same]} is the same; remove one"
        seen.setdefault(same, index)


def _unknown(given: str, known: Iterable[str], what: str, vhost: str) -> str:
    close = closest(given, known)
    hint = f"did you mean {close}?" if close else f"set one of them or declare the {what}"
    return f"{given} given; no {what} of the virtual host {vhost}; allowed: {listed(known)}; {hint}"


def _unfit(path: str, binding: Binding, kind: str) -> Wrong:
    """A key or headers where the exchange does not look at them, or none where it does."""
    if kind in _BY_KEY and binding.key is None:
        example = "#, which takes everything" if kind == "topic" else "the messages' own"
        yield f"{path}.key", f"missing; a {kind} exchange chooses by it; add `key:`, such as {example}"
    if kind not in _BY_KEY and binding.key is not None:
        yield f"{path}.key", f"{shown(binding.key)} given; a {kind} exchange does not look at it; remove it"
    if kind == "topic" and any(len(word) > 1 and set(word) & set("*#") for word in (binding.key or "").split(".")):
        why = "* and # stand for whole words between dots and mean themselves elsewhere"
        yield f"{path}.key", f"{shown(binding.key)} given; {why}; write words and * or # apart, as in mail.#"
    if kind == "headers" and not binding.headers:
        yield f"{path}.headers", "missing; a headers exchange chooses by them; add `headers:`, such as {kind: mail}"
    if kind != "headers" and binding.headers:
        yield f"{path}.headers", f"a mapping given; a {kind} exchange does not look at headers; remove it"


def _unused(topology: Topology) -> Wrong:
    """What no message can reach or leave, and policies for no queue."""
    bound = {(topology.place(b), b.queue) for b in topology.bindings}
    bound_exchanges = {(topology.place(b), b.exchange) for b in topology.bindings}
    for index, queue in enumerate(topology.queues):
        if (topology.place(queue), queue.name) not in bound:
            text = f"{queue.name} given; no binding leads to it, so that nothing arrives; add one under bindings"
            yield f"queues.{index}.name", text
    for index, exchange in enumerate(topology.exchanges):
        if (topology.place(exchange), exchange.name) not in bound_exchanges:
            text = f"{exchange.name} given; no binding leads on, so that messages would be lost; add one under bindings"
            yield f"exchanges.{index}.name", text
    for index, policy in enumerate(topology.policies):
        if not any(fnmatchcase(queue.name, policy.queues) for queue in topology.queues):
            known = listed(queue.name for queue in topology.queues)
            text = f"{shown(policy.queues)} given; no queue has such a name; allowed: a pattern for {known}; correct it"
            yield f"policies.{index}.queues", text
