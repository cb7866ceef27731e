import math
from pathlib import Path

import numpy as np
import pytest

from nestling_device.inference.input_errors import UnanswerableError
from nestling_device.inference.offloader import BadAnswerError
from tests.support.agent_rig import BUDGET, budget, make_rig, routes
from tests.support.hand_bundle import (
    CAPACITIES,
    EASY,
    HARD,
    MEMORY_BYTES,
    hand_bundle,
    template_predicting,
    window,
)


def test_start_and_end_of_drift_are_logged_and_change_no_route(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nestling_device.inference.student")
    rig, keeping = make_rig(tmp_path), budget(offload_share=0.0)
    sure = window(1.0, 1.0, 1.0, 1.0)

    for index in range(50):
        rig.agent.answer(index, HARD, keeping)
    drifting = rig.agent.drifting
    during = rig.agent.answer(0, EASY, keeping)
    for index in range(50):
        rig.agent.answer(index, sure, keeping)

    assert (drifting, rig.agent.drifting) == (True, False)
    assert routes([during]) == [(3, "accepted")]
    assert len(caplog.messages) == 2
    assert "its accuracies do not apply" in caplog.messages[0]
    assert "again" in caplog.messages[1]


def test_drift_is_unknown_when_no_student_ran(tmp_path: Path) -> None:
    rig = make_rig(tmp_path)
    before = rig.agent.drifting
    for index in range(50):
        rig.agent.answer(index, HARD, BUDGET)
    with_student = rig.agent.drifting
    rig.agent.answer(0, HARD, budget(offload_share=1.0))
    without_student = rig.agent.drifting
    rig.agent.answer(0, HARD, BUDGET)

    found = (before, with_student, without_student, rig.agent.drifting)
    assert found == (None, True, None, True)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_input_too_large_for_a_finite_output_is_refused_and_the_next_is_answered(
    tmp_path: Path, share: float
) -> None:
    rig = make_rig(tmp_path, BadAnswerError("not finite in the cloud either"))
    large = np.full((2, 3), 3e38, np.float32)

    with pytest.raises(UnanswerableError, match=r"up to 3e\+38, is too large: .* capacity 3"):
        rig.agent.answer(0, large, budget(offload_share=share))

    assert rig.kept == []
    assert rig.agent.drifting is None
    receipt = rig.agent.answer(1, EASY, budget(offload_share=0))
    assert routes([receipt])[0][0] == CAPACITIES
    assert all(map(math.isfinite, receipt.success))


def test_multiplexer_output_that_is_not_finite_means_no_answer(tmp_path: Path) -> None:
    template = template_predicting("Sqrt", ["predicted"])
    rig = make_rig(tmp_path, held=1, bundle=hand_bundle(template=template))
    small = budget(memory_bytes=MEMORY_BYTES[0])

    with pytest.raises(UnanswerableError, match="the output of capacity 1 is not finite"):
        rig.agent.answer(0, window(-1, 0, 0, 0), small)

    assert rig.kept == []
    assert routes([rig.agent.answer(0, EASY, small)]) == [(1, "accepted")]
