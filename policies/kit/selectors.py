"""Label selectors, evaluated as the API server does (Kubernetes documentation, "Labels and Selectors")."""

from collections.abc import Mapping
from typing import Any

from policies.kit.node import UNKNOWN


def matches(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a selector selects pods with these labels. An empty one selects all, an absent or unknown one nobody."""
    if not isinstance(selector, dict):
        return False
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or []
    if wanted is UNKNOWN or expressions is UNKNOWN:
        return False
    exact = all(labels.get(key) == value for key, value in wanted.items())
    return exact and all(_holds(one, labels) for one in expressions)


def _holds(expression: Any, labels: Mapping[str, str]) -> bool:
    if not isinstance(expression, dict):
        return False
    key, values = expression.get("key"), expression.get("values") or []
    value = labels.get(str(key))
    verdicts = {
        "In": value is not None and value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return verdicts.get(str(expression.get("operator")), False)
