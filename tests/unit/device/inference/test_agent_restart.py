"""An agent continues its stream after a restart, unless the state belongs to another stream."""

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nestling.v1.stream_pb2 import StreamState
from nestling_device.inference.stream_state import Stream
from nestling_device.telemetry.outbox import Outbox
from tests.support.agent_rig import BUDGET, assert_same, budget, make_rig
from tests.support.hand_bundle import filtered, hand_bundle
from tests.support.hand_stream import FILTER, cloud_that_says, random_stream, showing

Z, TRUTH = 0, 1
FILTERED = hand_bundle(calibration=filtered(FILTER))
UNSURE_HERE = (0.5, 0.5, 0.5, 0.9)
_steps = st.tuples(st.sampled_from([0.0, 0.3, 0.5, 1.0]), st.sampled_from([0, 20]))


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None
)
@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.lists(_steps, min_size=2, max_size=12),
    filtering=st.booleans(),
)
def test_restart_after_every_input_gives_the_same_receipts_as_none(
    tmp_path_factory: pytest.TempPathFactory,
    seed: int,
    steps: list[tuple[float, int]],
    *,
    filtering: bool,
) -> None:
    folder = tmp_path_factory.mktemp("device")
    bundle = FILTERED if filtering else hand_bundle()
    budgets = [budget(offload_share=share, target_window=window) for share, window in steps]
    inputs, cloud = random_stream(seed, len(steps))
    steady = make_rig(folder, bundle=bundle, cloud=cloud)
    restarted = []

    for index, (given_window, limits) in enumerate(zip(inputs, budgets, strict=True)):
        steady.agent.answer(index, given_window, limits)
        with Outbox(folder) as outbox:
            rig = make_rig(
                folder, bundle=bundle, cloud=cloud, stream=Stream(state=outbox.stream_state())
            )
            restarted.append(rig.agent.answer(index, given_window, limits))
            outbox.append(rig.kept[0], stream_state=rig.states[0])

    assert_same(restarted, steady.kept)


def resumed(folder: Path, state: StreamState, source: str = "") -> tuple[int, list[float]]:
    """Return what the device answers after a restart, and its offsets then."""
    stream = Stream(state=state, source=source)
    rig = make_rig(folder, bundle=FILTERED, cloud=cloud_that_says(TRUTH), stream=stream)
    misread = showing(folder, Z, *UNSURE_HERE)
    receipt = rig.agent.answer(1, misread, budget(offload_share=0.0))
    return receipt.answer, list(rig.states[0].offset_mean)


@pytest.fixture
def remembered(tmp_path: Path) -> StreamState:
    """Return the state after the cloud has corrected one input."""
    rig = make_rig(tmp_path, bundle=FILTERED, cloud=cloud_that_says(TRUTH))
    rig.agent.answer(0, showing(tmp_path, Z, *UNSURE_HERE), BUDGET)
    return rig.states[0]


def test_restart_keeps_the_belief_and_the_corrections(
    tmp_path: Path, remembered: StreamState
) -> None:
    answer, offsets = resumed(tmp_path, remembered)

    assert answer == TRUTH
    assert offsets == list(remembered.offset_mean)
    assert min(offsets) < -0.05


def test_gap_in_time_drops_the_belief_and_keeps_the_corrections(
    tmp_path: Path, remembered: StreamState
) -> None:
    remembered.answered_at_ms -= 120_000

    answer, offsets = resumed(tmp_path, remembered)

    assert answer == Z
    assert offsets == list(remembered.offset_mean)


def test_another_source_drops_the_belief_and_keeps_the_corrections(
    tmp_path: Path, remembered: StreamState
) -> None:
    answer, offsets = resumed(tmp_path, remembered, source="another")

    assert answer == Z
    assert offsets == list(remembered.offset_mean)


def test_another_bundle_drops_everything(tmp_path: Path, remembered: StreamState) -> None:
    remembered.bundle_version = "hand-2-00000000"

    answer, offsets = resumed(tmp_path, remembered)

    assert answer == Z
    assert set(offsets) == {0.0}


@pytest.mark.parametrize("damage", ["short", "nan", "negative"])
@pytest.mark.parametrize("field", ["belief", "offset_mean", "offset_variance"])
def test_damaged_numbers_in_a_state_are_dropped(
    tmp_path: Path, remembered: StreamState, field: str, damage: str
) -> None:
    values = getattr(remembered, field)
    if damage == "short":
        del values[-1]
    else:
        values[0] = math.nan if damage == "nan" else -5.0

    answer, offsets = resumed(tmp_path, remembered)

    # The other numbers are sound, and kept.
    assert answer == (Z if field == "belief" else TRUTH)
    assert offsets == (list(remembered.offset_mean) if field == "belief" else [0.0] * len(offsets))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1e30])
def test_belief_that_does_not_add_up_to_one_is_dropped(
    tmp_path: Path, remembered: StreamState, factor: float
) -> None:
    remembered.belief[:] = [factor * value for value in remembered.belief]

    assert resumed(tmp_path, remembered)[0] == Z
