"""Everything of an object that opens a port or connects somewhere: services, containers, probes, ingresses.

A port is trusted only if the service's component declares a TLS listener on it; names and labels prove nothing.
"""

import re
from collections.abc import Mapping, Sequence

from policies.kit.content import Process, plaintext_probes, ports_of, processes_of
from policies.kit.node import all_known
from policies.kit.rule import Check
from policies.kit.secrets import shown

_DECLARED = "a listener of the component with tls server or mutual"


def check_listeners(check: Check) -> None:
    """The listeners a component declares: each of them with TLS."""
    listeners = check.root.at("listeners")
    if listeners.known and not isinstance(listeners.value, list):
        check.fail("listeners", "is not declared", "a list, empty for no listener", "register the listeners as props")
    for listener in listeners.items:
        tls = listener.at("tls")
        if tls.differs("server", "mutual"):
            what = f"({shown(listener.at('name').value)}) is {shown(tls.value)}, so it accepts plaintext"
            check.fail(tls.path, what, "server, mutual", f"set {tls.path} to server or mutual")


def check_service_ports(check: Check) -> None:
    """Ports of a Service lead to declared TLS listeners only."""
    for port in check.root.at("spec", "ports").items:
        target = port.at("targetPort")
        if not all_known(port.at("name"), target, port.at("port")):
            continue
        if not _declared(check, [target.value or port.at("port").value]):
            shown_port = f"{shown(port.at('port').value)} ({shown(port.at('name').value)})"
            fix = "declare the listener with TLS on the component, or remove the port"
            check.fail(port.path, f"opens port {shown_port} that is no declared TLS listener", _DECLARED, fix)


def check_ingress(check: Check) -> None:
    """Every host of an Ingress has a certificate."""
    spec = check.root.at("spec")
    hosts = {host.text for entry in spec.at("tls").items for host in entry.at("hosts").items}
    for rule in spec.at("rules").items or [spec]:
        host = rule.at("host")
        if host.known and host.text not in hosts:
            what = f"({shown(host.value)}) is served without a certificate"
            check.fail(host.path, what, "hosts that are named under spec.tls", "add the host under spec.tls")


def check_ports(check: Check) -> None:
    """Ports of containers are declared TLS listeners; health checks use HTTPS."""
    for number in ports_of(check.resource, check.root):
        if number.known and not _declared(check, [number.value]):
            fix = "declare the listener with TLS on the component, or remove the port"
            check.fail(number.path, f"{shown(number.value)} is no declared TLS listener", _DECLARED, fix)
    for probe, fix in plaintext_probes(check.resource, check.root):
        check.fail(probe.path, "asks a plaintext port", "HTTPS", fix)


def check_command_lines(check: Check, patterns: Sequence[str], needed: Mapping[str, Sequence[str]]) -> None:
    """Commands, arguments and variables open or reach nothing in plaintext, and exporters are told to use TLS."""
    for process in processes_of(check.resource, check.root):
        for variable in process.variables:
            check_patterns(check, variable.value.path, variable.value.text, patterns)
        check_patterns(check, process.command_line, " ".join(word.text for word in process.words), patterns)
        if process.image:
            check_needed(check, process, process.image.text, needed)


def check_patterns(check: Check, where: str, text: str, patterns: Sequence[str]) -> None:
    """No pattern of a plaintext listener or connection occurs in a text; the text itself is not shown."""
    for pattern in patterns:
        match = re.search(pattern, text)
        if match:
            fix = "use TLS there"
            check.fail(where, f"has {shown(match[0])}, which is plaintext", "TLS listeners and addresses", fix)
            return


def check_needed(check: Check, process: Process, image: str, needed: Mapping[str, Sequence[str]]) -> None:
    """A program of this image that serves plaintext by itself is told not to."""
    name = re.split(r"[:@]", image.rsplit("/", 1)[-1])[0]
    wanted = needed.get(name, [])
    words = [word.text for word in process.words] + [variable.name for variable in process.variables]
    if wanted and not any(word.split("=", 1)[0] in wanted for word in words):
        what = f"({name}) is not told to use TLS, so it serves plaintext"
        check.fail(process.node.path, what, " or ".join(wanted), f"add {wanted[0]}")


def _declared(check: Check, wanted: Sequence[object]) -> bool:
    component = check.component
    if component is None:
        return False
    secured = [one for one in component.at("listeners").items if one.at("tls").value in ("server", "mutual")]
    return any(one in (listener.at("port").value, listener.at("name").value) for listener in secured for one in wanted)
