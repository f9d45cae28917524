"""Every image and version in one table. Components take images from here and from nowhere else."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """One server or helper in the version that this release of Groundwork is tested with."""

    image: str
    """Image name with registry, without tag."""
    version: str
    """Upstream version of the server."""
    tag: str = ""
    """Image tag where it is not the version."""

    @property
    def reference(self) -> str:
        """The pinned image reference."""
        return f"{self.image}:{self.tag or self.version}"


CATALOGUE = {
    "nginx": Release("docker.io/nginxinc/nginx-unprivileged", "1.30.4"),
    # The vendor ships no brotli; this is nginx with google/ngx_brotli compiled in, one tag per nginx release.
    "nginx-brotli": Release("docker.io/fholzer/nginx-brotli", "1.31.3", "v1.31.3"),
    "nginx-exporter": Release("docker.io/nginx/nginx-prometheus-exporter", "1.5.1"),
    "postgres": Release("docker.io/library/postgres", "18.6", "18.6-trixie"),
    "postgres-cnpg": Release("ghcr.io/cloudnative-pg/postgresql", "18.6", "18.6-system-trixie"),
    "postgres-exporter": Release("quay.io/prometheuscommunity/postgres-exporter", "0.19.0", "v0.19.0"),
    "pgbouncer-cnpg": Release("ghcr.io/cloudnative-pg/pgbouncer", "1.25.1"),
    # Holds an instance's network on Docker and asks its HTTPS probes, as the node does on Kubernetes.
    "sandbox": Release("docker.io/curlimages/curl", "8.17.0"),
    "redis": Release("docker.io/library/redis", "8.10.1", "8.10.1-alpine"),
    "redis-exporter": Release("ghcr.io/oliver006/redis_exporter", "1.79.0", "v1.79.0"),
}


def image_version(reference: str) -> str:
    """What tells versions of an image apart: its tag, or the beginning of its digest; fit for a label."""
    name, _, digest = reference.partition("@sha256:")
    tag = name.rpartition("/")[2].partition(":")[2]
    version = tag or (f"sha256-{digest[:12]}" if digest else "untagged")
    return version[:63].strip("._-")
