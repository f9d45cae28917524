"""Passwords that are made with the service they belong to."""

import pulumi
import pulumi_random as random

from components.core.component import Component


def password(of: Component, role: str, length: int = 32) -> pulumi.Output[str]:
    """Letters and digits, the child `{name}-{role}`; another password in each generation of secrets."""
    options = pulumi.ResourceOptions(parent=of, replacement_trigger=of.context.site.generation)
    made = random.RandomPassword(of.child(role), length=length, special=False, opts=options)
    return pulumi.Output.secret(made.result)
