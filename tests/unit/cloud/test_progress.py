import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from nestling_cloud.progress import ConsoleProgress, SilentProgress


@pytest.mark.parametrize("terminal", [True, False])
def test_items_pass_through(terminal: bool) -> None:
    console = Console(file=io.StringIO(), force_terminal=terminal)

    assert list(ConsoleProgress(console).track(range(5), 5, "teacher")) == [0, 1, 2, 3, 4]


def test_output_that_is_no_terminal_gets_one_plain_line() -> None:
    text = io.StringIO()

    list(ConsoleProgress(Console(file=text)).track(range(5), 5, "teacher"))

    assert text.getvalue() == "teacher\n"


def test_terminal_shows_the_step_beside_its_bar() -> None:
    text = io.StringIO()

    list(ConsoleProgress(Console(file=text, force_terminal=True)).track(range(5), 5, "teacher"))

    assert "teacher" in text.getvalue()
    assert "100%" in text.getvalue()


def test_silent_progress_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert list(SilentProgress().track("abc", 3, "teacher")) == ["a", "b", "c"]

    assert capfd.readouterr() == ("", "")


def test_interrupted_step_ends_its_bar() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    progress = ConsoleProgress(console)

    with pytest.raises(KeyboardInterrupt):
        for _ in progress.track(_interrupted(), 5, "teacher"):
            pass

    # rich would refuse a second bar while the first one is still running.
    assert list(progress.track(range(2), 2, "student")) == [0, 1]


def _interrupted() -> Iterator[int]:
    yield 1
    raise KeyboardInterrupt
