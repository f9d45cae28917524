"""The Pulumi program: load, compose, export. The only file that names every layer."""

import pulumi

from components.core.problems import ConfigError
from stacks.compose import Platform, compose
from stacks.config import load
from stacks.targets import target_of


def run() -> None:
    """Deploy the environment of the current stack."""
    try:
        environment = load()
        platform = compose(environment, target_of(environment))
    except ConfigError as error:
        raise pulumi.RunError(f"the configuration of {pulumi.get_stack()} has errors, nothing was changed:\n{error}") from None
    export(platform)


def export(platform: Platform) -> None:
    """Publish what others need as stack outputs: no secret among them."""
    pulumi.export("endpoints", platform.endpoints())
    pulumi.export("inventory", platform.inventory())
    pulumi.export("ca", platform.issuer.ca)
