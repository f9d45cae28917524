"""Each service used as its consumer does: with the settings that the app received, from the app's own place."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import certifi
import httpx
import pytest

from tests.live import clients, usage
from tests.live.consumer import Consumer
from tests.live.environment import BROKERS, DOCKER, HOST, MAIN, NODE, Live

TARGETS = (DOCKER, NODE)
COUNTING = ("postgres", "cache", "queue", "bus")
"""Services that count by themselves; what goes to others, each instance of the app counts."""
REFUSALS = {
    DOCKER: {
        "certificate": "alert certificate required",
        "database": "login rejected",
        "user": "login rejected",
        "TLS": "SSL required",
        "name": "does not match host name",
    },
    NODE: {
        "password": "SASL authentication failed",
        "certificate": "alert certificate required",
        "database": "login rejected",
        "user": "no such user",
        "TLS": "SSL required",
        "name": "does not match host name",
    },
}
"""What the pooler says to whoever lacks something. Beside a single server it asks for no password."""


@pytest.fixture(scope="module")
def app(live: Live) -> Iterator[Consumer]:
    with Consumer(live.process("api-0", "app").pid) as consumer:
        yield consumer


@pytest.fixture
def word() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize("service", ["postgres"])
def test_an_app_uses_its_database(app: Consumer, service: str, word: str) -> None:
    assert app.call(usage.postgres_round_trip, word) == {"read": word, "user": "api", "tls": True}


@pytest.mark.parametrize("service", ["postgres"])
def test_a_variable_ends_with_its_transaction(app: Consumer, service: str, word: str) -> None:
    """Clients share connections to the server: the tenant of one would be the tenant of the next."""
    assert app.call(usage.postgres_rows_of_a_tenant, word) == {"named": 1, "other": 0, "later": 0}


@pytest.mark.parametrize("service", ["postgres"])
def test_postgres_refuses_whoever_lacks_something(live: Live, app: Consumer, service: str) -> None:
    reasons = REFUSALS[live.deployment.target]
    found = app.call(usage.postgres_refusals, list(reasons))
    assert {lack: text for lack, text in found.items() if reasons[lack] not in text} == {}


@pytest.mark.parametrize("service", ["postgres"])
def test_an_app_is_no_operator_of_its_database(app: Consumer, service: str) -> None:
    found = app.call(usage.postgres_powers)
    assert {statement: text for statement, text in found.items() if "permission denied" not in text} == {}


@pytest.mark.parametrize("service", ["cache", "queue"])
def test_an_app_uses_its_redis(app: Consumer, service: str, word: str) -> None:
    found = app.call(usage.redis_round_trip, service, word)
    assert (found["read"], found["role"]) == (word, "master")
    assert 0 < found["seconds"] <= 60


@pytest.mark.parametrize("service", ["queue"])
def test_a_worker_takes_the_jobs_of_an_app(live: Live, app: Consumer, service: str, word: str) -> None:
    app.call(usage.redis_put, service, word)
    with Consumer(live.process("worker-0", "app").pid) as worker:
        assert worker.call(usage.redis_take, service, word) == word


@pytest.mark.parametrize("service", ["cache", "queue"])
def test_redis_refuses_whoever_lacks_something(app: Consumer, service: str) -> None:
    found = app.call(usage.redis_refusals, service)
    # Each library has its own words for a connection that is closed during its first words.
    assert found.pop("certificate")
    reasons = {"password": "invalid username-password pair", "user": "invalid username-password pair"}
    assert {lack: text for lack, text in found.items() if reasons.get(lack, "no permissions") not in text} == {}


@pytest.mark.stages(MAIN, BROKERS)
@pytest.mark.parametrize("service", ["api"])
def test_the_app_is_ready_through_the_gateway(live: Live, service: str) -> None:
    """It answers from what it wrote to each service and read back, and no answer is like another."""
    with clients.gateway(HOST, live.port, str(live.ca_file), live.address) as client:
        answers = [client.get("/ready") for _ in range(2)]
    used, seen = live.inventory[service]["uses"], list[dict[str, Any]]()
    for answer in answers:
        assert answer.status_code == 200, answer.text
        checks = {check["service"]: check for check in answer.json()["checks"]}
        assert set(checks) == set(used)
        for check in checks.values():
            assert check["ok"]
            assert check["trip"]["read"] == check["trip"]["written"]
        seen.append({service: check["trip"]["read"] for service, check in checks.items()})
    for name in used:
        assert seen[0][name]["nonce"] != seen[1][name]["nonce"]
    for name in set(used) & set(COUNTING):
        assert seen[0][name]["counter"] < seen[1][name]["counter"]


@pytest.mark.parametrize("service", ["gateway"])
def test_the_gateway_proves_its_name_and_no_other(live: Live, service: str) -> None:
    with (
        clients.gateway("elsewhere.localhost", live.port, None, live.address) as client,
        pytest.raises(httpx.ConnectError),
    ):
        client.get("/ready")
    with clients.gateway(HOST, live.port, certifi.where(), live.address) as client, pytest.raises(httpx.ConnectError):
        client.get("/ready")
    with clients.gateway(HOST, live.port, str(live.ca_file), live.address) as client:
        assert client.get("/ready").status_code == 200
