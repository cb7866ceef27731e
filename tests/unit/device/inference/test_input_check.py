import math
from pathlib import Path

import numpy as np
import pytest

from nestling_device.inference.input_check import Window, check_input
from nestling_device.inference.input_errors import InputError, UnanswerableError
from tests.support.agent_rig import BUDGET, make_rig, routes
from tests.support.hand_bundle import EASY, hand_bundle

MANIFEST = hand_bundle()[0]


def test_input_of_the_tasks_shape_and_type_passes() -> None:
    check_input(EASY, MANIFEST)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (np.zeros((3, 2), np.float32), "takes float32"),
        (np.zeros((1, 2, 3), np.float32), "takes float32"),
        (np.zeros((2, 3), np.float64), "float64"),
    ],
)
def test_input_of_wrong_shape_or_type_is_refused(window: Window, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        check_input(window, MANIFEST)

    assert not isinstance(refused.value, UnanswerableError)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_input_that_is_not_finite_has_no_answer(value: float) -> None:
    with pytest.raises(UnanswerableError, match="not finite"):
        check_input(np.full((2, 3), value, np.float32), MANIFEST)


def test_input_that_does_not_fit_the_task_is_refused_without_a_receipt(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)

    with pytest.raises(InputError, match="takes float32"):
        rig.agent.answer(0, np.zeros((3, 2), np.float32), BUDGET)

    assert rig.kept == []
    assert routes([rig.agent.answer(0, EASY, BUDGET)]) == [(3, "accepted")]
