"""Metrics over TLS alone: the web configuration of Prometheus's exporters, one that serves a file. Pure.

Exporters made for a server often can't be told to refuse TLS 1.2, or to take TLS at all. There, a helper of the server
writes what it knows into a file, and node_exporter serves it, with nothing of the machine that it runs on.
"""

from components.core.catalogue import CATALOGUE
from components.core.mounts import OWN
from components.core.site import Site
from components.core.workload import Container, Listener, Probe

METRICS = "/run/metrics"
"""Directory in which a helper writes what the exporter serves."""
METRICS_PORT = 9100
LISTENER = Listener("metrics", METRICS_PORT, "https", "server", service=False)


def web_config(folder: str = OWN) -> str:
    """Web configuration of an exporter with the certificate in `folder`: TLS 1.3 only. Prometheus exporter-toolkit,
    "web-configuration"."""
    settings = {"cert_file": f"{folder}/tls.crt", "key_file": f"{folder}/tls.key", "min_version": "TLS13"}
    return "tls_server_config:\n" + "".join(f"  {key}: {value}\n" for key, value in settings.items())


def file_exporter(site: Site, config: str) -> Container:
    """Serves what is in METRICS. `config`: path of its web configuration.

    node_exporter's README, "Textfile Collector".
    """
    return Container(
        name="metrics",
        image=site.image(CATALOGUE["node-exporter"].reference),
        args=(
            f"--web.listen-address=:{METRICS_PORT}",
            f"--web.config.file={config}",
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={METRICS}",
        ),
        cpu="10m",
        memory="64Mi",
        readiness=Probe(path="/metrics", port=METRICS_PORT),
        liveness=Probe(path="/", port=METRICS_PORT, period=30, failures=5),
        listeners=(LISTENER,),
        mounts=(config.rpartition("/")[0], OWN, METRICS),
    )
