"""How a container is started on a Docker engine: the restricted Pod Security Standard in Docker's words.

Docker documentation, "docker container run" and "Docker security". Docker's own seccomp and AppArmor profiles are in
force unless a security option names another; its mask over /proc too.
"""

import re
from collections.abc import Sequence

from policies.kit.engine import (
    READ_ONLY,
    Mount,
    by_name,
    containers_of,
    is_container,
    joins,
    mounts_of,
    never_runs,
    sandbox_of,
)
from policies.kit.node import FALSE, TRUE, Node
from policies.kit.resource import Resource
from policies.kit.rule import Check, StackCheck
from policies.kit.secrets import shown

_USER = re.compile(r"[1-9]\d*:[1-9]\d*")
_NO_NEW_PRIVILEGES = ("no-new-privileges", "no-new-privileges:true")
_RESTARTS = ("always", "on-failure", "unless-stopped")
_REFUSED = {
    "privileged": ("makes the container privileged", FALSE),
    "pidMode": ("shares processes with others", ""),
    "ipcMode": ("shares memory with others", "", "private", "none"),
    "usernsMode": ("leaves the engine's user namespace", ""),
    "cgroupnsMode": ("shows the machine's control groups", "", "private"),
    "cgroupParent": ("leaves the engine's limits", ""),
    "runtime": ("is another runtime, which nobody judged", "", "runc"),
}
"""Why a setting is refused, and the values it may have besides none."""
_NOTHING = ("devices", "deviceRequests", "deviceCgroupRules", "gpus", "sysctls")
"""What no container gets any of."""


def check_container(check: Check) -> None:
    """Everything of one container. One that only holds files runs no process that could be held back."""
    root = check.root
    for name, (why, *allowed) in _REFUSED.items():
        node = root.at(name)
        if node.differs(None, *allowed):
            check.fail(node.path, f"({shown(node.value)}) {why}", "not set", "remove it")
    for name in _NOTHING:
        node = root.at(name)
        if not node.missing and node.known:
            check.fail(node.path, "gives the container a part of the machine", "none", "remove it")
    for added in root.at("capabilities", "adds").items:
        check.fail(added.path, f"({shown(added.value)}) adds a capability", "none", "remove it")
    for mount in mounts_of(root):
        _check_mount(check, mount)
    _check_identity(check)
    if not never_runs(root):
        _check_running(check)


def _check_mount(check: Check, mount: Mount) -> None:
    path, allowed = mount.node.path, "volumes of the service, files as uploads, tmpfs"
    if mount.kind == "machine":
        check.fail(path, f"({shown(mount.source.value)}) opens a path of this machine", allowed, "mount a volume")
    elif mount.kind == "driver":
        fix = "declare the volume as a resource of its own"
        check.fail(path, "makes a volume with options of its own, which nobody judged", allowed, fix)
    elif mount.kind == "container" and mount.source.known and not mount.source.text.endswith(READ_ONLY):
        fix = f"add {READ_ONLY} to fromContainer; readOnly has no effect there"
        check.fail(path, "lets it change another container's files", f"NAME{READ_ONLY}", fix)


def _check_identity(check: Check) -> None:
    user = check.root.at("user")
    if user.known and not _USER.fullmatch(user.text):
        what = f"is {shown(user.value)}, which may be root"
        check.fail(user.path, what, "two numbers above 0 such as 999:999", "use the image's own user by its numbers")
    for group in check.root.at("groupAdds").items:
        # Uploads belong to root. Its group reads them; without capabilities it may do nothing else.
        if group.differs("0"):
            check.fail(group.path, f"({shown(group.value)}) adds a group", "`0`, which reads secret files", "remove it")


