"""Skips tests that lack a program or data set, and reports how to install it."""

import os
import socket
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.needs import ALL, SKIP_NOTHING, Need, packages


def needs(need: Need) -> pytest.MarkDecorator:
    """Mark tests that are skipped without a program or data set."""
    return pytest.mark.skipif(need.find() is None, reason=need.reason)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# No package provides IPv6: it depends on the kernel's configuration.
needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine's loopback has no IPv6")


def required(need: Need) -> Path:
    """Return the path of a program or data set, or skip the test if it is missing."""
    found = need.find()
    if found is None:
        pytest.skip(need.reason)
    return found


def summary(reasons: Iterable[str]) -> Iterator[str]:
    """Yield lines with the number of skipped tests, what they lack and how to install it.

    Args:
        reasons: the reason of every skipped test.
    """
    counts = Counter(reasons)
    missing = [need for need in ALL if counts[need.reason]]
    if missing:
        each = ", ".join(f"{need.name} ({counts[need.reason]})" for need in missing)
        total = sum(counts[need.reason] for need in missing)
        yield f"{total} tests were skipped because they need {each}. To install:"
        yield f"sudo apt-get install --no-install-recommends {' '.join(packages(missing))}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure if NESTLING_TESTS_SKIP_NOTHING is set."""
    report = yield
    if report.skipped and os.environ.get(SKIP_NOTHING) and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though {SKIP_NOTHING} is set: {skip_reason(report)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the summary of skipped tests."""
    skipped = terminalreporter.stats.get("skipped", [])
    lines = list(summary(skip_reason(report) for report in skipped))
    if lines:
        terminalreporter.section("skipped", sep="-")
        for line in lines:
            terminalreporter.write_line(line)


def skip_reason(report: pytest.TestReport) -> str:
    """Return the reason of a skipped test."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)
