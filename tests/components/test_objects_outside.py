"""A bucket outside of the environment: where it is, what its consumers get, and what a real S3 server says to them."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from components.core.backups.carrying import carrier_settings, render_settings
from components.core.bindings import Binding
from components.core.changes import refusals
from components.core.scripting import scripts
from components.core.types import bytes_of
from components.objects import Objects, ObjectsSpec, outside
from policies.kit.wire import SECRET, SIGNATURE
from stacks.config import parse
from tests.components.test_redis_server import write_certificate
from tests.support.objects import existing_of, spec_of
from tests.support.recording import Recorded, record

OUTSIDE = {"bucket": "acme-media", "region": "eu-west-1", "credentials": "media"}
STORE: dict[str, Any] = {"kind": "objects", "purpose": "Media", "existing": OUTSIDE}
SERVICES: dict[str, Any] = {
    "media": STORE,
    "api": {"kind": "app", "image": "registry.example/api:1.4.2", "uses": ["media"]},
    "queue": {"kind": "redis", "role": "queue", "storage": "4Gi", "replicas": 1, "backup": {"to": "media"}},
}
PLACE = {"region": "eu-central-1", "zones": 3, "residency": ["eu-central-1", "eu-west-1"]}
ENVIRONMENT = {"profile": "prod", "cluster": "embedded", "placement": PLACE, "owner": "team-platform"}
ADDRESSES: tuple[tuple[dict[str, str], str, int, str], ...] = (
    ({}, "https://s3.eu-west-1.amazonaws.com", 443, "virtual"),
    ({"bucket": "acme.media"}, "https://s3.eu-west-1.amazonaws.com", 443, "path"),
    ({"region": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn", 443, "virtual"),
    ({"endpoint": "https://s3.example.com"}, "https://s3.example.com", 443, "path"),
    (
        {"endpoint": "https://s3.example.com:9000", "addressing": "virtual"},
        "https://s3.example.com:9000",
        9000,
        "virtual",
    ),
)


@pytest.mark.parametrize(("fields", "address", "port", "style"), ADDRESSES)
def test_an_address_follows_from_region_and_endpoint(
    fields: dict[str, str], address: str, port: int, style: str
) -> None:
    existing = existing_of(**fields)
    assert (existing.address, existing.port, existing.style) == (address, port, style)
    endpoint = outside.endpoint_of("media", existing)
    assert (endpoint.host, endpoint.port, endpoint.tls) == (existing.host, port, "server")
    assert outside.reach_of("media", existing).ports == (port,)


def test_each_consumer_has_a_folder_of_its_own() -> None:
    assert outside.settings_of(existing_of(), "prod", "api")["PREFIX"] == "prod/api/"
    assert outside.settings_of(existing_of(prefix="acme/files"), "prod", "worker")["PREFIX"] == "acme/files/worker/"


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Any], list[Recorded], dict[str, Any]]:
    platform, recorded = record(parse("test", ENVIRONMENT, SERVICES))
    return {row["name"]: row for row in platform.inventory()}, recorded, platform.components


def test_nothing_is_made_for_it_and_its_facts_say_where_it_is(made: Any) -> None:
    rows, recorded, components = made
    facts = rows["media"]
    assert (facts["region"], facts["replicas"], facts["version"], facts["listeners"]) == ("eu-west-1", 0, "", [])
    assert facts["existing"] == {"address": "https://s3.eu-west-1.amazonaws.com", "bucket": "acme-media"}
    assert (facts["stateful"], facts["growing"]) == (False, {})
    assert components["media"].endpoints() == ()
    assert [r.type for r in recorded if r.name.startswith("media")] == ["groundwork:data:Objects"]


def test_a_consumer_gets_the_key_pair_as_secret_files_and_nobody_else_anything(made: Any) -> None:
    _, recorded, components = made
    binding = components["media"].bind("api")
    assert binding is components["media"].bind("api")
    assert set(binding.files) == {"access_key_id", "secret_access_key"}
    with pytest.raises(KeyError):
        components["media"].bind("stranger")
    (secret,) = [r.manifest["data"] for r in recorded if r.manifest and r.name == "api-secret"]
    assert secret[SIGNATURE] == SECRET
    assert {"media.access_key_id", "media.secret_access_key"} <= set(secret["value"])


def test_roots_that_are_given_are_a_file_of_its_consumers() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    platform, _ = record(
        parse("test", ENVIRONMENT, {**SERVICES, "media": {**STORE, "existing": {**OUTSIDE, "ca": pem}}})
    )
    assert platform.components["media"].bind("api").files["ca.crt"] == pem


def test_backups_go_there_too(made: Any) -> None:
    rows, recorded, _ = made
    backup = rows["queue"]["backup"]
    assert (backup["target"], backup["region"], backup["encryption"]) == ("media", "eu-west-1", "client")
    objects = {r.name: r.manifest for r in recorded if r.manifest}
    settings = dict(
        line.split("=", 1) for line in objects["queue-backup-config"]["data"]["backup-settings.sh"].splitlines()
    )
    assert settings["URL"] == "'https://acme-media.s3.eu-west-1.amazonaws.com'"
    assert settings["PREFIX"] == "'test/queue-backup/queue/'"
    ways = [(rule["to"], [port["port"] for port in rule["ports"]]) for rule in egress(objects["queue-backup-network"])]
    assert ([{"ipBlock": {"cidr": "0.0.0.0/0"}}], [443]) in ways


def egress(policy: dict[str, Any]) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = policy["spec"]["egress"]
    return rules


def test_a_server_with_data_does_not_become_a_bucket_outside() -> None:
    deployed = {"kind": "objects", "stateful": True, "version": "1.8.0", "growing": {"storage": "10Gi"}}
    (refusal,) = refusals(deployed, "objects", "", Objects.kept(ObjectsSpec.model_validate(STORE)))
    assert "no longer keeps its data" in refusal.text
    assert list(refusals({**deployed, "stateful": False, "growing": {}}, "objects", "", Objects.kept(spec_of()))) == []


class Bucket:
    """A bucket of a real S3 server that checks certificates' names, keys and signatures."""

    def __init__(self, root: Path, port: int, keys: dict[str, str]) -> None:
        self.root = root
        self.existing = existing_of(endpoint=f"https://localhost:{port}")
        self.keys = keys

    def run(self, commands: str, **changed: str) -> subprocess.CompletedProcess[str]:
        """Functions of the carrier, which has the files of the binding; `changed`: files with another content."""
        settings = outside.settings_of(self.existing, "test", "queue-backup")
        binding = Binding(outside.endpoint_of("media", self.existing), settings)
        run = self.root / "run"
        for folder in ("etc", "store", "run", "staging"):
            (self.root / folder).mkdir(exist_ok=True)
        ca = (self.root / "ca.crt").read_text()
        for name, content in {**self.keys, "ca.crt": ca, **changed}.items():
            (self.root / "store" / name).write_text(content)
        given = {**carrier_settings("queue", binding, "media"), "STORE": str(self.root / "store")}
        script = (
            scripts("core", "carrier.sh")["carrier.sh"]
            .partition("until list set/")[0]
            .replace("/run/carrier", str(run))
        )
        files = {
            "backup-settings.sh": render_settings({**given, "STAGING": str(self.root / "staging")}),
            **scripts("core", "backup.sh"),
            "carrier.sh": f"{script}{commands}\n",
        }
        for name, content in files.items():
            (self.root / "etc" / name).write_text(content)
        return subprocess.run(
            ["sh", self.root / "etc" / "carrier.sh"],
            env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    import boto3
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    root = tmp_path_factory.mktemp("bucket")
    write_certificate(root)
    pair = (str(root / "tls.crt"), str(root / "tls.key"))
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True, ssl_context=pair)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"https://localhost:{server.server_port}"
    account: dict[str, Any] = {
        "endpoint_url": address, "region_name": OUTSIDE["region"], "verify": pair[0],
        "aws_access_key_id": "test", "aws_secret_access_key": "test",
    }  # fmt: skip
    boto3.client("s3", **account).create_bucket(
        Bucket=OUTSIDE["bucket"], CreateBucketConfiguration={"LocationConstraint": OUTSIDE["region"]}
    )
    iam = boto3.client("iam", **account)
    iam.create_user(UserName="media")
    rights = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
    iam.put_user_policy(UserName="media", PolicyName="media", PolicyDocument=rights)
    made = iam.create_access_key(UserName="media")["AccessKey"]
    keys = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
    yield Bucket(root, server.server_port, keys)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def strict(bucket: Bucket) -> Iterator[Bucket]:
    """The bucket while signatures are checked. curl before 8.0 signs only what has a body as S3 asks for."""
    expect_signatures(bucket, "0")
    yield bucket
    expect_signatures(bucket, "inf")


