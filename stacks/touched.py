"""Which environments a change touches, from the names of the files it changes. Pure."""

from collections.abc import Iterable

_EVERYWHERE = ("components/", "stacks/", "policies/", "toolchain/")
_FILES = ("Pulumi.yaml", "__main__.py", "requirements.lock")


def touched(changed: Iterable[str], environments: Iterable[str]) -> list[str]:
    """Environments to preview: those whose own file changed, or all where the program or its gate did."""
    names = set(changed)
    known = sorted(environments)
    if any(name.startswith(_EVERYWHERE) or name in _FILES for name in names):
        return known
    return [environment for environment in known if f"Pulumi.{environment}.yaml" in names]
