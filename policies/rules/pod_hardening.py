"""pod-hardening: the restricted Pod Security Standard in full, and what it leaves out.

That is: a read-only root, resources, probes that differ, an identity of its own.

A CPU limit is not demanded: it throttles without protecting anyone whose own request is met. Memory is: its request
equals its limit, so a pod that starts also fits. On a Docker engine the same is said of each container.
"""

from policies.kit.node import FALSE, TRUE, Node
from policies.kit.resource import CNPG, DOCKER, Pod, pods_of
from policies.kit.rule import STRINGS, Check, Rule
from policies.kit.secrets import shown
from policies.readers import docker_containers

_VOLUMES = frozenset(
    {
        "name",
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    }
)  # fmt: skip
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_PROBE_TIMING = ("periodSeconds", "timeoutSeconds", "failureThreshold", "initialDelaySeconds", "successThreshold")


def _check(check: Check) -> None:
    for pod in pods_of(check.resource, check.root):
        _check_pod(check, pod)
        for container in pod.all_containers:
            _check_container(check, container, pod.spec.at("securityContext"))
            _check_resources(check, container.at("resources"))
        if pod.long_running:
            for container in pod.containers:
                _check_probes(check, container)
    for group, kind, judge in _OTHERS:
        if check.resource.is_a(group, kind):
            judge(check)


def _check_cluster(check: Check) -> None:
    _check_resources(check, check.root.at("spec", "resources"))
    superuser = check.root.at("spec", "enableSuperuserAccess")
    if superuser.differs(None, FALSE):
        check.fail(superuser.path, "opens a superuser login", "false", "remove it")


def _check_pooler(check: Check) -> None:
    for container in check.root.at("spec", "template", "spec", "containers").items:
        _check_resources(check, container.at("resources"))


_OTHERS = (
    (CNPG, "Cluster", _check_cluster),
    (CNPG, "Pooler", _check_pooler),
    (DOCKER, "Container", docker_containers.check_container),
    (DOCKER, "Volume", docker_containers.check_volume),
)
"""What else runs processes or stores what they write, by group and kind."""


def _check_pod(check: Check, pod: Pod) -> None:
    for name in _HOST:
        _refuse(check, pod.spec.at(name), None, FALSE, why="shares the node's namespace")
    for sysctl in pod.spec.at("securityContext", "sysctls").items:
        if sysctl.at("name").differs(*_SYSCTLS):
            check.fail(sysctl.path, "sets an unsafe kernel parameter", "safe sysctls", "remove it")
    for volume in pod.spec.at("volumes").items:
        for kind in volume.fields.keys() - _VOLUMES:
            what = f"({shown(volume.at('name').value)}) is a {shown(kind)} volume"
            check.fail(volume.path, what, ", ".join(sorted(_VOLUMES - {"name"})), "use one of these volume types")
    _check_identity(check, pod)


def _check_identity(check: Check, pod: Pod) -> None:
    account = pod.spec.at("serviceAccountName")
    if account.missing or (account.known and account.text == "default"):
        check.fail(
            account.path, "is the namespace's default account", "an account of its own", "create one and name it"
        )
    token = pod.spec.at("automountServiceAccountToken")
    if account.text not in check.params["token_accounts"] and token.differs(FALSE):
        fix = f"set {token.path} to false, or add the account to token_accounts in packs/"
        check.fail(token.path, "is not false, so the pod holds a token for the API server", "false", fix)