def expect_signatures(bucket: Bucket, after: str) -> None:
    """Have them checked after so many requests. moto documentation, "IAM-like Access Control"."""
    address, plain = f"{bucket.existing.address}/moto-api/reset-auth", {"Content-Type": "text/plain"}
    request = Request(address, data=after.encode(), headers=plain, method="POST")
    urlopen(request, context=ssl.create_default_context(cafile=bucket.root / "ca.crt")).close()


def test_what_is_carried_comes_back_page_by_page(bucket: Bucket) -> None:
    size = bytes_of("1Mi")
    (bucket.root / "large").write_bytes(os.urandom(size))
    sent = " && ".join(
        f"send set/{name}/whole {bucket.root}/large" for name in ("20261101T020000Z", "20261102T020000Z")
    )
    done = bucket.run(f"{sent} && sets && receive set/20261101T020000Z/whole {bucket.root}/back")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["20261101T020000Z", "20261102T020000Z"]
    assert (bucket.root / "back").read_bytes() == (bucket.root / "large").read_bytes()
    gone = "s3 ${PREFIX}set/20261101T020000Z/whole --fail --output /dev/null --request DELETE"
    done = bucket.run(f"{gone} && sets; receive set/20261101T020000Z/whole {bucket.root}/back; echo $?")
    assert done.stdout.split() == ["20261102T020000Z", "4"]


def test_the_key_pair_signs_what_is_sent_and_a_wrong_one_is_refused(strict: Bucket) -> None:
    (strict.root / "small").write_text("content")
    done = strict.run(f"send one {strict.root}/small")
    assert (done.returncode, done.stderr) == (0, "")
    done = strict.run(f"send one {strict.root}/small", secret_access_key="wrong")
    assert done.returncode != 0
    assert "403" in done.stderr


def test_a_server_that_others_vouch_for_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    write_certificate(tmp_path)
    done = bucket.run("list set/", **{"ca.crt": (tmp_path / "ca.crt").read_text()})
    assert done.returncode != 0
    assert "certificate" in done.stderr
