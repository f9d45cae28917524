"""Web configuration of Prometheus exporters (exporter-toolkit, "web configuration")."""

import re
from collections.abc import Iterator, Sequence

from policies.readers.problem import Problem, listed


def check_web_config(text: str, protocols: Sequence[str]) -> Iterator[Problem]:
    """Problems of a web configuration file; without `tls_server_config` the exporter speaks plaintext."""
    fix = "add `tls_server_config` with cert_file, key_file and min_version"
    if not re.search(r"^[\"']?tls_server_config[\"']?:", text, re.MULTILINE):
        yield Problem(
            0, "tls_server_config", "is missing, so metrics are served in plaintext", "tls_server_config", fix
        )
        return
    names = {"TLS13": "TLSv1.3", "TLS12": "TLSv1.2", "TLS11": "TLSv1.1", "TLS10": "TLSv1.0"}
    match = re.search(r"^\s+[\"']?min_version[\"']?:\s*[\"']?(TLS\d\d)", text, re.MULTILINE)
    lowest = names.get(match[1], match[1]) if match else "TLSv1.2"
    if lowest not in protocols:
        line = text[: match.start(1)].count("\n") + 1 if match else 0
        yield Problem(line, "min_version", f"accepts {lowest}", listed(protocols), "set `min_version: TLS13`")
