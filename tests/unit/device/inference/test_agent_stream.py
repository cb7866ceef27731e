"""An agent with a stream filter remembers the cloud's answers."""

from pathlib import Path

import numpy as np
import pytest

from nestling.v1.budget_pb2 import Budget
from nestling.v1.bundle_pb2 import Manifest, StreamFilter
from nestling.v1.stream_pb2 import StreamState
from nestling_core.belief import reliability
from nestling_device.inference.input_errors import UnanswerableError
from nestling_device.inference.stream_state import Stream
from tests.support.agent_rig import BUDGET, assert_same, budget, make_rig, routes
from tests.support.hand_bundle import (
    CLASSES,
    EASY,
    SHAPE,
    UNSURE,
    Blobs,
    calibration,
    filtered,
    hand_bundle,
    window,
)
from tests.support.hand_guarantee import with_plans
from tests.support.hand_stream import FILTER, cloud_that_says, random_stream, showing

Z, TRUTH, OTHER = 0, 1, 2
FILTERED = hand_bundle(calibration=filtered(FILTER))
UNSURE_HERE = (0.5, 0.5, 0.5, 0.9)
TOLERANT = budget(tolerated_risk=0.05)


def tolerant_bundle(*, filtering: bool) -> tuple[Manifest, Blobs]:
    """Return a bundle with a plan of one threshold."""
    made = calibration()
    for curve in made.curves:
        if filtering:
            curve.filter.CopyFrom(FILTER)
    return hand_bundle(calibration=with_plans(made, 0.2))


def test_cloud_answer_is_remembered_for_the_inputs_that_follow(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, bundle=FILTERED, cloud=cloud_that_says(*[TRUTH] * 9))
    misread = showing(tmp_path, Z, *UNSURE_HERE)

    found = [rig.agent.answer(n, misread, BUDGET) for n in range(9)]

    assert [receipt.answer for receipt in found] == [TRUTH] * 9
    assert [receipt.device_answer for receipt in found] == [Z] + [TRUTH] * 8
    assert rig.cloud.request_count == 2
    # The memory fades until the cloud is asked again.
    asked_again = 4
    fading = [receipt.device_confidence for receipt in found[1 : asked_again + 1]]
    assert fading == sorted(fading, reverse=True)
    assert routes(found)[asked_again] == (0, "escalated")


def test_without_a_filter_every_input_is_judged_by_itself(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, cloud=cloud_that_says(*[TRUTH] * 9))
    misread = showing(tmp_path, Z, *UNSURE_HERE)

    found = [rig.agent.answer(n, misread, BUDGET) for n in range(9)]

    assert [receipt.device_answer for receipt in found] == [Z] * 9
    assert routes(found) == [(0, "escalated")] * 9


def test_input_that_the_cloud_answers_first_is_remembered_too(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, bundle=FILTERED, cloud=cloud_that_says(TRUTH))
    misread = showing(tmp_path, Z, *UNSURE_HERE)

    before = rig.agent.answer(0, misread, budget(offload_share=1.0))
    after = rig.agent.answer(1, misread, budget(offload_share=0.0))

    assert not before.HasField("device_answer")
    assert (before.answer, after.answer) == (TRUTH, TRUTH)


def test_change_of_class_ends_the_memory(tmp_path: Path) -> None:
    attentive = StreamFilter(stay=0.9, reread=0.1, misread=0.2, weight=0.5, doubt=0.05)
    rig = make_rig(
        tmp_path,
        bundle=hand_bundle(calibration=filtered(attentive)),
        cloud=cloud_that_says(TRUTH),
    )
    misread = showing(tmp_path, Z, *UNSURE_HERE)
    changed = showing(tmp_path, OTHER, 0.95, 0.95, 0.95, 0.9)

    rig.agent.answer(0, misread, BUDGET)
    found = [rig.agent.answer(n, changed, budget(offload_share=0.0)) for n in range(1, 9)]

    assert found[0].answer in {TRUTH, OTHER}
    assert [receipt.answer for receipt in found[5:]] == [OTHER] * 3


def test_gap_within_a_run_drops_the_belief(tmp_path: Path) -> None:
    # No pause is as short as this gap, so each input begins a stream.
    rig = make_rig(
        tmp_path, bundle=FILTERED, cloud=cloud_that_says(TRUTH, TRUTH), stream=Stream(gap_s=-1)
    )
    misread = showing(tmp_path, Z, *UNSURE_HERE)

    found = [rig.agent.answer(n, misread, BUDGET) for n in range(2)]

    assert [receipt.device_answer for receipt in found] == [Z, Z]


def test_pauses_before_every_input_are_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    always, seldom = (
        make_rig(tmp_path / name, bundle=FILTERED, stream=Stream(gap_s=gap_s))
        for name, gap_s in (("always", -1), ("seldom", 60))
    )

    for rig in (seldom, always):
        assert "stream_gap_s" not in caplog.text
        for number in range(12):
            rig.agent.answer(number, EASY, BUDGET)

    assert caplog.text.count("raise [device] stream_gap_s if they belong together") == 1


