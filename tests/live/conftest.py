"""One running environment for all live tests, and the table of what they have proved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.consumer import Consumer
from tests.live.environment import BROKERS, DOCKER, MAIN, NODE, Live, Say, brought_up, engine, prepare, stage_of
from tests.live.environment_node import prepare_node
from tests.live.failing import APP
from tests.live.table import Table
from tests.support.checkout import ROOT
from tests.support.machine import no_containers
from toolchain import docker_engine
from toolchain.errors import ToolchainError
from toolchain.node import machine

NAME = os.environ.get("GROUNDWORK_LIVE", "live")
"""Name of the environment; another one where two runs share an engine."""
CHOSEN = os.environ.get("GROUNDWORK_LIVE_TARGET", "both")
"""The target to prove things on: docker, node or both, one after the other."""
TABLE = pytest.StashKey[Table]()


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    """Prints progress at once, though pytest captures output."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(line, flush=True)

    return write


@pytest.fixture(scope="session")
def ready() -> None:
    """This machine can show it."""
    if no_containers():
        pytest.skip(no_containers())
    if not (ROOT / ".venv").exists():
        pytest.fail("the toolchain is not installed; run `make toolchain`")


@pytest.fixture(scope="session")
def idle() -> bool:
    """Whether the toolchain's engine did not run before, so that nobody else's containers are on it."""
    return docker_engine.state() != docker_engine.RUNNING


@pytest.fixture(scope="session")
def host(ready: None, idle: bool, say: Say) -> Iterator[str]:
    """Address of the engine."""
    say("")
    with engine(say) as host:
        yield host


@pytest.fixture(scope="session")
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, say: Say, ready: None
) -> Iterator[Live]:
    """The environment of environment.yaml, brought up by `groundwork up`; at the end nothing of it is left.

    One at a time: the next target's begins once this one's is gone.
    """
    folder = tmp_path_factory.mktemp("-".join(request.param))
    target, stage = request.param
    if target == DOCKER:
        environment = prepare(NAME, folder, request.getfixturevalue("host"), say, stage)
    else:
        try:
            machine.require()
        except ToolchainError as error:
            pytest.skip(str(error))
        say("")
        environment = prepare_node(NAME, folder, say, stage)
    with brought_up(environment):
        yield environment


@pytest.fixture
def app(live: Live) -> Iterator[Consumer]:
    """The place of the app, as it is at the beginning of a test."""
    with Consumer(live.process(*APP).pid) as app:
        yield app


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test proves what it does on the targets of its mark, else on its module's TARGETS, else on Docker.

    And in the environments of its mark, else in the one that its service is looked at in, else in the main one.
    """
    if "live" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("targets")
        targets = mark.args if mark else getattr(metafunc.module, "TARGETS", (DOCKER,))
        stages = [stage for stage in (MAIN, BROKERS) if stage in _stages(metafunc.definition)]
        places = [(target, stage) for target in targets for stage in stages]
        metafunc.parametrize("live", places, ids="-".join, indirect=True, scope="session")


def _stages(item: Any) -> tuple[str, ...]:
    mark = item.get_closest_marker("stages")
    parametrized = any("service" in one.args[0] for one in item.iter_markers("parametrize"))
    return mark.args if mark else (MAIN, BROKERS) if parametrized else (MAIN,)


def _is_looked_at(item: pytest.Item, stage: str) -> bool:
    """Whether the service that a test is about has its proofs in this environment."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return item.get_closest_marker("stages") is not None or stage_of(parameters.get("service", "")) == stage


def _turn(item: pytest.Item) -> tuple[bool, bool, bool]:
    """Tests that bring up environments of their own come first: two at once would compete for the processors, and an
    engine that is killed would take the others' containers with it."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    target, stage = parameters.get("live", (DOCKER, MAIN))
    return "live" in parameters, target == NODE, stage == BROKERS


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Each test says what it proves, where, and of which service; its report carries that on."""
    others: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        if item.path.parent.name == "live":
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            target, stage = parameters.get("live", (DOCKER, MAIN))
            item.user_properties.append(("service", parameters.get("service", "environment")))
            item.user_properties.append(("target", target))
            item.user_properties.append(("proof", item.path.stem.removeprefix("test_").removesuffix("_node")))
            item.add_marker("live")
            others[CHOSEN in (target, "both") and _is_looked_at(item, stage)].append(item)
    if others[False]:
        config.hook.pytest_deselected(items=others[False])
    chosen = sorted(others[True], key=_turn)
    items[:] = [item for item in items if item.path.parent.name != "live"] + chosen


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    item.config.stash[TABLE].add(outcome.get_result())  # type: ignore[attr-defined]


def pytest_terminal_summary(config: pytest.Config) -> None:
    config.stash[TABLE].print(config.get_terminal_writer().fullwidth)
