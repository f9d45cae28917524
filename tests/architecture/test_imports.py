"""Who may import whom: stacks -> components -> targets -> core; policies stand alone."""

import ast
from pathlib import Path

import pytest

import components

ROOT = Path(__file__).parents[2]
PROVIDERS_MAY = ("components/targets/docker/", "components/targets/kubernetes/", "components/postgres/kubernetes.py")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module or "")
    return found


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", files("components") + files("stacks"), ids=lambda p: str(p.relative_to(ROOT)))
def test_only_targets_and_native_halves_import_providers(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    if not name.startswith(PROVIDERS_MAY):
        assert not {m for m in imports(path) if m.split(".")[0] in ("pulumi_kubernetes", "pulumi_docker")}


@pytest.mark.parametrize("path", files("components/core"), ids=lambda p: p.name)
def test_core_imports_only_itself(path: Path) -> None:
    assert not {m for m in imports(path) if m.startswith(("components.", "stacks", "policies")) and ".core" not in m}


@pytest.mark.parametrize("path", files("components"), ids=lambda p: str(p.relative_to(ROOT)))
def test_components_do_not_import_stacks_or_siblings(path: Path) -> None:
    own = path.relative_to(ROOT / "components").parts[0].removesuffix(".py")
    allowed = {"core", own, "targets"}
    names = {m.split(".")[1] for m in imports(path) if m.startswith("components.")}
    assert names <= allowed if own != "targets" else names <= {"core", "targets"}
    assert not {m for m in imports(path) if m.split(".")[0] in ("stacks", "policies")}


@pytest.mark.parametrize("path", files("policies"), ids=lambda p: p.name)
def test_policies_stand_alone(path: Path) -> None:
    assert not {m for m in imports(path) if m.split(".")[0] in ("components", "stacks", "toolchain")}


def test_public_names_are_sorted_and_every_kind_resolves() -> None:
    assert components.__all__ == sorted(components.__all__)
    assert list(components.KINDS) == sorted(components.KINDS)
    for kind in components.KINDS:
        assert components.component_of(kind).token.startswith("groundwork:")


def test_importing_the_program_loads_no_provider() -> None:
    import subprocess
    import sys

    code = "import sys, stacks.config, stacks.cli; print([m for m in sys.modules if m.startswith('pulumi_')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