def _check_running(check: Check) -> None:
    root = check.root
    if root.at("readOnly").differs(TRUE):
        check.fail("readOnly", f"is {shown(root.at('readOnly').value)}", "true", "set readOnly to true")
    drops = root.at("capabilities", "drops")
    if drops.known and not any(one.text == "ALL" for one in drops.items):
        check.fail(drops.path, "does not drop every capability", "ALL", "set it to [ALL]")
    options = root.at("securityOpts")
    if options.missing:
        check.fail(options.path, "lets privileges grow", _NO_NEW_PRIVILEGES[0], f"set it to [{_NO_NEW_PRIVILEGES[0]}]")
    for option in options.items:
        if option.differs(*_NO_NEW_PRIVILEGES):
            what = f"({shown(option.value)}) takes a protection away or adds one that nobody judged"
            check.fail(option.path, what, _NO_NEW_PRIVILEGES[0], "remove it")
    restart = root.at("restart")
    if restart.differs(*_RESTARTS):
        what = f"is {shown(restart.value)}, so a process that ends stays away"
        check.fail(restart.path, what, ", ".join(_RESTARTS), "set restart to unless-stopped")
    _check_limits(check)


def _check_limits(check: Check) -> None:
    root = check.root
    memory, swap = root.at("memory"), root.at("memorySwap")
    for node in (memory, root.at("cpuShares")):
        if node.known and (node.number or 0) <= 0:
            check.fail(node.path, f"is {shown(node.value)}", "a number above 0", f"set {node.path}")
    if memory.number and swap.differs(memory.value):
        what = f"is {shown(swap.value)}, so it may swap beyond its limit"
        check.fail(swap.path, what, f"{memory.number}, the limit", f"set {swap.path} to {memory.number}")


def check_volume(check: Check) -> None:
    """A volume is kept by the engine, or in memory: the local driver could also open a path or a remote share."""
    driver, options = check.root.at("driver"), check.root.at("driverOpts")
    if driver.differs(None, "", "local"):
        check.fail(driver.path, f"is {shown(driver.value)}, which nobody judged", "local", "use the local driver")
    if options.missing or not options.known:
        return
    if options.at("type").differs("tmpfs") or options.at("device").differs("tmpfs"):
        check.fail(options.path, "opens a place outside the engine", "none, or type and device tmpfs", "remove them")


def check_together(check: StackCheck) -> None:
    """What containers share is this stack's, and their service's; everything that runs is asked for its health."""
    volumes = by_name(check.resources, "Volume")
    running = [one for one in check.resources if is_container(one) and not never_runs(check.on(one).root)]
    sandboxes = {one.urn: sandbox_of(one, check.resources) for one in running if joins(check.on(one).root)}
    asked = {one.urn for one in running if _has_check(check.on(one).root)}
    # A sandbox itself only sleeps; its health check asks those that joined it.
    asked |= {urn for urn, sandbox in sandboxes.items() if sandbox and sandbox.urn in asked}
    asked |= {sandbox.urn for sandbox in sandboxes.values() if sandbox}
    for resource in running:
        if resource.urn not in asked:
            fix = "give it or its sandbox a health check"
            check.on(resource).fail("healthcheck", "is missing, so nobody sees it fail", "a command that asks it", fix)
    for resource in filter(is_container, check.resources):
        single = check.on(resource)
        for mount in mounts_of(single.root):
            if mount.kind == "volume" and mount.source.known:
                named = volumes.get(mount.source.text)
                _check_shared(check, single, mount, [named] if named else [])
            elif mount.kind == "container":
                found = containers_of(resource, "volumes", mount.source.value, check.resources)
                _check_shared(check, single, mount, found)


def _check_shared(check: StackCheck, single: Check, mount: Mount, found: Sequence[Resource]) -> None:
    path, service = mount.node.path, single.resource.service
    if not found:
        source = mount.source.value
        name = shown(source.removesuffix(READ_ONLY)) if isinstance(source, str) else "unknown"
        what = f"({name}) is no {mount.kind} of this stack"
        single.fail(path, what, f"a {mount.kind} of this stack", "declare it, and name it by its output")
    for one in found:
        name = shown(one.object_name)
        if one.service != service:
            what = f"({name}) belongs to {shown(one.service or None)}"
            single.fail(path, what, f"what belongs to {service or 'the same service'}", "keep services apart")
        if mount.kind == "container" and not never_runs(check.on(one).root):
            what, fix = f"({name}) shares the files of a process", "share a container that only holds files"
            single.fail(path, what, "a container with start and mustRun false", fix)


def _has_check(root: Node) -> bool:
    tests = root.at("healthcheck", "tests").items
    return bool(tests) and tests[0].differs("NONE")
