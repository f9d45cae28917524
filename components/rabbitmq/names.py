"""Names of what is made for a queue besides itself. Pure."""

from collections.abc import Iterable


def dead(queue: str) -> str:
    """Queue of its dead letters."""
    return f"{queue}.dead"


def wait(queue: str, number: int) -> str:
    """Queue in which messages wait after so many rejections."""
    return f"{queue}.wait.{number}"


def again(queue: str, number: int) -> str:
    """Exchange by which they come back from there; the server notes it, and so knows how often they were rejected."""
    return f"{queue}.again.{number}"


def failed(queue: str) -> str:
    """Exchange that sends rejected messages on, by how often they were rejected, and other dead letters to rest."""
    return f"{queue}.failed"


def first(queue: str) -> str:
    """Exchange for what was rejected for the first time."""
    return f"{queue}.first"


def made_queues(queue: str, waits: int) -> Iterable[str]:
    """Every queue made for a queue with so many waits."""
    return (dead(queue), *(wait(queue, number) for number in range(1, waits + 1)))


def made_exchanges(queue: str, waits: int) -> Iterable[str]:
    """Every exchange made for a queue with so many waits."""
    return (failed(queue), first(queue), *(again(queue, n) for n in range(1, waits + 1))) if waits else ()
