"""An `up` that is killed in its middle, with all that it has started: the next one finishes what it began, once."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import redis

from tests.live.conftest import NAME
from tests.live.consumer import Consumer
from tests.live.deployment import HOLDER, Process
from tests.live.environment import Live, Say
from tests.live.failing import APP
from tests.live.small import STORES, configure, lost, small, written
from tests.live.writers import Tally
from tests.live.written import Queue, Service, stored
from tests.support.checkout import kill_all
from toolchain import docker_engine, docker_files, docker_remains
from toolchain.waiting import wait_until

PATIENCE_SECONDS = 300


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, say: Say, host: str) -> Iterator[Live]:
    """An environment that is not up yet; at the end nothing of it is left."""
    environment = small(f"{NAME}-killed", tmp_path_factory.mktemp("killed"), host, say)
    try:
        yield environment
    finally:
        environment.down()


def test_a_first_up_killed_twice_is_finished_by_the_next(environment: Live) -> None:
    for number in (1, 12):
        killed(environment, partial(there_are, environment, number))
    settled(environment)


def test_a_killed_change_is_finished_by_the_next(environment: Live) -> None:
    tallies = {store: written(environment, store) for store in STORES}
    configure(environment.checkout, environment.name, generation=2)
    killed(environment, partial(others_run, environment, running(environment)))
    settled(environment)
    assert lost(environment, tallies) == dict.fromkeys(STORES, 0)


def test_who_shared_the_network_of_a_container_that_died_is_restarted_by_the_next_up(environment: Live) -> None:
    former = sandbox(environment, "queue-0")
    assert former
    tallies: dict[type[Service], Tally] = {Queue: written(environment, Queue)}
    former.kill()
    wait_until("its restart", PATIENCE_SECONDS, lambda: sandbox(environment, "queue-0") not in (None, former), str)
    with Consumer(environment.process(*APP).pid) as app, pytest.raises(redis.ConnectionError):
        app.call(stored, Queue)
    environment.up()
    assert lost(environment, tallies) == {Queue: 0}


def test_an_engine_that_dies_during_an_up_comes_back_with_the_next(
    environment: Live, host: str, idle: bool, say: Say
) -> None:
    if host != docker_files.url() or not idle:
        pytest.skip("the engine is not these tests' own: it is not the toolchain's, or it ran before they began")
    tallies = {store: written(environment, store) for store in STORES}
    configure(environment.checkout, environment.name, generation=3)
    engine = docker_remains.engine(docker_files.folder())
    assert engine is not None
    change = begun(environment, partial(others_run, environment, running(environment)))
    os.kill(engine, signal.SIGKILL)
    assert change.wait(PATIENCE_SECONDS) != 0
    docker_engine.start(say)
    settled(environment)
    assert lost(environment, tallies) == dict.fromkeys(STORES, 0)
    # Docker counts the mounts of a volume wrongly after a crash, and would not remove it until it is started properly.
    docker_engine.stop(say)
    docker_engine.start(say)


def killed(environment: Live, moment: Callable[[], bool]) -> None:
    """Begin an `up` and kill it once the moment has come, before it has finished."""
    kill_all(begun(environment, moment))


def begun(environment: Live, moment: Callable[[], bool]) -> subprocess.Popen[str]:
    """Begin an `up`, and return once the moment has come and it has not finished."""
    process = environment.checkout.start("up", environment.name)
    assert process.stdout is not None
    # It must not have to wait until somebody reads what it says.
    said: list[str] = []
    threading.Thread(target=said.extend, args=(process.stdout,), daemon=True).start()
    try:
        wait_until("the moment", PATIENCE_SECONDS, lambda: moment() or process.poll() is not None, str)
        assert process.poll() is None, "it ended before it could be killed:\n" + "".join(said[-20:])
    except BaseException:
        kill_all(process)
        raise
    return process


def settled(environment: Live) -> None:
    """Bring it up; then state and engine know the same objects, and there is nothing left to do."""
    environment.up()
    state = environment.checkout.state(environment.name)
    urns = [resource["urn"] for resource in state["resources"]]
    assert not state.get("pending_operations")
    assert len(urns) == len(set(urns))
    known = [resource["id"] for resource in state["resources"] if resource["type"].startswith("docker:index/")]
    there = [name.split()[1] for name in environment.deployment.remains()]
    assert there
    assert [name for name in there if not any(identity.startswith(name) for identity in known)] == []
    again = environment.checkout.groundwork("up", environment.name)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Nothing to do" in again.stdout


def sandbox(environment: Live, instance: str) -> Process | None:
    """What holds the network of an instance now."""
    found = (p for p in environment.deployment.processes() if (p.instance, p.container) == (instance, HOLDER))
    return next(found, None)


def there_are(environment: Live, number: int) -> bool:
    """Whether so many of its objects exist."""
    return len(environment.deployment.remains()) >= number


def running(environment: Live) -> set[int]:
    """Numbers of its processes."""
    return {process.pid for process in environment.processes()}


def others_run(environment: Live, before: set[int]) -> bool:
    """Whether a process has ended or begun."""
    return running(environment) != before
