import logging

import pytest

from nestling_core.parsing.throttled_log import ThrottledLog, fewer_repeats

LOG = logging.getLogger("test")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_thousands_of_messages_make_a_handful_of_short_lines_with_their_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    complaints = ThrottledLog(LOG, clock=Clock())

    for number in range(1500):
        complaints.add("NDATA", f"pi-{number}", ValueError("no\npayload " + "x" * 10_000))

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


def test_kinds_are_counted_apart(caplog: pytest.LogCaptureFixture) -> None:
    complaints = ThrottledLog(LOG, clock=Clock())

    for kind in ("NDATA", "NBIRTH"):
        complaints.add(kind, "pi-1", "no payload")

    assert len(caplog.records) == 2


def test_what_goes_on_is_told_again_after_a_while(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    complaints = ThrottledLog(LOG, clock=clock)
    complaints.add("NDATA", "pi-1", "no payload")
    complaints.add("NDATA", "pi-1", "no payload")

    clock.now_s += 600
    complaints.add("NDATA", "pi-2", "no payload")

    assert caplog.records[-1].getMessage() == (
        "dropped what cannot be read as NDATA: 3 so far, the last from 'pi-2': no payload"
    )
    assert len(caplog.records) == 2


def test_library_that_repeats_a_warning_is_cut_short_and_its_errors_are_not(
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
