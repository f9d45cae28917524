"""The version table, the Go modules, the Python project and the lock file say the same."""

from __future__ import annotations

import re
import tomllib

import pytest

from toolchain import image_recipes, operators, pins
from toolchain.node import pins as node_pins
from toolchain.paths import checkout, modules
from toolchain.recipe import Program
from toolchain.tool import Platform, Recipe, Tool

TOOLS = (*pins.TOOLS, *node_pins.NODE_TOOLS)
RECIPES = [recipe for tool in TOOLS for recipe in tool.recipes]
PROGRAMS = [recipe.program for recipe in image_recipes.RECIPES if recipe.program]
PYTHON = {
    "pulumi": pins.PULUMI,
    "pulumi-kubernetes": pins.KUBERNETES_PROVIDER,
    "pulumi-random": pins.RANDOM_PROVIDER,
    "pulumi-tls": pins.TLS_PROVIDER,
}


def go_mod(recipe: Recipe) -> str:
    return (modules() / recipe.module / "go.mod").read_text(encoding="utf-8")


def locked() -> dict[str, list[str]]:
    """Each requirement line of the lock file with its hashes."""
    text = (checkout() / "requirements.lock").read_text(encoding="utf-8")
    entries = [line.strip() for line in text.replace("\\\n", "").splitlines() if line.strip()]
    return {entry.split(" --hash")[0].strip(): re.findall(r"--hash=(\S+)", entry) for entry in entries}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.module)
def test_every_module_requires_exactly_the_pinned_versions(recipe: Recipe) -> None:
    required = dict(re.findall(r"^\s*(?:require )?(\S+\.\S+/\S+) (v\S+)", go_mod(recipe), re.MULTILINE))

    assert recipe.requires.items() <= required.items()
    assert (modules() / recipe.module / "go.sum").stat().st_size > 0


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.module)
def test_every_copied_file_comes_from_a_pinned_module(recipe: Recipe) -> None:
    assert {copy.module for copy in (*recipe.inputs, *recipe.scripts)} <= set(recipe.requires)


@pytest.mark.parametrize("tool", [pins.KUBERNETES_TOOL, node_pins.KUBELET_TOOL], ids=lambda tool: tool.name)
def test_kubernetes_staging_modules_have_the_version_of_the_release(tool: Tool) -> None:
    staging = set(re.findall(r"=> k8s\.io/\S+ (v\S+)", go_mod(tool.recipes[0])))

    assert staging == {"v0." + pins.KUBERNETES.split(".", 1)[1]}


def test_every_module_folder_belongs_to_a_tool_or_holds_definitions() -> None:
    folders = {path.name for path in modules().iterdir() if path.is_dir()}

    of_images = {program.module.removeprefix("toolchain/go/") for program in PROGRAMS}

    assert {recipe.module for recipe in RECIPES} | of_images == folders - {"crds"}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.path)
def test_every_program_of_an_image_has_the_version_that_its_module_pins(program: Program) -> None:
    text = (checkout() / program.module / "go.mod").read_text(encoding="utf-8")
    required = re.findall(r"^\s*(?:require )?(\S+\.\S+/\S+) v(\S+)$", text, re.MULTILINE)

    assert [version for module, version in required if program.package.startswith(module)] == [program.version]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_build_gives_the_binaries_of_the_release(tool: Tool) -> None:
    made = [name for recipe in tool.recipes for name in recipe.binaries]
    copied = [copy.pattern.rsplit("/", 1)[-1] for recipe in tool.recipes for copy in recipe.scripts]

    assert sorted([*made, *copied]) == sorted(tool.binaries())


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_release_address_is_complete_and_encrypted(tool: Tool) -> None:
    for asset in tool.release.assets:
        for url in (asset.url, asset.checksums):
            filled = Platform("linux", "amd64").fill(url, tool.version)
            assert filled.startswith("https://")
            assert tool.version in filled
            assert "{" not in filled


def test_the_operator_has_the_version_of_its_definitions() -> None:
    assert (node_pins.OPERATOR, f"v{node_pins.OPERATOR_TOOL.version}") == operators.CLOUDNATIVE_PG


def test_only_a_real_node_needs_the_programs_of_one() -> None:
    assert not {tool.name for tool in pins.TOOLS} & {tool.name for tool in node_pins.NODE_TOOLS}


def test_the_python_packages_have_the_versions_of_the_plugins() -> None:
    project = tomllib.loads((checkout() / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert {f"{name}=={version}" for name, version in PYTHON.items()} <= set(project["dependencies"])
    assert {f"{name}=={version}" for name, version in PYTHON.items()} <= set(locked())


def test_every_dependency_of_the_project_is_locked() -> None:
    project = tomllib.loads((checkout() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    wanted = {re.split(r"[\[<>=~!; ]", name, maxsplit=1)[0].lower().replace(".", "-") for name in names}

    assert wanted <= {entry.split("==")[0] for entry in locked()}


def test_every_locked_requirement_has_an_exact_version_and_hashes() -> None:
    entries = locked()

    assert len(entries) > 50
    for entry, hashes in entries.items():
        assert re.match(r"[a-z0-9-]+==[^ ]+( ; .+)?$", entry), entry
        assert hashes, entry
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", value) for value in hashes), entry


def test_what_is_locked_bears_no_address() -> None:
    """Where packages come from is the client's setting; a lock file says which, not where."""
    modules_locked = [path for path in modules().rglob("go.*") if path.suffix in (".mod", ".sum")]
    for file in [checkout() / "requirements.lock", *modules_locked]:
        # A hash may begin with two slashes.
        assert not re.search(r"(?<!\bh1)://", file.read_text(encoding="utf-8")), file


def test_releases_come_from_those_who_make_them() -> None:
    tables = [checkout() / "toolchain" / "pins.py", checkout() / "toolchain" / "node" / "pins.py"]
    hosts = {host for table in tables for host in re.findall(r"https://([^/]+)/", table.read_text(encoding="utf-8"))}
    assert hosts == {"api.github.com", "dl.k8s.io", "get.pulumi.com", "github.com"}
