import pytest

from nestling.v1.stream_pb2 import StreamState
from nestling_core.kinds.labels import SingleLabel
from nestling_device.inference.drift import DriftDetector
from nestling_device.inference.stream_belief import StreamBelief
from nestling_device.inference.stream_state import Stream, controller_of, detector_of
from nestling_device.inference.target_controller import TargetController

NOW_MS = 1_700_000_000_000


@pytest.mark.parametrize(
    ("pause_ms", "continues"),
    [(0, True), (60_000, True), (60_001, False), (-1, True), (-60_001, False)],
)
def test_stream_continues_until_the_gap_also_if_the_clock_was_set_back(
    pause_ms: int, *, continues: bool
) -> None:
    state = StreamState(source="ward", answered_at_ms=NOW_MS)

    assert Stream(source="ward", gap_s=60).continues(state, NOW_MS + pause_ms) is continues


def test_another_source_is_another_stream() -> None:
    state = StreamState(source="ward", answered_at_ms=NOW_MS)

    assert not Stream(source="garden").continues(state, NOW_MS)


def test_device_without_a_state_begins_a_stream() -> None:
    assert not Stream().continues(Stream().state_for("hand-1"), NOW_MS)


def test_state_of_another_bundle_is_not_used() -> None:
    stream = Stream(state=StreamState(bundle_version="hand-1", owed=3.0))

    assert stream.state_for("hand-1").owed == 3.0
    assert stream.state_for("hand-2") == StreamState()


def test_saved_state_restores_controller_and_detector() -> None:
    controller, drift = TargetController(-1.5, 50, "energy"), DriftDetector(2.5, noticed=True)

    state = Stream(source="ward").saved(
        "hand-1", NOW_MS, StreamBelief(SingleLabel(tuple("abcd"))), controller, drift
    )

    assert controller_of(state) == controller
    assert detector_of(state) == drift
    assert (state.bundle_version, state.source, state.answered_at_ms) == ("hand-1", "ward", NOW_MS)


def test_empty_state_starts_controller_and_detector_anew() -> None:
    assert controller_of(StreamState()) == TargetController()
    assert detector_of(StreamState()) == DriftDetector()


def test_debt_of_an_unknown_quantity_is_dropped() -> None:
    state = StreamState(owed=3.0, owed_window=50, owed_kind="carbon")

    assert controller_of(state) == TargetController()
