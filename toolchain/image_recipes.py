"""What images can be made of where no registry can be reached: one row for each image, from Debian's packages.

The images have the users, folders and programs that the originals' consumers rely on; their versions are those of the
distribution, and say so. They serve closed networks, tests and CI, and are no replacement for the originals.
"""

from __future__ import annotations

from toolchain.errors import ToolchainError
from toolchain.recipe import Jars, Library, Program, Recipe, User

SUITE = "forky"
"""The Debian release whose servers come closest to the catalogue's versions: the same major version of each, but for
minor ones of Redis and PgBouncer."""
BASE = ("base-files", "coreutils", "dash", "findutils", "grep", "libc-bin", "sed")
"""What the scripts of every component find in the original images."""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POSTGRES = ("postgresql-18",)
POSTGRES_PATH = {"PATH": f"/usr/lib/postgresql/18/bin:{PATH}"}
RABBITMQ_PATH = {"PATH": f"/usr/lib/rabbitmq/bin:{PATH}"}
"""The original's programs; those of /usr/sbin would first ask for another user."""
JAVA_PATH = {"PATH": f"/usr/lib/jvm/default-java/bin:{PATH}"}
NGINX = ("nginx", "libnginx-mod-http-brotli-filter", "libnginx-mod-http-brotli-static")


def _exporter(repository: str, title: str, package: str) -> Recipe:
    user = User("nobody", 65534, 65534)
    return Recipe(repository, title, user, (package,), entrypoint=(f"/usr/bin/{package}",))


def _nginx(repository: str, *more: str) -> Recipe:
    command = ("nginx", "-g", "daemon off;")
    user = User("nginx", 101, 101)
    return Recipe(repository, "nginx with brotli", user, (*NGINX, *more), command=command, stop_signal="SIGQUIT")


def _postgres(repository: str, uid: int, *more: str) -> Recipe:
    return Recipe(
        repository,
        "PostgreSQL",
        User("postgres", uid, uid, "/var/lib/postgresql"),
        (*POSTGRES, *more),
        folders={"/var/lib/postgresql": 0o1777, "/run/postgresql": 0o3777},
        environment=POSTGRES_PATH,
        command=("postgres",),
        stop_signal="SIGINT",
    )


