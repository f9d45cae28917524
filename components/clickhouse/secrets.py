"""What ClickHouse puts into its configuration from a file of secrets. Pure.

ClickHouse documentation, "Configuration Files", "Substituting Configuration".
"""

import hashlib
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from components.core.mounts import ROOT

SECRETS = f"{ROOT}/clickhouse/secrets.xml"
PEERS = "peers"
"""Name of what servers know each other by."""


def password_of(consumer: str) -> str:
    """Name of a consumer's secret."""
    return f"password-{consumer}"


def included(name: str) -> dict[str, str]:
    """A setting whose value is a secret, and which stays out of the copy that the server keeps beside its data."""
    return {"@incl": name, "@hide_in_preprocessed": "true"}


def render_secrets(passwords: Mapping[str, str], peers: str) -> str:
    """secrets.xml. `passwords`: of each consumer, long and random, of which the server gets no more than the hash.

    `peers`: what servers know each other by; empty where there is one.
    """
    root = ET.Element("clickhouse")
    secrets = {password_of(consumer): _hash(password) for consumer, password in passwords.items()}
    for name, value in {**secrets, **({PEERS: peers} if peers else {})}.items():
        ET.SubElement(root, name).text = value
    return ET.tostring(root, encoding="unicode")


def _hash(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
