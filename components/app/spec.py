"""What a person decides about an app: its image, how it is started, checked and scaled. Secrets have no place here."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from components.core.problems import WrongFields
from components.core.secrecy import is_secret
from components.core.spec import ServiceSpec, Spec
from components.core.types import DnsLabel, Duration, EnvName, ImageRef, Memory, Port, UrlPath

_SECRET_NAME = re.compile(
    r"(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIALS?|DSN|(API|ACCESS|PRIVATE|SECRET)_?KEY)$"
)
_SECRET_FLAG = re.compile(r"^--?[A-Za-z-]*(password|passwd|secret|token|api-?key)[= ].", re.IGNORECASE)
_LARGE = 10**60
_WAY_OUT = "secrets come as files: put the service that has it under `uses` and read the file it yields"


def _as_text(value: object) -> object:
    """YAML reads `8`, `0.5` and `true` as other things than text; an environment variable is text."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, float) or (isinstance(value, int) and abs(value) < _LARGE) else value


Text = Annotated[str, BeforeValidator(_as_text)]


class Probes(Spec):
    """How an instance is checked. HTTPS requests to its port, or commands in its container."""

    ready: UrlPath = "/ready"
    """Path that answers 200 when it can serve. Default /ready."""
    live: UrlPath = "/live"
    """Path that answers 200 unless it must be restarted; it checks nothing beyond the process itself. Default /live."""
    ready_command: tuple[Text, ...] = ()
    """Command in place of `ready`, where requests without a client certificate are refused."""
    live_command: tuple[Text, ...] = ()
    """Command in place of `live`."""
    startup: Duration = "60s"
    """How long it may take to start. Default 60s; one that takes longer is restarted."""


class Scaling(Spec):
    """How many instances run: a number, or bounds within which CPU use decides."""

    min: int = Field(ge=1, le=200)
    """Fewest instances."""
    max: int = Field(ge=1, le=200)
    """Most instances."""
    cpu_percent: int = Field(default=70, ge=10, le=100)
    """Mean CPU use, in percent of what is reserved, that scaling aims at. Default 70."""

    @model_validator(mode="after")
    def _ordered(self) -> "Scaling":
        if self.max < self.min:
            text = f"{self.max} given; min is {self.min}; set max to {self.min} or more"
            raise WrongFields(("max", text))
        return self


class Otlp(Spec):
    """Where traces, metrics and logs go by OTLP."""

    to: DnsLabel
    """Service that receives them; it must stand under `uses` too."""
    protocol: Literal["grpc", "http/protobuf"] = "grpc"
    """Transport. Default grpc."""


class Metrics(Spec):
    """Where Prometheus finds the app's own figures."""

    path: UrlPath = "/metrics"
    """Path. Default /metrics."""
    port: Port | None = None
    """Port, with the app's own certificate. Default: the app's port."""


class AppSpec(ServiceSpec):
    """A container that serves HTTPS itself, with the certificate it is given."""

    image: ImageRef
    """Image, pinned by version or digest."""
    port: Port = 8443
    """Port on which it serves HTTPS. Default 8443; it is told by PORT."""
    command: tuple[Text, ...] = ()
    """Program to run. Default: the image's."""
    args: tuple[Text, ...] = ()
    """Arguments of the program. Default: the image's."""
    env: Mapping[EnvName, Text] = Field(default_factory=dict)
    """Environment variables that are no secrets. Settings of the services it uses are added."""
    probes: Probes = Probes()
    """How an instance is checked."""
    replicas: Scaling = Scaling(min=1, max=1)
    """Instances: a number, or `{min: 2, max: 6, cpu_percent: 70}`. Default 1."""
    mutual: bool = False
    """Whether it refuses clients without a certificate. Default no: probes by request have none."""
    otlp: Otlp | None = None
    """Where its telemetry goes. Default: nowhere, and the SDK is told so."""
    metrics: Metrics | None = None
    """Where its own figures are. Default: it has none."""
    scratch: Memory = "64Mi"
    """Room in /tmp, the only place it can write to. Default 64Mi."""
    uid: int = Field(default=10001, ge=1, le=65535)
    """User and group id it runs as. Default 10001."""

    @field_validator("replicas", mode="before")
    @classmethod
    def _number_of_replicas(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 200:
            raise ValueError("allowed: a number from 1 to 200, or {min: 2, max: 6, cpu_percent: 70}")
        return {"min": value, "max": value}

    @model_validator(mode="after")
    def _consistent(self) -> "AppSpec":
        wrong = (*self._secrets_in_env(), *self._secrets_in_arguments(), *self._unfit_probes(), *self._unfit_edges())
        if wrong:
            raise WrongFields(*wrong)
        return self

    def _secrets_in_env(self) -> Iterator[tuple[str, str]]:
        for name, value in self.env.items():
            if is_secret(value):
                yield f"env.{name}", f"a secret given, by its look (not shown); {_WAY_OUT}"
            elif _SECRET_NAME.search(name):
                yield f"env.{name}", f"a secret given, by its name (not shown); {_WAY_OUT}, named {name}_FILE"

    def _secrets_in_arguments(self) -> Iterator[tuple[str, str]]:
        for field, words in (("command", self.command), ("args", self.args)):
            for index, word in enumerate(words):
                if is_secret(word) or _SECRET_FLAG.search(word):
                    yield f"{field}.{index}", f"a secret given, by its look (not shown); {_WAY_OUT}"

    def _unfit_probes(self) -> Iterator[tuple[str, str]]:
        probes = self.probes
        for field, command in (("ready_command", probes.ready_command), ("live_command", probes.live_command)):
            if self.mutual and not command:
                yield f"probes.{field}", "missing; with mutual: true a request has no client certificate; add a command"
        by_command = bool(probes.ready_command and probes.live_command)
        if probes.ready_command == probes.live_command if by_command else probes.ready == probes.live:
            field, given = ("live_command", "the command") if by_command else ("live", probes.live)
            yield f"probes.{field}", f"{given} given; the same as for readiness; restarts need a check of their own"

    def _unfit_edges(self) -> Iterator[tuple[str, str]]:
        if self.otlp and self.otlp.to not in self.uses:
            yield "otlp.to", f"{self.otlp.to} given; it is not under uses; add it there"
        if self.metrics and self.metrics.port == self.port:
            yield "metrics.port", f"{self.port} given; that is the app's own port; remove it"
