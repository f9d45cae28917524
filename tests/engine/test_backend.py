"""State and secrets as teams keep them: a bucket with locking, a key in a key service, two people at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.checkout import Checkout

BUCKET, KEY, REGION = "groundwork-state", "alias/groundwork", "eu-west-1"


@pytest.fixture(scope="module")
def team(checkout: Checkout, monkeypatch_module: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    account = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in account.items():
        monkeypatch_module.setenv(name, value)
    boto3.client("s3", region_name=REGION).create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    key = boto3.client("kms", region_name=REGION).create_key()["KeyMetadata"]["KeyId"]
    boto3.client("kms", region_name=REGION).create_alias(AliasName=KEY, TargetKeyId=key)
    bucket = f"s3://{BUCKET}?region={REGION}&endpoint={host}:{port}&disableSSL=true&s3ForcePathStyle=true"
    provider = f"awskms://{KEY}?region={REGION}"
    yield {**account, "PULUMI_BACKEND_URL": bucket, "GROUNDWORK_SECRETS_PROVIDER": provider}
    server.stop()


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def shared(checkout: Checkout, team: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Another checkout of the same cluster that keeps its state in the bucket."""
    folder: Path = tmp_path_factory.mktemp("team")
    shared = Checkout.copy(folder / "groundwork", checkout.state_home, **team)
    shared.keep("dev", "cache", "demo", "gateway")
    return shared


def test_the_whole_cycle_on_a_bucket_with_a_key_service(shared: Checkout) -> None:
    first, second = shared.start("up", "dev"), shared.start("up", "dev")
    outputs = [process.communicate()[0] for process in (first, second)]
    codes = sorted(process.returncode for process in (first, second))
    assert codes[0] == 0, outputs
    if codes[1] != 0:
        (loser,) = [o for o, p in zip(outputs, (first, second), strict=True) if p.returncode != 0]
        assert "currently locked" in loser or "already exists" in loser, loser

    state = shared.state("dev")
    assert state["secrets_providers"]["type"] == "cloud"
    assert "PRIVATE KEY" not in json.dumps(state)
    unchanged = shared.preview("dev", "--expect-no-changes")
    assert unchanged.returncode == 0, unchanged.stdout + unchanged.stderr

    down = shared.groundwork("down", "dev")
    assert down.returncode == 0, down.stdout + down.stderr
    assert not shared.state("dev").get("resources")
