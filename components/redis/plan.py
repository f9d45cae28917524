"""RedisSpec -> the workload of a Redis and the facts its consumers get. Pure: the same on every target."""

from dataclasses import dataclass

from components.core.backups.contract import makes_backups, part_of
from components.core.bindings import Reach
from components.core.catalogue import CATALOGUE
from components.core.mounts import OWN, own_files
from components.core.peers import PeersPlan
from components.core.problems import ConfigError, Problem
from components.core.scripting import scripts
from components.core.site import Site, peer_hosts
from components.core.types import bytes_of
from components.core.workload import Container, File, Listener, Probe, Scratch, SecretFile, Volume, Workload
from components.redis import render
from components.redis.render import ACCESS, DATA, ETC, EXPORTER, METRICS_PORT, PORT, SENTINEL_PORT, User
from components.redis.spec import RedisSpec

_UID = 999
"""Of the user `redis` in the image, on Alpine and on Debian."""
_SERVER_MOUNTS = (ETC, OWN, ACCESS, DATA)


@dataclass(frozen=True)
class RedisPlan(PeersPlan):
    """Everything that follows from a spec and its surroundings."""

    users: tuple[User, ...]
    """Everyone with a password: the servers' own users first, then one per consumer."""
    ports: tuple[int, ...]
    """What consumers connect to."""

    @property
    def replicated(self) -> bool:
        """Whether Sentinels choose the master."""
        return self.workload.replicas > 1


def plan_redis(name: str, spec: RedisSpec, site: Site) -> RedisPlan:
    """Plan a Redis. Raises ConfigError where a consumer has a name that Redis reserves."""
    consumers = site.consumers_of(name)
    if "default" in consumers:
        raise ConfigError(
            [
                Problem(
                    "groundwork:services.default", "Redis reserves the user name default; give the service another name"
                )
            ]
        )
    replicated = spec.replicas > 1
    ports = (PORT, SENTINEL_PORT) if replicated else (PORT,)
    internal = render.internal_users(replicated)
    peers = peer_hosts(site.names, name, spec.replicas)
    workload = Workload(
        name=name,
        kind="redis",
        version=CATALOGUE["redis"].version,
        containers=(_server(spec, site), *([_sentinel(site)] if replicated else []), _exporter(site)),
        owner=spec.owner,
        data_class=spec.data_class,
        uid=_UID,
        replicas=spec.replicas,
        stateful=True,
        files=_files(name, spec, site.names.peer_suffix(name), peers),
        secrets=_secrets(internal, replicated),
        volumes=(Volume("data", DATA, spec.storage),) if spec.storage else (),
        scratch=() if spec.storage else (_scratch(spec),),
        callers=(*(Reach(one, ports) for one in consumers), *_backup_callers(name, spec)),
        peers=ports if replicated else (),
        publish=spec.publish or 0,
        parallel_start=replicated,
        grace_seconds=60,
    )
    backup = (render.BACKUP_USER,) if makes_backups(spec) else ()
    users = (*internal, *backup, *(render.consumer_user(consumer, spec.role, replicated) for consumer in consumers))
    return RedisPlan(workload, site.names.host(name), peers, users, ports)


def _backup_callers(name: str, spec: RedisSpec) -> tuple[Reach, ...]:
    """The part that takes backups; any server will do, so that it asks no Sentinel."""
    return (Reach(part_of(name), (PORT,)),) if makes_backups(spec) else ()


def _server(spec: RedisSpec, site: Site) -> Container:
    return Container(
        name="redis",
        image=site.image(CATALOGUE["redis"].reference),
        command=("/bin/sh", f"{ETC}/start.sh", "redis"),
        cpu=spec.resources.cpu,
        memory=spec.resources.memory,
        readiness=_probe("redis-ready", period=5),
        liveness=_probe("redis-alive", period=10, failures=6),
        startup=_probe("redis-alive", period=3, failures=200),
        listeners=(Listener("redis", PORT, "redis", "mutual"),),
        mounts=_SERVER_MOUNTS,
    )


def _sentinel(site: Site) -> Container:
    return Container(
        name="sentinel",
        image=site.image(CATALOGUE["redis"].reference),
        command=("/bin/sh", f"{ETC}/start.sh", "sentinel"),
        cpu="20m",
        memory="64Mi",
        readiness=_probe("sentinel-ready", period=5),
        liveness=_probe("sentinel-alive", period=10, failures=6),
        startup=_probe("sentinel-alive", period=3, failures=40),
        listeners=(Listener("sentinel", SENTINEL_PORT, "redis", "mutual"),),
        mounts=_SERVER_MOUNTS,
    )


def _exporter(site: Site) -> Container:
    """redis_exporter's README, "Command line flags". CONFIG is off: its reply holds the replication password."""
    return Container(
        name="exporter",
        image=site.image(CATALOGUE["redis-exporter"].reference),
        cpu="20m",
        memory="64Mi",
        readiness=Probe(path="/health", port=METRICS_PORT),
        liveness=Probe(path="/", port=METRICS_PORT, period=30, failures=5),
        env={
            "REDIS_ADDR": f"rediss://localhost:{PORT}",
            "REDIS_USER": render.MONITOR,
            "REDIS_PASSWORD_FILE": f"{EXPORTER}/exporter.json",
            "REDIS_EXPORTER_CONFIG_COMMAND": "-",
            "REDIS_EXPORTER_TLS_CA_CERT_FILE": f"{OWN}/ca.crt",
            "REDIS_EXPORTER_TLS_CLIENT_CERT_FILE": f"{OWN}/tls.crt",
            "REDIS_EXPORTER_TLS_CLIENT_KEY_FILE": f"{OWN}/tls.key",
            "REDIS_EXPORTER_TLS_SERVER_CERT_FILE": f"{OWN}/tls.crt",
            "REDIS_EXPORTER_TLS_SERVER_KEY_FILE": f"{OWN}/tls.key",
            "REDIS_EXPORTER_TLS_SERVER_MIN_VERSION": "TLS1.3",
        },
        listeners=(Listener("metrics", METRICS_PORT, "https", "server", service=False),),
        mounts=(OWN, EXPORTER),
    )


def _probe(check: str, period: int, failures: int = 3) -> Probe:
    return Probe(command=("/bin/sh", f"{ETC}/probe.sh", check), period=period, timeout=5, failures=failures)


def _files(name: str, spec: RedisSpec, suffix: str, peers: tuple[str, ...]) -> tuple[File, ...]:
    content = {
        "redis.conf": render.render_redis_conf(spec),
        "settings.sh": render.render_settings(name, spec, suffix, peers),
        **scripts("redis", *render.SCRIPTS),
    }
    if spec.replicas > 1:
        content["sentinel.conf"] = render.render_sentinel_conf(name)
    return tuple(File(f"{ETC}/{file}", text) for file, text in sorted(content.items()))


def _secrets(internal: tuple[User, ...], replicated: bool) -> tuple[SecretFile, ...]:
    names = ["users.acl", *(f"{user.name}.password" for user in internal)]
    if replicated:
        names.append("sentinel-users.acl")
    access = (SecretFile(f"{ACCESS}/{name}", name) for name in sorted(names))
    return (*own_files(), *access, SecretFile(f"{EXPORTER}/exporter.json", "exporter.json"))


def _scratch(spec: RedisSpec) -> Scratch:
    """Room for the configuration and for one full copy that a replica receives."""
    return Scratch("data", DATA, f"{bytes_of(spec.resources.memory) // 2**20 + 16}Mi")
