"""A pull request previews what it touches, no more and no less."""

import pytest

from stacks.touched import touched


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["README.md", "tests/stacks/test_touched.py"], []),
        (["Pulumi.prod.yaml"], ["prod"]),
        (["Pulumi.dev.yaml", "Pulumi.prod.yaml"], ["dev", "prod"]),
        (["components/pki.py"], ["dev", "prod"]),
        (["policies/packs/prod.json"], ["dev", "prod"]),
        (["requirements.lock"], ["dev", "prod"]),
    ],
)
def test_touched(changed: list[str], expected: list[str]) -> None:
    assert touched(changed, ["prod", "dev"]) == expected
