"""Speaks to the engine: the service every policy pack offers it (Pulumi, proto/pulumi/analyzer.proto).

The official SDK reads each resource anew for each policy, and the whole stack again for each policy over it: half of
what the rules of this pack took. Here a resource is read once, and a finding says itself whether it blocks.
"""

# ruff: noqa: N802, ARG002  names and arguments are those of the protocol

import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc

from policies.kit.gate import EXCEPTIONS, WHOLE, Gate, Report
from policies.kit.packs import LEVELS
from policies.kit.resource import Resource
from policies.kit.rule import Rule
from policies.kit.wire import plain

_MESSAGE = 400 * 2**20
"""Bytes of the largest message; the engine sends the whole stack in one."""
_FRAMEWORK = "PSS, NSA/CISA Kubernetes Hardening Guide, CIS Kubernetes Benchmark"
_EXCEPTIONS = "Exceptions are complete, approved, in force and needed."
_RESOURCE, _STACK = proto.PolicyType.POLICY_TYPE_RESOURCE, proto.PolicyType.POLICY_TYPE_STACK


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """A gate as the engine knows policy packs. The engine takes the pack's version from PulumiPolicy.yaml."""

    def __init__(self, name: str, gate: Gate) -> None:
        self._name = name
        self._gate = gate
        self._policies = {policy.name: policy for policy in _policies(gate.rules)}

    def GetPluginInfo(self, request: Empty, context: Any) -> Any:
        """Who answers."""
        return proto.PluginInfo(version="")

    def GetAnalyzerInfo(self, request: Empty, context: Any) -> Any:
        """Every policy with its severity, its references and the parameters it takes."""
        return proto.AnalyzerInfo(
            name=self._name, version="0.0.0", supportsConfig=True, policies=self._policies.values()
        )

    def ConfigureStack(self, request: Any, context: Any) -> Any:
        """The stack is told by the URN of each resource."""
        return proto.AnalyzerStackConfigureResponse()

    def Configure(self, request: Any, context: Any) -> Any:
        """What `--policy-pack-config` says; the engine names every policy, those it says nothing of too."""
        self._gate.configure(
            {
                name: {**plain(config.properties), "enforcementLevel": _level(config.enforcementLevel)}
                for name, config in request.policyConfig.items()
            }
        )
        return Empty()

    def Remediate(self, request: Any, context: Any) -> Any:
        """No rule changes a resource."""
        return proto.RemediateResponse()

    def Analyze(self, request: Any, context: Any) -> Any:
        """Judge one resource by its inputs."""
        return self._response(self._gate.look(_resource(request)))

    def AnalyzeStack(self, request: Any, context: Any) -> Any:
        """Judge the whole stack, by the inputs of what was judged alone and the outputs of anything else."""
        return self._response(self._gate.look_at_all([self._remembered(one) for one in request.resources]))

    def _remembered(self, message: Any) -> Resource:
        sources = {name: tuple(found.urns) for name, found in message.propertyDependencies.items()}
        return replace(self._gate.seen(message.urn) or _resource(message), sources=sources)

    def _response(self, reports: Iterable[Report]) -> Any:
        return proto.AnalyzeResponse(diagnostics=[self._diagnostic(report) for report in reports])

    def _diagnostic(self, report: Report) -> Any:
        policy = self._policies[report.policy]
        return proto.AnalyzeDiagnostic(
            policyName=policy.name,
            policyPackName=self._name,
            description=policy.description,
            message=f"{policy.description}\n{report.message}",
            urn=report.urn,
            enforcementLevel=proto.EnforcementLevel.MANDATORY if report.blocks else proto.EnforcementLevel.ADVISORY,
            severity=policy.severity,
        )


def _resource(message: Any) -> Resource:
    protected = message.options.protect
    return Resource(message.urn, message.type, message.name, plain(message.properties), protected)


def _level(number: Any) -> str:
    """The name of a level. What would be corrected elsewhere blocks here, where nothing is corrected."""
    name = proto.EnforcementLevel.Name(number).lower()
    return name if name in LEVELS else "mandatory"


def _policies(rules: Iterable[Rule]) -> Iterator[Any]:
    for rule in rules:
        for present, name, kind in ((rule.check, rule.name, _RESOURCE), (rule.check_stack, rule.name + WHOLE, _STACK)):
            if present:
                yield _policy(rule, name, kind)
    level = proto.EnforcementLevel.MANDATORY
    yield proto.PolicyInfo(name=EXCEPTIONS, description=_EXCEPTIONS, enforcementLevel=level, policy_type=_STACK)


def _policy(rule: Rule, name: str, kind: Any) -> Any:
    policy = proto.PolicyInfo(
        name=name,
        description=rule.description,
        enforcementLevel=proto.EnforcementLevel.MANDATORY,
        policy_type=kind,
        severity=getattr(proto, f"POLICY_SEVERITY_{rule.severity.upper()}"),
        framework=proto.PolicyComplianceFramework(name=_FRAMEWORK, reference=", ".join(rule.references)),
        tags=rule.references,
        remediation_steps=rule.fix,
    )
    level = {"type": "string", "enum": list(LEVELS)}
    policy.configSchema.properties.update({"level": level, **rule.parameters})
    return policy


def serve(name: str, gate: Gate) -> None:
    """Offer the gate on a free port of this machine, and say on standard output which. Runs until it is ended."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=[("grpc.max_receive_message_length", _MESSAGE)])
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(name, gate), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.buffer.write(f"{port}\n".encode())
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        server.wait_for_termination()
