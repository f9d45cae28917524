"""Every image and version in one table. Components take images from here and from nowhere else.

A row needs an image, a version, and the tag where it is not the version; `others` where a service may choose. Which
versions are supported, and until when, stands in `policies/compatibility.json`, where the image's system has its row;
tests hold that the two agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Release:
    """One server or helper in the version that this release of Groundwork is tested with."""

    image: str
    """Image name with registry, without tag."""
    version: str
    """Upstream version of the server."""
    tag: str = ""
    """Image tag where it is not the version."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Other versions that are tested and that a service may choose, each with its tag."""

    @property
    def reference(self) -> str:
        """The pinned image reference."""
        return f"{self.image}:{self.tag or self.version}"


CATALOGUE = {
    "clickhouse": Release("docker.io/clickhouse/clickhouse-server", "26.8.20.9"),
    # The operator of a replicated PostgreSQL; it is the cluster's, and no environment deploys it.
    "cloudnative-pg": Release("ghcr.io/cloudnative-pg/cloudnative-pg", "1.30.0"),
    "kafka": Release("docker.io/apache/kafka", "4.3.1"),
    "nats": Release("docker.io/library/nats", "2.15.0", "2.15.0-alpine"),
    # The NATS command line with a shell, jq and curl.
    "nats-box": Release("docker.io/natsio/nats-box", "0.20.0"),
    "nginx": Release("docker.io/nginxinc/nginx-unprivileged", "1.30.4"),
    # The vendor ships no brotli; this is nginx with google/ngx_brotli compiled in, one tag per nginx release.
    "nginx-brotli": Release("docker.io/fholzer/nginx-brotli", "1.31.3", "v1.31.3"),
    "nginx-exporter": Release("docker.io/nginx/nginx-prometheus-exporter", "1.5.1"),
    "node-exporter": Release("quay.io/prometheus/node-exporter", "1.11.1", "v1.11.1"),
    "postgres": Release("docker.io/library/postgres", "18.6", "18.6-trixie", {"17.11": "17.11-trixie"}),
    "postgres-cnpg": Release(
        "ghcr.io/cloudnative-pg/postgresql", "18.6", "18.6-system-trixie", {"17.11": "17.11-system-trixie"}
    ),
    "postgres-exporter": Release("quay.io/prometheuscommunity/postgres-exporter", "0.19.0", "v0.19.0"),
    "pgbouncer-cnpg": Release("ghcr.io/cloudnative-pg/pgbouncer", "1.25.1"),
    # Holds an instance's network on Docker and asks its HTTPS probes, as the node does on Kubernetes.
    "sandbox": Release("docker.io/curlimages/curl", "8.17.0"),
    "rabbitmq": Release("docker.io/library/rabbitmq", "4.3.6"),
    "redis": Release("docker.io/library/redis", "8.10.1", "8.10.1-alpine"),
    "redis-exporter": Release("ghcr.io/oliver006/redis_exporter", "1.79.0", "v1.79.0"),
    "versitygw": Release("docker.io/versity/versitygw", "1.8.0", "v1.8.0"),
}


def releases(name: str) -> tuple[Release, ...]:
    """Every release of a row that a service may choose, the one it has without a choice first."""
    first = CATALOGUE[name]
    others = (replace(first, version=version, tag=tag, others={}) for version, tag in first.others.items())
    return (first, *others)


def release_of(name: str, chosen: str | None = None) -> Release:
    """The release of a row that a service runs. `chosen`: a version or its beginning, such as `17`; None: the row's.

    Raises KeyError where no release has that version.
    """
    found = (one for one in releases(name) if chosen is None or f"{one.version}.".startswith(f"{chosen}."))
    release = next(found, None)
    if release is None:
        raise KeyError(f"{name} {chosen}")
    return release


def image_version(reference: str) -> str:
    """What tells versions of an image apart: its tag, or the beginning of its digest; fit for a label."""
    name, _, digest = reference.partition("@sha256:")
    tag = name.rpartition("/")[2].partition(":")[2]
    version = tag or (f"sha256-{digest[:12]}" if digest else "untagged")
    return version[:63].strip("._-")
