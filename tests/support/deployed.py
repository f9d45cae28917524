"""What an `up` deployed, read back from the stack's state."""

from __future__ import annotations

import json
from typing import Any

from tests.support.checkout import Checkout

# Marks a secret in an exported state; the same in every state that Pulumi writes.
SECRET = "4dabf18193072939515e22adb298388d"


def deployed_manifests(checkout: Checkout, stack: str) -> list[dict[str, Any]]:
    """Every Kubernetes object of the stack as it was sent, secrets in clear."""
    resources = checkout.state(stack, "--show-secrets")["resources"]
    return [in_clear(resource["inputs"]) for resource in resources if resource["type"].startswith("kubernetes:")]


def in_clear(value: Any) -> Any:
    """A value of the state with its secrets unwrapped and the provider's own notes left out."""
    if isinstance(value, dict):
        if SECRET in value:
            return in_clear(json.loads(value["plaintext"]))
        return {key: in_clear(item) for key, item in value.items() if not key.startswith("__")}
    return [in_clear(item) for item in value] if isinstance(value, list) else value