def _check_container(check: Check, container: Node, pod_context: Node) -> None:
    context = container.at("securityContext")
    _demand(check, context.at("allowPrivilegeEscalation"), FALSE)
    _demand(check, context.at("readOnlyRootFilesystem"), TRUE)
    _refuse(check, context.at("privileged"), None, FALSE, why="makes the container privileged")
    _refuse(check, context.at("procMount"), None, "Default", why="unmasks /proc")
    _either(check, context.at("runAsNonRoot"), pod_context.at("runAsNonRoot"), (True,))
    profile = (context.at("seccompProfile", "type"), pod_context.at("seccompProfile", "type"))
    _either(check, *profile, ("RuntimeDefault", "Localhost"))
    for user in (context.at("runAsUser"), pod_context.at("runAsUser")):
        if user.number == 0:
            check.fail(user.path, "is 0, the root user", "a number above 0", "use the image's own user")
    drop = context.at("capabilities", "drop")
    if drop.known and not any(one.known and one.text == "ALL" for one in drop.items):
        check.fail(drop.path, "does not drop every capability", "ALL", f"set {drop.path} to [ALL]")
    for added in context.at("capabilities", "add").items:
        _refuse(check, added, "NET_BIND_SERVICE", why="adds a capability")
    for port in container.at("ports").items:
        _refuse(check, port.at("hostPort"), None, 0, why="opens a port of the node")


def _check_resources(check: Check, resources: Node) -> None:
    requests, limits = resources.at("requests"), resources.at("limits")
    for node in (requests.at("cpu"), requests.at("memory"), limits.at("memory")):
        if node.missing:
            check.fail(node.path, "is not set", "a quantity", f"set {node.path}")
    wanted, limit = requests.at("memory"), limits.at("memory")
    if wanted.known and limit.known and wanted.text and limit.text and wanted.text != limit.text:
        what = f"is {shown(wanted.value)}, its limit {shown(limit.value)}"
        check.fail(wanted.path, what, "a request that equals the limit", f"set {wanted.path} to {limit.text}")


def _check_probes(check: Check, container: Node) -> None:
    readiness, liveness = container.at("readinessProbe"), container.at("livenessProbe")
    for probe in (readiness, liveness):
        if probe.missing:
            check.fail(probe.path, "is missing", "a probe", f"add {probe.path}")
    if readiness.fields and liveness.fields and _handler(readiness) == _handler(liveness):
        fix = "let liveness check less than readiness does"
        check.fail(liveness.path, "asks the same as the readiness probe", "two different checks", fix)


def _handler(probe: Node) -> dict[str, object]:
    return {name: node.value for name, node in probe.fields.items() if name not in _PROBE_TIMING}


def _demand(check: Check, node: Node, wanted: object) -> None:
    if node.differs(wanted):
        check.fail(node.path, f"is {shown(node.value)}", shown(wanted), f"set {node.path} to {shown(wanted)}")


def _refuse(check: Check, node: Node, *allowed: object, why: str) -> None:
    if node.differs(*allowed):
        check.fail(node.path, f"({shown(node.value)}) {why}", " or ".join(shown(one) for one in allowed), "remove it")


def _either(check: Check, own: Node, pods: Node, allowed: tuple[object, ...]) -> None:
    """A setting of the container, or of its pod where the container has none."""
    node = own if own.value is not None else pods
    if node.differs(*allowed):
        wanted = " or ".join(shown(one) for one in allowed)
        check.fail(own.path, f"is {shown(node.value)}", wanted, f"set {own.path} to {shown(allowed[0])}")


RULE = Rule(
    name="pod-hardening",
    description="Pods meet the restricted Pod Security Standard and say what they need.",
    severity="high",
    references=(
        "PSS restricted", "NSA Kubernetes Pod security",
        "CIS 5.1.5", "CIS 5.1.6", "CIS 5.2.2", "CIS 5.2.3", "CIS 5.2.4", "CIS 5.2.5", "CIS 5.2.6", "CIS 5.2.7",
        "CIS 5.2.8", "CIS 5.2.9", "CIS 5.2.12", "CIS 5.2.13", "CIS 5.7.2", "CIS 5.7.3",
    ),
    fix="Set the field that the message names.",
    check=_check,
    check_stack=docker_containers.check_together,
    parameters={"token_accounts": STRINGS},
)  # fmt: skip
