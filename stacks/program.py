"""The Pulumi program: load, compose, export. The only file that names every layer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pulumi

from components.core.problems import ConfigError
from stacks.changes import refuse_unsafe
from stacks.compose import Platform, compose
from stacks.config import backup_key, keys, load
from stacks.previous import INVENTORY
from stacks.targets import target_of

_REPORTED = 32
"""Exit code by which a program tells Pulumi's Python runtime that the user has been told why; it then adds nothing."""


def run() -> None:
    """Deploy the environment of the current stack."""
    try:
        environment = load()
        reshaped = refuse_unsafe(environment)
        with _shallow_stacks():
            platform = compose(environment, target_of(environment), reshaped, backup_key(), keys().pairs)
    except ConfigError as error:
        pulumi.log.error(f"the configuration of {pulumi.get_stack()} has errors, nothing was changed:\n{error}")
        raise SystemExit(_REPORTED) from None
    export(platform)


def export(platform: Platform) -> None:
    """Publish what others need as stack outputs. One is a secret: without it backups outlive the state in vain."""
    pulumi.export("endpoints", platform.endpoints())
    pulumi.export(INVENTORY, platform.inventory())
    pulumi.export("ca", platform.issuer.ca)
    pulumi.export("backup_key", platform.issuer.backup_key)


@contextmanager
def _shallow_stacks() -> Iterator[None]:
    """The SDK stores the Python stack of every resource in state, which is written whole at each step: keep it short.

    The limit counts from the innermost frame; six to eight of them are the SDK's own. Errors show their whole stack.
    """
    sys.tracebacklimit = 10
    try:
        yield
    finally:
        del sys.tracebacklimit
