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
    UNSURE,
    calibration,
    hand_bundle,
    template_predicting,
    window,
)


def certifying(risk: float) -> bytes:
    """Return a calibration with one certified risk, at thresholds above those of share 0.5."""
    made = calibration()
    for curve in made.curves:
        curve.certified.add(risk=risk, delta=0.1, gate_threshold=0.9, accept_threshold=0.5)
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("tolerated", "expected"),
    [
        # no risk tolerated: a share of 0.5 applies
        (0.0, [(3, "accepted"), (0, "escalated"), (0, "escalated")]),
        (0.01, [(0, "gated")] * 3),  # not certified: every input is sent
        (0.05, [(3, "accepted"), (3, "accepted"), (0, "escalated")]),
        (0.5, [(3, "accepted"), (3, "accepted"), (0, "escalated")]),
    ],
)
def test_tolerated_risk_uses_certified_thresholds(
    tmp_path: Path, tolerated: float, expected: list[tuple[int, str]]
) -> None:
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=certifying(0.05)))

    found = [
        rig.agent.answer(n, given_window, budget(tolerated_risk=tolerated))
        for n, given_window in enumerate((EASY, UNSURE, HARD))
    ]

    assert routes(found) == expected


def test_risk_guarantee_is_suspended_while_inputs_drift(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nestling_device.inference.student")
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=certifying(0.05)))
    tolerant, sure = budget(tolerated_risk=0.05), window(1.0, 1.0, 1.0, 1.0)

    before = rig.agent.answer(0, EASY, tolerant)
    for index in range(50):
        rig.agent.answer(index, HARD, tolerant)
    drifting = rig.agent.drifting
    during = [rig.agent.answer(0, EASY, one) for one in (tolerant, budget(offload_share=0.0))]
    for index in range(50):
        rig.agent.answer(index, sure, tolerant)
    afterwards = rig.agent.answer(0, EASY, tolerant)

    assert (drifting, rig.agent.drifting) == (True, False)
    # Drift does not affect a target share, which is no guarantee.
    expected = [(3, "accepted"), (0, "escalated"), (3, "accepted"), (3, "accepted")]
    assert routes([before, *during, afterwards]) == expected
    assert len(caplog.messages) == 2
    assert "its risk guarantees do not hold" in caplog.messages[0]
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
