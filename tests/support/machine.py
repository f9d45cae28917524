"""What real containers need of a machine; whoever lacks it is told so in the machine's own words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

COMMANDS = ("apt-get", "dpkg-deb", "mount", "nsenter", "unshare")
GROUPS = Path("/sys/fs/cgroup")


@cache
def no_containers() -> str:
    """Why no container can run on this machine; empty where one can."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "containers need Linux and root"
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        return f"containers need {', '.join(missing)}"
    if not os.access(GROUPS, os.W_OK):
        return f"containers need control groups, and {GROUPS} can't be written"
    # A container's root is a mount of its own, made in a mount namespace of its own.
    script = "mount -t tmpfs tmpfs /mnt && mkdir /mnt/old && cd /mnt && pivot_root . old"
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", script], capture_output=True, text=True
    )
    return f"containers need namespaces: {done.stderr.strip()}" if done.returncode else ""
