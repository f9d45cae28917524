"""Options of the test run, and the time that each part of it took."""

import signal
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SECONDS: dict[str, float] = defaultdict(float)
TESTS: dict[str, set[str]] = defaultdict(set)

# The same inputs in every run, and none refused because the machine has other work.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files anew instead of comparing")


def pytest_configure() -> None:
    """A run in the background ignores these signals, and no shell that it starts could trap them."""
    for told in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(told) is signal.SIG_IGN:
            signal.signal(told, signal.SIG_DFL)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    part = Path(report.nodeid).parts[1].split("::")[0].removesuffix(".py").removeprefix("test_")
    SECONDS[part] += report.duration
    TESTS[part].add(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("time of each part")
    for part, seconds in sorted(SECONDS.items(), key=lambda item: -item[1]):
        terminalreporter.write_line(f"{part:<14}{len(TESTS[part]):>6} tests {seconds:>8.1f} s")
