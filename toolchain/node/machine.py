"""The machine that a node believes to be: mount, process and network namespaces of its own, held by one process.

It sees this system's programs read-only, the toolchain's cache and its own folder, and keeps /var, /run and /tmp to
itself. When the holding process ends, the kernel ends all others in the namespaces and drops their mounts, networks
and packet filters. Only control groups remain, which `stop` removes. Needs root on Linux.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

from toolchain import paths, processes
from toolchain.control_plane import log_ends
from toolchain.errors import ToolchainError
from toolchain.locking import point
from toolchain.waiting import wait_until

COMMANDS = ("ip", "mount", "nsenter", "pivot_root", "setsid", "sh", "umount", "unshare")
CGROUPS = Path("/sys/fs/cgroup")
HOLDER = "init"
START_SECONDS = 10
STOP_SECONDS = 15
"""Longer than the holder waits for the others (toolchain/go/node/cmd/init)."""
# unshare(1) has made every mount private, so nothing of this is seen outside. The tunables are those that a kubelet
# would set for the whole machine (pkg/kubelet/cm); it finds them as it wants them and leaves the machine's alone.
SCRIPT = r"""
root=$1 folder=$2 cache=$3
mount -t tmpfs -o mode=755 node "$root"
for path in bin etc lib lib32 lib64 libx32 opt sbin usr; do
  if [ -L "/$path" ]; then cp -P "/$path" "$root/$path"
  elif [ -d "/$path" ]; then
    mkdir "$root/$path"
    mount --bind "/$path" "$root/$path"
    mount -o remount,bind,ro "$root/$path"
  fi
done
mkdir -p "$root/dev" "$root/old" "$root/proc" "$root/run" "$root/sys" "$root/tmp" "$root/var/lib" "$root/var/log"
ln -s ../run "$root/var/run"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 run "$root/run"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount --bind "$folder/lib" "$root/var/lib"
mount --bind "$folder/log" "$root/var/log"
for path in "$folder" "$cache"; do
  mkdir -p "$root$path"
  mount --bind "$path" "$root$path"
done
mkdir "$root/run/tunables"
for tunable in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=${tunable%=*}
  copy=$root/run/tunables/${file##*/}
  echo "${tunable#*=}" > "$copy"
  mount --bind "$copy" "$root/proc/sys/$file"
done
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
mount --make-rshared /
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
exec "$folder/bin/init"
"""


def require() -> None:
    """Raises ToolchainError where there can be no node."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        user = "root" if os.geteuid() == 0 else "an ordinary user"
        raise ToolchainError(
            f"--node: {sys.platform} as {user} given; a real node needs Linux and root: run the command as root, or "
            "leave --node out for simulated nodes, which need neither"
        )
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        raise ToolchainError(
            f"--node: {', '.join(missing)} not found; install them (on Debian: iproute2, mount and util-linux)"
        )


def holder(folder: Path) -> int | None:
    """Number of the process that holds the namespaces; None when there is none."""
    return processes.running(folder / "bin").get(HOLDER)


def start(folder: Path, name: str) -> int:
    """Make control groups and namespaces; returns the number of the process that holds them."""
    # For each group left over by a crash the kubelet would ask the container runtime for seconds.
    _remove_groups(name)
    for part in ("lib", "log", "logs", "root"):
        (folder / part).mkdir(exist_ok=True)
    if not Path("/proc/sys/net/bridge").exists():
        subprocess.run(["modprobe", "br_netfilter"], capture_output=True, check=False)
    _make_groups(name)
    log = folder / "logs" / "machine.log"
    # Through a link in our folder, so that it counts as ours.
    point(folder / "bin" / "unshare", Path(shutil.which("unshare") or "unshare"))
    command = ["setsid", "--fork", str(folder / "bin" / "unshare"), "--mount", "--net", "--pid", "--fork"]
    places = [str(folder / "root"), str(folder), str(paths.cache_folder())]
    with log.open("wb") as output:
        words = [*command, "sh", "-ec", SCRIPT, "sh", *places]
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=True, cwd="/")
    wait_until("the node's namespaces", START_SECONDS, lambda: holder(folder) is not None, lambda: log_ends([log]))
    return holder(folder) or 0


def stop(folder: Path, name: str | None) -> None:
    """End every process in the namespaces, politely first, and remove the control groups of that name."""
    first = holder(folder)
    if first is not None:
        processes.terminate([first], STOP_SECONDS)
    processes.terminate(list(processes.running(folder / "bin").values()))
    if name:
        _remove_groups(name)


def enter(process: int) -> tuple[str, ...]:
    """The command that runs another one on the node."""
    return ("nsenter", f"--target={process}", "--mount", "--net", "--pid")


def _make_groups(name: str) -> None:
    """Kernel documentation, "Control Group v2": a group has the controllers that its parent passes on."""
    for hierarchy in _hierarchies():
        if (hierarchy / "cgroup.controllers").exists():
            for controller in (hierarchy / "cgroup.controllers").read_text(encoding="ascii").split():
                (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
        (hierarchy / name).mkdir(exist_ok=True)


def _hierarchies() -> list[Path]:
    """The roots of all control group hierarchies: one of version 2, or one for each controller of version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return sorted(path.parent for path in CGROUPS.glob("*/cgroup.procs") if not path.parent.is_symlink())


def _remove_groups(name: str) -> None:
    for hierarchy in _hierarchies():
        group = hierarchy / name
        wait_until(f"{group} to be empty", START_SECONDS, partial(_remove_group, group), str)


def _remove_group(group: Path) -> bool:
    """Remove a control group and those below it; False while one still holds a process that is about to end."""
    for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        _remove_folder(folder)
    _remove_folder(group)
    return not group.exists()


def _remove_folder(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