def test_correction_lowers_the_confidence_that_a_target_share_uses(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, cloud=cloud_that_says(*[TRUTH] * 20))
    misread = showing(tmp_path, Z, *UNSURE_HERE)

    for index in range(20):
        rig.agent.answer(index, misread, BUDGET)
    easy = showing(tmp_path, Z, 0.5, 0.5, 0.5, 0.6)  # the cloud's gain is 0.1, below the threshold
    cloud = rig.cloud.request_count
    receipt = rig.agent.answer(19, easy, BUDGET)

    assert receipt.device_confidence < 0.4
    assert rig.cloud.request_count == cloud + 1


@pytest.mark.parametrize("filtering", [False, True])
def test_corrections_do_not_apply_under_a_tolerated_risk(
    tmp_path: Path, *, filtering: bool
) -> None:
    bundle = tolerant_bundle(filtering=filtering)
    misread = showing(tmp_path, Z, *UNSURE_HERE)
    taught = make_rig(tmp_path, bundle=bundle, cloud=cloud_that_says(*[TRUTH] * 9))

    for index in range(8):
        taught.agent.answer(index, misread, TOLERANT)
    state = StreamState()
    state.CopyFrom(taught.states[-1])
    state.offset_mean[:] = [0.0] * len(state.offset_mean)
    untaught = make_rig(
        tmp_path, bundle=bundle, cloud=cloud_that_says(*[TRUTH] * 9), stream=Stream(state=state)
    )
    found = [rig.agent.answer(8, misread, TOLERANT) for rig in (taught, untaught)]

    assert min(taught.states[-1].offset_mean) < -0.05  # the account is kept, but not used
    assert_same(found[:1], found[1:])


def test_no_more_than_the_useful_share_is_sent_which_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = filtered(FILTER, useful_share=0.0)
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=made))

    for index in range(20):
        rig.agent.answer(index, UNSURE, budget(target_window=10))

    assert rig.cloud.request_count == 0
    (message,) = caplog.messages
    assert message == (
        "when the bundle was built, the cloud was less accurate than this device: at most 0% of "
        "the inputs are sent, instead of the target (logged once)"
    )


def test_useful_share_above_the_target_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = filtered(FILTER, useful_share=0.5)
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=made))

    receipt = rig.agent.answer(0, UNSURE, BUDGET)

    assert routes([receipt]) == [(0, "escalated")]
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("useful", "route", "notices"), [(0.01, (0, "escalated"), 0), (0.0, (3, "accepted"), 1)]
)
def test_only_a_cloud_that_is_never_useful_is_not_asked_under_a_tolerated_risk(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    useful: float,
    route: tuple[int, str],
    notices: int,
) -> None:
    made = calibration()
    for curve in made.curves:
        curve.useful_share = useful
    rig = make_rig(tmp_path, bundle=hand_bundle(calibration=with_plans(made, 0.2)))

    found = routes(rig.agent.answer(n, UNSURE, TOLERANT) for n in range(2))

    assert found == [route] * 2
    assert caplog.text.count("the cloud was less accurate") == notices


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_unanswerable_input_neither_stops_the_stream_nor_ends_the_memory(
    tmp_path: Path, share: float
) -> None:
    rig = make_rig(tmp_path, bundle=FILTERED, cloud=cloud_that_says(*[TRUTH] * 3))
    misread = showing(tmp_path, Z, *UNSURE_HERE)

    rig.agent.answer(0, misread, BUDGET)
    with pytest.raises(UnanswerableError):
        rig.agent.answer(1, np.full(SHAPE, 3e38, np.float32), budget(offload_share=share))
    receipt = rig.agent.answer(2, misread, budget(offload_share=share))

    assert (receipt.answer, receipt.route.capacity) == (TRUTH, 3)
    assert len(rig.states) == 2


def test_answer_that_never_comes_leaves_belief_and_corrections_alone(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, bundle=FILTERED, cloud=cloud_that_says(TRUTH))
    offline = Budget()
    offline.CopyFrom(BUDGET)
    offline.link_mbit_s = 0

    receipt = rig.agent.answer(0, showing(tmp_path, Z, *UNSURE_HERE), offline)

    (state,) = rig.states
    assert receipt.answer == Z
    reading = np.reshape(state.belief, (CLASSES, CLASSES)).sum(axis=0)
    assert reading.argmax() == Z
    assert set(state.offset_mean) == {0.0}


def test_state_holds_a_distribution_and_bounded_offsets(tmp_path: Path) -> None:
    inputs, cloud = random_stream(0, 60)
    rig = make_rig(tmp_path, bundle=FILTERED, cloud=cloud)

    for index, one in enumerate(inputs):
        rig.agent.answer(index, one, BUDGET)

    for state in rig.states:
        assert len(state.belief) == CLASSES**2
        assert min(state.belief) >= 0
        assert sum(state.belief) == pytest.approx(1)
        assert max(map(abs, state.offset_mean)) <= reliability.LIMIT
    assert rig.cloud.request_count > 5


def test_state_stays_small(tmp_path: Path) -> None:
    rig = make_rig(tmp_path, bundle=FILTERED)

    rig.agent.answer(0, EASY, BUDGET)
    rig.agent.answer(1, window(0.1, 0.1, 0.1, 0.9), BUDGET)

    assert rig.states[-1].ByteSize() < 1000
