"""The environment variables of an app: its certificate, its telemetry, and the settings of each service it uses. Pure.

Secrets are files; a variable names the file. `CACHE_HOST` is a setting of service `cache`, `CACHE_PASSWORD_FILE` the
path of its file `password`; `-` becomes `_`.
"""

import re
from collections.abc import Iterator, Mapping

from components.app.spec import AppSpec, Otlp
from components.core.bindings import Binding
from components.core.mounts import OWN, directory
from components.core.problems import ConfigError, Problem
from components.core.site import Site

_WELL_KNOWN = {"ca.crt": "CA", "tls.crt": "CERT", "tls.key": "KEY"}


def environment_of(
    name: str, spec: AppSpec, version: str, site: Site, bindings: Mapping[str, Binding]
) -> dict[str, str]:
    """Every variable. Raises ConfigError where two sources set the same one."""
    sources = {"the platform": {**_own(spec), **_telemetry(name, spec, version, site, bindings)}}
    for service, binding in bindings.items():
        sources[f"uses: {service}"] = dict(_of_edge(service, binding))
    found: dict[str, str] = {}
    first: dict[str, str] = {}
    problems: list[Problem] = []
    for source, variables in sources.items():
        for variable, value in variables.items():
            if variable in found:
                text = f"{first[variable]} and {source} both yield {variable}; give one of the services another name"
                problems.append(Problem(f"groundwork:services.{name}.uses", text))
            first.setdefault(variable, source)
            found[variable] = value
    for variable in sorted(set(spec.env) & set(found)):
        text = f"given, but it is set already by {first[variable]}; remove it or choose another name"
        problems.append(Problem(f"groundwork:services.{name}.env.{variable}", text))
    if problems:
        raise ConfigError(problems)
    return {**spec.env, **found}


def prefix_of(service: str) -> str:
    """What the variables of a service begin with: `query-cache` yields QUERY_CACHE."""
    return service.upper().replace("-", "_")


def _own(spec: AppSpec) -> dict[str, str]:
    files = {f"TLS_{part}_FILE": f"{OWN}/{file}" for file, part in _WELL_KNOWN.items()}
    return {"PORT": str(spec.port), **files}


def _of_edge(service: str, binding: Binding) -> Iterator[tuple[str, str]]:
    prefix = prefix_of(service)
    for setting, value in binding.settings.items():
        yield f"{prefix}_{setting}", value
    for file in binding.files:
        part = _WELL_KNOWN.get(file) or re.sub(r"[^A-Z0-9]", "_", file.upper())
        yield f"{prefix}_{part}_FILE", f"{directory(service)}/{file}"


def _telemetry(name: str, spec: AppSpec, version: str, site: Site, bindings: Mapping[str, Binding]) -> dict[str, str]:
    """OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration"."""
    attributes = {
        "deployment.environment.name": site.environment,
        "cloud.region": site.placement.region,
        "service.namespace": "groundwork",
        "service.version": version,
    }
    variables = {
        "OTEL_SERVICE_NAME": name,
        "OTEL_RESOURCE_ATTRIBUTES": ",".join(f"{key}={value}" for key, value in attributes.items()),
    }
    return variables | (_exporter(spec.otlp, bindings) if spec.otlp else {"OTEL_SDK_DISABLED": "true"})


def _exporter(otlp: Otlp, bindings: Mapping[str, Binding]) -> dict[str, str]:
    binding, folder = bindings[otlp.to], directory(otlp.to)
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"https://{binding.endpoint.host}:{binding.endpoint.port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": otlp.protocol,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": f"{folder}/ca.crt",
    }
    if "tls.crt" in binding.files:
        variables["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = f"{folder}/tls.crt"
        variables["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = f"{folder}/tls.key"
    return variables
