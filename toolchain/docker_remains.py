"""What a Docker engine leaves on the machine, and how to take it away: processes, bridges and firewall rules.

Only what belongs to one engine's folder and addresses is touched. Works whether the engine runs, was stopped or was
killed, so nothing here asks the engine.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from toolchain import processes
from toolchain.debian import Programs

ENGINE = "dockerd"
OF_AN_ENGINE = (ENGINE, "containerd", "containerd-shim-runc-v2")
IDENTIFIER = re.compile(r"\b[0-9a-f]{64}\b")


def engine(folder: Path) -> int | None:
    """Process number of the engine that was started with a file of `folder`."""
    return next((number for number, name in _of(folder).items() if name == ENGINE), None)


def other_engine(folder: Path) -> int | None:
    """An engine that is not `folder`'s but shares our network: each would overwrite the other's firewall rules."""
    ours = _network("self")
    for number, words in processes.command_lines():
        other = Path(words[0]).name == ENGINE and not _names(words, folder)
        if other and _network(str(number)) == ours:
            return number
    return None


def end_processes(folder: Path) -> int:
    """End every process of the engine and of its containers; returns how many there were."""
    numbers = _of(folder)
    # The engine first: it would start again what is to be restarted.
    processes.terminate([number for number, name in numbers.items() if name == ENGINE])
    others = [number for number, name in numbers.items() if name != ENGINE] + in_containers(folder)
    processes.terminate(others)
    return len({*numbers, *others})


def in_containers(folder: Path) -> list[int]:
    """Processes in the engine's containers, by control group: also those whose supervisor was killed."""
    known = {container.name for container in (folder / "data" / "containers").glob("*")}
    return [number for number, _ in processes.command_lines() if known.intersection(_groups(number))]


def remove_bridges(programs: Programs, pool: IPv4Network) -> list[str]:
    """Delete the bridges whose address is in `pool`; returns their names."""
    command = [str(programs.program("ip")), "-4", "-oneline", "address", "show", "type", "bridge"]
    listed = subprocess.run(command, env=programs.environment(), capture_output=True, text=True, check=True)
    names = []
    for line in listed.stdout.splitlines():
        _, name, _, address = line.split()[:4]
        if IPv4Interface(address).ip in pool:
            names.append(name)
    for name in names:
        subprocess.run([*command[:1], "link", "delete", name], env=programs.environment(), check=False)
    return names


def remove_rules(programs: Programs, pool: IPv4Network, bridges: Sequence[str]) -> None:
    """Delete Docker's chains and the rules that lead to them or name its bridges or addresses; all others stay."""
    environment = programs.environment()
    save, restore = (str(programs.program(name)) for name in ("iptables-save", "iptables-restore"))
    saved = subprocess.run([save], env=environment, capture_output=True, text=True, check=True).stdout
    script = removal(saved.splitlines(), pool, bridges)
    if script:
        subprocess.run([restore, "--noflush"], env=environment, input=script, text=True, check=True)


def removal(saved: Iterable[str], pool: IPv4Network, bridges: Sequence[str]) -> str:
    """Input of iptables-restore that takes Docker's chains and rules out of what iptables-save printed."""
    tables: list[str] = []
    head, rules, chains = "", [""], [""]
    for line in saved:
        words = line.split()
        if line.startswith("*"):
            head, rules, chains = line, [], []
        elif line.startswith(":DOCKER"):
            chains.append(words[0][1:])
        elif line.startswith("-A ") and not words[1].startswith("DOCKER") and _is_ours(words[2:], pool, bridges):
            rules.append(f"-D {line.removeprefix('-A ')}")
        elif line == "COMMIT" and rules + chains:
            gone = [f"{action} {chain}" for action in ("-F", "-X") for chain in chains]
            tables += [head, *rules, *gone, line]
    return "".join(f"{line}\n" for line in tables)


def _is_ours(words: list[str], pool: IPv4Network, bridges: Sequence[str]) -> bool:
    return any(word.startswith("DOCKER") or word in bridges or _inside(word, pool) for word in words)


def _inside(word: str, pool: IPv4Network) -> bool:
    try:
        return IPv4Network(word, strict=False).subnet_of(pool)
    except ValueError:
        return False


def _of(folder: Path) -> dict[int, str]:
    """Process number -> program, of the engine of `folder` and its helpers; not of containers."""
    listed = ((number, Path(words[0]).name, words) for number, words in processes.command_lines())
    return {number: name for number, name, words in listed if name in OF_AN_ENGINE and _names(words, folder)}


def _names(words: list[str], folder: Path) -> bool:
    return any(word.startswith(f"{folder}/") for word in words[1:])


def _groups(number: int) -> list[str]:
    """The container identifiers in the names of a process's control groups, whoever manages those."""
    try:
        return IDENTIFIER.findall(Path(f"/proc/{number}/cgroup").read_text(encoding="utf-8"))
    except OSError:
        return []


def _network(process: str) -> str:
    """Which network a process sees; empty when it has ended."""
    try:
        return os.readlink(f"/proc/{process}/ns/net")  # noqa: PTH115
    except OSError:
        return ""
