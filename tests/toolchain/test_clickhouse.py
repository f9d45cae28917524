"""The programs of the image that stands for ClickHouse's: what they make of what the original's were given."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from components.clickhouse.secrets import render_secrets
from tests.support.clickhouse import plan_of
from tests.support.site import contents
from toolchain.clickhouse.client import statements
from toolchain.clickhouse.configuration import (
    NotHere,
    engine_settings,
    haproxy_settings,
    resolved,
    signers,
)

SECRET = "f" * 64


def settings_of(**fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a server is given, and its users, with secrets in their place."""
    files = contents(plan_of("api", **fields).servers[0])
    included = {one.tag: one.text or "" for one in ET.fromstring(render_secrets({"api": "word"}, ""))}
    server, users = (json.loads(files[name]) for name in ("clickhouse.yaml", "clickhouse-users.yaml"))
    return resolved(server, included, {}), resolved(users, included, {})


def engine_of(**fields: Any) -> ET.Element:
    """The settings of the engine."""
    return ET.fromstring(engine_settings(*settings_of(**fields), SECRET))


def test_the_engine_listens_to_this_container_alone() -> None:
    found = engine_of()
    assert found.findtext("listen_host") == "127.0.0.1"
    assert [one.tag for one in found if one.tag.endswith("_port")] == ["http_port", "tcp_port"]
    assert found.find("openSSL") is None


def test_every_user_has_its_password_and_rights() -> None:
    users = engine_of().find("users")
    assert users is not None
    passwords = {user.tag: user.findtext("password_sha256_hex") or user.findtext("password") for user in users}
    assert passwords["gw_schema"] == SECRET
    assert re.fullmatch(r"[0-9a-f]{64}", passwords["api"] or "")
    assert passwords["api"] != SECRET
    assert users.findtext("api/grants/query") == "GRANT ALL ON `api`.*"


def test_who_needs_no_password_has_no_right_to_data() -> None:
    users = engine_of().find("users")
    assert users is not None
    without = [user for user in users if not (user.findtext("password") or user.findtext("password_sha256_hex"))]
    assert [user.tag for user in without] == ["default"]
    assert [grant.text for grant in without[0].findall("grants/query")] == ["GRANT SYSTEM LISTEN ON *.*"]


def test_limits_are_as_they_were_given() -> None:
    found = engine_of(profiles={"few": {"max_threads": 3}}, users={"api": {"profile": "few"}})
    assert found.findtext("profiles/few/max_threads") == "3"
    assert found.findtext("users/api/profile") == "few"
    assert found.findtext("query_log/table") == "query_log"
    assert found.findtext("max_concurrent_queries") == "100"


@pytest.mark.parametrize("fields", [{"replicas": 2}, {"replicas": 2, "shards": 2}])
def test_servers_that_need_others_are_refused(fields: dict[str, Any]) -> None:
    server = json.loads(contents(plan_of("api", **fields).servers[0])["clickhouse.yaml"])
    with pytest.raises(NotHere, match=r"zookeeper, remote_servers.*set replicas: 1, or make the registry"):
        engine_settings(server, {"users": {}, "profiles": {}, "quotas": {}}, SECRET)


def test_a_keeper_is_refused() -> None:
    keeper = plan_of("api", replicas=2).keeper
    assert keeper
    with pytest.raises(NotHere, match="keeper_server"):
        engine_settings(json.loads(contents(keeper)["clickhouse-keeper.yaml"]), {}, SECRET)


def test_tls_and_certificates_are_asked_for_on_both_ports() -> None:
    server, users = settings_of()
    text = haproxy_settings(server, signers(users["users"]), SECRET)
    binds = {line.split()[1]: line for line in text.splitlines() if line.strip().startswith("bind ")}
    assert set(binds) == {"*:8443", "*:9440", "*:9363"}
    assert all(" ssl crt /run/groundwork/tls/tls.crt ssl-min-ver TLSv1.3" in line for line in binds.values())
    asked = {port for port, line in binds.items() if "ca-file /run/groundwork/tls/ca.crt verify required" in line}
    assert asked == {"*:8443", "*:9440"}


def test_a_certificate_stands_for_the_one_user_that_has_it_from_where_it_may_come() -> None:
    server, users = settings_of()
    lines = haproxy_settings(server, signers(users["users"]), SECRET).splitlines()
    secret = [line.strip() for line in lines if SECRET in line]
    signed = (
        "signed { req.hdr(X-ClickHouse-User) -m str gw_schema } { ssl_c_s_dn(cn) -m str store.groundwork-test.svc }"
    )
    assert secret == [f"http-request set-header X-ClickHouse-Key {SECRET} if {signed} {{ src 127.0.0.1 ::1 }}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1;\nSELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 'a;b', `c;d`, \"e;f\"; SELECT 2;", ["SELECT 'a;b', `c;d`, \"e;f\"", "SELECT 2"]),
        (r"SELECT 'it\'s; one'; SELECT 'it''s; one'", [r"SELECT 'it\'s; one'", "SELECT 'it''s; one'"]),
        ("-- one; word\nSELECT 5 - -3; -- last", ["SELECT 5 - -3"]),
        ("", []),
    ],
)
def test_statements_are_parted_where_they_end(text: str, expected: list[str]) -> None:
    assert list(filter(None, statements(text))) == expected


def test_the_statements_of_a_schema_are_all_of_it() -> None:
    schema = contents(plan_of("api").servers[0])["schema.sql"]
    assert [f"{statement};" for statement in statements(schema) if statement] == schema.splitlines()
