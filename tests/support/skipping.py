"""Skips tests for want of something that no wheel brings, and says how to install it."""

import os
import socket
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.needs import ALL, SKIP_NOTHING, Need, packages


def needs(need: Need) -> pytest.MarkDecorator:
    """Mark tests that cannot run without something."""
    return pytest.mark.skipif(need.find() is None, reason=need.reason)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


# No package brings it: the kernel has it, or was told to leave it out.
needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine's loopback has no IPv6")


def required(need: Need) -> Path:
    """Path of something that a test cannot run without; skips the test where it is missing."""
    found = need.find()
    if found is None:
        pytest.skip(need.reason)
    return found


def summary(reasons: Iterable[str]) -> Iterator[str]:
    """Say how many tests were skipped for want of what, and which command installs it.

    Args:
        reasons: of every skipped test.
    """
    counts = Counter(reasons)
    missing = [need for need in ALL if counts[need.reason]]
    if missing:
        each = ", ".join(f"{need.name} ({counts[need.reason]})" for need in missing)
        total = sum(counts[need.reason] for need in missing)
        yield f"{total} tests were skipped for want of {each}. To install what they need:"
        yield f"sudo apt-get install --no-install-recommends {' '.join(packages(missing))}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where nothing may be skipped."""
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
    """Reason of a skipped test."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)
