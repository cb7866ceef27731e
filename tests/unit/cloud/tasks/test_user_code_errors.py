"""Whatever a user's code does, the command says it in one line and goes on or ends cleanly."""

import os
import sys
from collections.abc import Callable

import pytest

from nestling_cloud.recipes.recipe import Recipe, RecipeError
from nestling_cloud.tasks.task import TaskError
from nestling_cloud.tasks.user_code_errors import blamed, users_code
from nestling_core.student.config import conv_student


class Speechless(Exception):  # noqa: N818  as a user might name it
    """Cannot be turned into text."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unexpected(BaseException):
    """Is no Exception."""


def missing() -> None:
    raise FileNotFoundError("no teacher.pt")


def colored() -> None:
    raise ValueError("\x1b[31mbad\x1b[0m value\nwith a second line")


def speechless() -> None:
    raise Speechless


def unexpected() -> None:
    raise Unexpected("out of the blue")


def chained() -> None:
    try:
        missing()
    except FileNotFoundError as err:
        raise LookupError("no weights") from err


def endless() -> None:
    endless()


def broken() -> None:
    compile("def broken(:", __file__, "exec")


def through_nestling() -> None:
    conv_student(channels=(), strides=())


PLACE = r"\(test_user_code_errors\.py, line \d+\)"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (missing, f"FileNotFoundError: no teacher.pt {PLACE}"),
        (colored, f"ValueError: bad value {PLACE}"),
        (speechless, f"Speechless: its message cannot be read {PLACE}"),
        (unexpected, f"Unexpected: out of the blue {PLACE}"),
        (chained, f"LookupError: no weights {PLACE}"),
        (endless, f"RecursionError: maximum recursion depth exceeded.* {PLACE}"),
        (broken, r"SyntaxError: invalid syntax \(test_user_code_errors\.py, line 1\)"),
        (through_nestling, rf"\w+: .* {PLACE}"),
    ],
)
def test_error_is_one_line_with_the_users_last_frame(code: Callable[[], None], words: str) -> None:
    with (
        pytest.raises(TaskError, match=f"^task a: load failed: {words}$"),
        users_code("task a: load", TaskError),
    ):
        code()


def test_place_is_the_users_line_and_not_nestlings() -> None:
    with pytest.raises(TaskError) as caught, users_code("load", TaskError):
        through_nestling()

    line = through_nestling.__code__.co_firstlineno + 1
    assert str(caught.value).endswith(f"(test_user_code_errors.py, line {line})")


def test_error_for_the_user_is_raised_as_it_is() -> None:
    with pytest.raises(TaskError, match=r"^plug in the sensor$"), users_code("load", TaskError):
        raise TaskError("plug in the sensor")


def test_other_errors_of_nestling_get_a_place_where_the_caller_asks_for_it() -> None:
    with pytest.raises(RecipeError), users_code("file", TaskError):
        Recipe(epochs=0)
    with (
        pytest.raises(TaskError, match=f"file failed: RecipeError: .*{PLACE}"),
        users_code("file", TaskError, passing=TaskError),
    ):
        Recipe(epochs=0)


def test_code_that_exits_does_not_end_the_command() -> None:
    with (
        pytest.raises(TaskError, match=rf"load ends the program: SystemExit: 3 {PLACE}; raise an"),
        users_code("load", TaskError),
    ):
        sys.exit(3)


def test_ctrl_c_ends_the_command() -> None:
    with pytest.raises(KeyboardInterrupt), users_code("load", TaskError):
        raise KeyboardInterrupt


def test_prints_of_the_code_leave_standard_output_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with users_code("load", TaskError):
        print("reading 5 files")  # noqa: T201

    assert capsys.readouterr() == ("", "reading 5 files\n")


@pytest.mark.parametrize("fails", [False, True])
def test_process_that_the_code_forks_ends_with_the_code(fails: bool) -> None:
    child = 0
    with users_code("load", TaskError):
        child = os.fork()
        if child == 0 and fails:
            raise ValueError("in the child")

    _, status = os.waitpid(child, 0)  # the child never gets here
    assert os.waitstatus_to_exitcode(status) == 1


def test_error_without_a_frame_of_the_user_has_no_place() -> None:
    assert blamed(ValueError("alone")) == "ValueError: alone"
    assert blamed(ValueError()) == "ValueError"
