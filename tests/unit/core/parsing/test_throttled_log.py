import logging

import pytest

from nestling_core.parsing.throttled_log import ThrottledLog, fewer_repeats

LOG = logging.getLogger("test")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_thousands_of_messages_make_a_few_short_lines_with_their_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    throttled = ThrottledLog(LOG, clock=Clock())

    for number in range(1500):
        throttled.add("NDATA", f"pi-{number}", ValueError("no\npayload " + "x" * 10_000))

    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" from")[0].partition(": ")[2] for line in lines] == [
        "one",
        "10 so far, the last",
        "100 so far, the last",
        "1,000 so far, the last",
    ]
    assert "'pi-999': no payload xxx" in lines[-1]
    assert max(map(len, lines)) < 400
    assert not any("\n" in line for line in lines)


def test_kinds_are_counted_separately(caplog: pytest.LogCaptureFixture) -> None:
    throttled = ThrottledLog(LOG, clock=Clock())

    for kind in ("NDATA", "NBIRTH"):
        throttled.add(kind, "pi-1", "no payload")

    assert len(caplog.records) == 2


def test_continuing_messages_are_logged_again_after_ten_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    throttled = ThrottledLog(LOG, clock=clock)
    throttled.add("NDATA", "pi-1", "no payload")
    throttled.add("NDATA", "pi-1", "no payload")

    clock.now_s += 600
    throttled.add("NDATA", "pi-2", "no payload")

    assert caplog.records[-1].getMessage() == (
        "dropped data that is not readable as NDATA: 3 so far, the last from 'pi-2': no payload"
    )
    assert len(caplog.records) == 2


def test_repeated_warnings_of_a_library_are_throttled_and_its_errors_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    library = logging.getLogger("test.library")
    with fewer_repeats(library):
        for number in range(150):
            library.warning("request %d is broken", number)
            library.error("this is our fault")
    library.warning("request %d is broken", 150)

    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == [
        "request 0 is broken",
        "request 9 is broken (10 so far)",
        "request 99 is broken (100 so far)",
        "request 150 is broken",
    ]
    assert len(caplog.records) == 150 + len(warnings)
