"""The scripts that kinds bring along for their containers: files in their folders, as text."""

from pathlib import Path

_KINDS = Path(__file__).parents[1]


def scripts(kind: str, *names: str) -> dict[str, str]:
    """Text of these scripts of a kind, or of `core`, by name."""
    return {name: (_KINDS / kind / "scripts" / name).read_text(encoding="utf-8") for name in names}
