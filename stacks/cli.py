"""The commands behind `make`: bring an environment up, take it down, show where it is reached.

Each is the plain `pulumi` command with the preparations around it that a person would otherwise make by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from components.core.problems import ConfigError
    from stacks.export.files import File
    from stacks.places import Place
    from stacks.pulumi_cli import Pulumi

ROOT = Path(__file__).resolve().parent.parent
GATED = ("--suppress-outputs", "--policy-pack", "policies")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
export = typer.Typer(no_args_is_help=True, help="Write a deployed environment as files for other tools.")
app.add_typer(export, name="export")
Stack = Annotated[str, typer.Argument(help="Environment: the NAME of a Pulumi.NAME.yaml")]
Out = Annotated[Path | None, typer.Option(help="New or empty folder.", show_default="export/STACK")]


@app.command()
def up(stack: Stack) -> None:
    """Bring the environment up, gated by the policies, and show its endpoints."""
    place = _place(stack)
    fresh = place.start()
    pulumi = _pulumi(stack)
    pulumi.ensure()
    _repair(pulumi, place, fresh)
    preview = pulumi.preview(*GATED)
    place.provide(preview.images)
    if preview.changes:
        _apply(pulumi, place)
    else:
        typer.echo("Nothing to do: the environment is as the program describes it.")
    place.await_ready()
    _show_endpoints(pulumi, place)


@app.command()
def preview(stack: Stack) -> None:
    """Show what `up` would change, and judge it by the policies. Changes nothing."""
    _place(stack).start()
    pulumi = _pulumi(stack)
    pulumi.ensure()
    pulumi.run("preview", *GATED)


@app.command()
def touched(base: Annotated[str, typer.Argument(help="Commit or branch to compare with")]) -> None:
    """Print, as a JSON list, the environments that the changes since BASE touch."""
    import json
    import subprocess

    from stacks.touched import touched as touched_environments

    command = ["git", "diff", "--name-only", f"{base}...HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise _mistake("base", f"{base} given; git says: {done.stderr.strip()}")
    typer.echo(json.dumps(touched_environments(done.stdout.splitlines(), _environments())))


@app.command()
def down(stack: Stack) -> None:
    """Take the environment away: no object and no resource is left."""
    place = _place(stack)
    pulumi = _pulumi(stack)
    if not pulumi.exists():
        typer.echo(f"{stack} is not up: the backend knows no such stack.")
        return
    place.start()
    _repair(pulumi, place, fresh=False)
    pulumi.run("destroy", "--yes", "--skip-preview", "--suppress-outputs")
    place.await_gone()


@app.command()
def endpoints(stack: Stack) -> None:
    """Show where the environment is reached."""
    _show_endpoints(_pulumi(stack), _place(stack))


@app.command()
def matrix(
    stack: Annotated[str | None, typer.Argument(help="Environment whose versions are shown beside it")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As data.")] = False,
) -> None:
    """Show which versions are supported and until when, what goes together, and what the environment runs."""
    from stacks.matrix import show_matrix

    show_matrix(stack or "", _config(stack) if stack else {}, _console(), as_json=as_json)


@export.command("compose")
def export_compose(stack: Stack, out: Out = None) -> None:
    """Write what is deployed on Docker as a compose file."""
    from stacks.export.compose import render_compose
    from stacks.export.deployed import read

    _settings(stack)
    _write(stack, out, render_compose(stack, read(_pulumi(stack), "docker")))


@export.command("manifests")
def export_manifests(stack: Stack, out: Out = None) -> None:
    """Write what is deployed on Kubernetes as a kustomize base."""
    from stacks.export.deployed import read
    from stacks.export.manifests import render_manifests

    _settings(stack)
    _write(stack, out, render_manifests(stack, read(_pulumi(stack), "kubernetes")))


def main() -> None:
    """Entry point; a failed `pulumi` has spoken for itself and only its exit code is passed on."""
    from components.core.problems import ConfigError
    from stacks.pulumi_cli import PulumiError
    from toolchain.errors import ToolchainError

    try:
        app()
    except PulumiError as error:
        raise SystemExit(error.code) from None
    except (ConfigError, ToolchainError) as error:
        raise SystemExit(f"groundwork: {error}") from None


def _write(stack: str, out: Path | None, files: dict[str, File]) -> None:
    from stacks.export.files import write

    folder = out or Path("export") / stack
    write(folder, files)
    secret = sum(file.secret for file in files.values())
    typer.echo(f"{len(files)} files written to {folder}; {secret} of them with secrets: git ignores these.")


def _pulumi(stack: str) -> Pulumi:
    from stacks.pulumi_cli import Pulumi

    return Pulumi(stack, ROOT, typer.echo)


def _mistake(path: str, text: str) -> ConfigError:
    from components.core.problems import ConfigError, Problem

    return ConfigError([Problem(path, text)])


def _environments() -> list[str]:
    return sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def _settings(stack: str) -> dict[str, Any]:
    """What the environment's file says of the environment as a whole, unvalidated."""
    environment = _config(stack).get("groundwork:environment")
    return environment if isinstance(environment, dict) else {}


def _config(stack: str) -> dict[str, Any]:
    """What the environment's file says, unvalidated."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = ROOT / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        raise _mistake("environment", f"{stack} given; there is no {path.name}; allowed: {', '.join(_environments())}")
    try:
        content = YAML(typ="safe").load(path)
    except YAMLError as error:
        raise _mistake(path.name, f"no valid YAML: {error}") from None
    config = content.get("config") if isinstance(content, dict) else None
    return config if isinstance(config, dict) else {}


def _place(stack: str) -> Place:
    from stacks.places import place_of

    return place_of(stack, _settings(stack), typer.echo)


def _apply(pulumi: Pulumi, place: Place) -> None:
    """Make the changes; where that fails, tell what `pulumi` does not know."""
    from stacks.pulumi_cli import PulumiError

    try:
        pulumi.run("up", "--yes", "--skip-preview", *GATED)
    except PulumiError:
        said = place.last_words()
        if said:
            typer.echo(said, err=True)
        raise


def _repair(pulumi: Pulumi, place: Place, fresh: bool) -> None:
    """Bring state and reality together after a killed run or on a new embedded cluster."""
    from stacks.repair import repair

    repair(pulumi, place, fresh)


def _show_endpoints(pulumi: Pulumi, place: Place) -> None:
    from rich.table import Table

    table = Table("service", "endpoint", "TLS", "from", title=f"Endpoints of {pulumi.stack}")
    found = pulumi.read("stack", "output", "endpoints", "--json")
    for endpoint in found:
        origin = "outside" if endpoint["external"] else "inside the environment"
        table.add_row(endpoint["service"], endpoint["url"], endpoint["tls"], origin)
    console = _console()
    console.print(table)
    for hint in place.hints(found):
        console.print(hint, soft_wrap=True, highlight=False)


def _console() -> Console:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = 120
    return console


if __name__ == "__main__":
    main()
