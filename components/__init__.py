"""What each thing is: one module per component. Siblings never import each other."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.core.component import Component

__all__ = ["KINDS", "component_of"]

KINDS = {
    "app": "components.app:App",
    "clickhouse": "components.clickhouse:Clickhouse",
    "kafka": "components.kafka:Kafka",
    "nats": "components.nats:Nats",
    "nginx": "components.nginx:Nginx",
    "objects": "components.objects:Objects",
    "postgres": "components.postgres:Postgres",
    "rabbitmq": "components.rabbitmq:Rabbitmq",
    "redis": "components.redis:Redis",
}
"""Kinds a service can be of, and the component behind each; imported when the first service of its kind is met."""


def component_of(kind: str) -> "type[Component]":
    """The component that runs services of `kind`. Raises KeyError for a kind that does not exist."""
    module, name = KINDS[kind].split(":")
    component: type[Component] = getattr(import_module(module), name)
    return component