RECIPES = (
    _postgres("library/postgres", 999),
    # CloudNativePG's operator runs it with its own program as the command; its documentation, "Container image
    # requirements". What has `system` in its tag has Barman Cloud too: postgres-containers, "Image types".
    _postgres("cloudnative-pg/postgresql", 26, "barman-cli-cloud", "gzip", "tar"),
    # The operator calls /usr/bin/pgbouncer as 998:996.
    Recipe(
        "cloudnative-pg/pgbouncer",
        "PgBouncer",
        User("pgbouncer", 998, 996),
        ("pgbouncer",),
        folders={"/var/log/pgbouncer": 0o755, "/run/pgbouncer": 0o755},
        links={"/usr/bin/pgbouncer": "/usr/sbin/pgbouncer"},
        command=("pgbouncer", "/etc/pgbouncer/pgbouncer.ini"),
    ),
    Recipe(
        "library/redis",
        "Redis",
        User("redis", 999, 999, "/data"),
        ("redis-server", "redis-sentinel", "redis-tools"),
        folders={"/data": 0o755},
        command=("redis-server",),
    ),
    Recipe(
        "library/rabbitmq",
        "RabbitMQ",
        User("rabbitmq", 999, 999, "/var/lib/rabbitmq"),
        ("rabbitmq-server", "openssl"),
        folders={"/var/lib/rabbitmq": 0o1777, "/var/lib/rabbitmq/mnesia": 0o755},
        environment=RABBITMQ_PATH,
        command=("rabbitmq-server",),
    ),
    Recipe(
        "library/nats",
        "NATS",
        User("nats", 1000, 1000),
        ("nats-server", "systemd-standalone-sysusers"),
        folders={"/var/tmp": 0o1777},  # noqa: S108
        command=("nats-server",),
    ),
    Recipe(
        "natsio/nats-box",
        "the NATS command line",
        User("nats", 1000, 1000, "/home/nats"),
        ("jq", "curl", "diffutils"),
        program=Program("/usr/bin/nats", "github.com/nats-io/natscli/nats", "toolchain/go/natscli", "0.3.0"),
        command=("sh",),
    ),
    Recipe(
        "apache/kafka",
        "Kafka",
        User("appuser", 1000, 1000, "/home/appuser"),
        ("default-jre-headless", "bash", "mawk"),
        jars=Jars("/opt/kafka/libs", "kafka", "4.3.1"),
        folders={"/var/lib/kafka/data": 0o755},
        links={"/usr/bin/awk": "mawk"},
        environment=JAVA_PATH,
        command=("java", "-cp", "/opt/kafka/libs/*", "kafka.Kafka"),
    ),
    Recipe(
        "clickhouse/clickhouse-server",
        "ClickHouse's engine behind HAProxy",
        User("clickhouse", 101, 101, "/var/lib/clickhouse"),
        ("python3", "haproxy", "diffutils"),
        library=Library(
            "/usr/lib/clickhouse",
            "chdb-core",
            "26.9.0",
            ("chdb/_chdb.abi3.so", "chdb/libpybind11*.so", "chdb_core.libs/*"),
            {
                "clickhouse": "toolchain.clickhouse.local",
                "clickhouse-client": "toolchain.clickhouse.client",
                "clickhouse-server": "toolchain.clickhouse.server",
            },
        ),
        folders={"/var/lib/clickhouse": 0o755, "/tmp": 0o1777},  # noqa: S108
        command=("clickhouse-server", "--config-file=/etc/clickhouse-server/clickhouse.yaml"),
    ),
    # The original has no user, and knows no folder for data.
    Recipe(
        "versity/versitygw",
        "versitygw",
        User("nobody", 65534, 65534),
        program=Program(
            "/usr/local/bin/versitygw",
            "github.com/versity/versitygw/cmd/versitygw",
            "toolchain/go/versitygw",
            "1.8.0",
        ),
        folders={"/var/tmp": 0o1777},  # noqa: S108
        command=("versitygw",),
    ),
    # The original's Debian has the other programs too; backups are encrypted and carried by them.
    _nginx("nginxinc/nginx-unprivileged", "curl", "gzip", "openssl", "tar"),
    _nginx("fholzer/nginx-brotli"),
    Recipe("curlimages/curl", "curl", User("curl_user", 100, 101), ("curl",), command=("curl",)),
    _exporter("nginx/nginx-prometheus-exporter", "nginx-prometheus-exporter", "prometheus-nginx-exporter"),
    _exporter("prometheus/node-exporter", "node_exporter", "prometheus-node-exporter"),
    _exporter("prometheuscommunity/postgres-exporter", "postgres_exporter", "prometheus-postgres-exporter"),
    _exporter("oliver006/redis_exporter", "redis_exporter", "prometheus-redis-exporter"),
    Recipe("groundwork/demo", "the demo application", User("demo", 10001, 10001), module="demo", entrypoint=("/demo",)),
)


def recipe_of(reference: str) -> Recipe:
    """The recipe for a reference, whatever registry or mirror stands before the repository, and for any tag.

    Raises ToolchainError for a repository that nothing is known about, and for a digest.
    """
    name, tag = split(reference)
    if "@" in reference:
        raise ToolchainError(
            f"{reference}: no registry has it, and an image made here has another digest; name it by tag, or make its "
            "registry reachable"
        )
    for recipe in RECIPES:
        if tag and f"/{name}".endswith(f"/{recipe.repository}"):
            return recipe
    known = ", ".join(sorted(recipe.repository for recipe in RECIPES))
    raise ToolchainError(
        f"{reference}: no registry has it, and it cannot be made here; what can, with any tag of its major version and "
        f"behind any registry: {known}. Make its registry reachable, or load it into the engine: docker load, "
        f"docker build -t {reference}"
    )


def split(reference: str) -> tuple[str, str]:
    """Name and tag of an image reference; the tag is empty where there is none."""
    name = reference.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")


def registry(reference: str) -> str:
    """Host of the registry. Docker documentation, "docker image tag": Docker Hub where the name has none."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"
