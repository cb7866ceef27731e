from collections.abc import Callable

import pytest

from nestling_core.execution.session import open_session
from nestling_core.execution.timing import (
    WARM_UP_RUNS,
    Network,
    TimingError,
    in_turns,
    on_random_inputs,
    run_for,
)
from tests.support.hand_models import integer_model


def test_every_run_after_the_warm_up_is_timed() -> None:
    numbers: list[int] = []

    stretch = run_for(numbers.append, 0.001)

    runs = len(stretch.times_ms)
    assert numbers == [*range(WARM_UP_RUNS), *range(runs)]
    assert (stretch.times_ms > 0).all()
    assert stretch.times_ms.sum() / 1e3 <= stretch.ended_s - stretch.begun_s


def test_network_slower_than_the_time_given_runs_once() -> None:
    assert len(run_for(lambda _: None, 0.0).times_ms) == 1


def test_networks_take_turns_and_are_opened_for_each_turn() -> None:
    opened: list[str] = []

    def opening(name: str) -> Callable[[], Network]:
        def opens() -> Network:
            opened.append(name)
            return lambda _: None

        return opens

    turns = in_turns([opening("a"), opening("b")], seconds=0.002, rounds=2)

    assert [index for index, _ in turns] == [0, 1, 0, 1]
    assert opened == ["a", "b", "a", "b"]


def test_model_of_integers_is_not_timed_on_random_inputs() -> None:
    with pytest.raises(TimingError, match="32-bit floats"):
        on_random_inputs(open_session(integer_model()))
