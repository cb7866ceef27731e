import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestling_cloud.metrics.steps import MOST_STEPS, steps_of
from nestling_cloud.store.receipt_row import LATEST_MS
from nestling_cloud.store.retention import DAY_MS, Retention
from nestling_cloud.store.time_range import TimeRange

NOW_MS = 1_700_000_000_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
FLEET_MS = Retention().fleet_ms
DEVICE_MS = Retention().device_ms


def last(span_ms: int, *, before_ms: int = 0) -> TimeRange:
    return TimeRange(since_ms=NOW_MS - before_ms - span_ms, until_ms=NOW_MS - before_ms)


@pytest.mark.parametrize(
    ("wanted", "step_ms", "rollup_ms"),
    [
        (last(15 * MINUTE_MS), 10_000, 10_000),
        (last(HOUR_MS), 10_000, 10_000),
        (last(6 * HOUR_MS), MINUTE_MS, MINUTE_MS),
        (last(DAY_MS), 5 * MINUTE_MS, MINUTE_MS),
        (last(7 * DAY_MS), HOUR_MS, HOUR_MS),
        (last(30 * DAY_MS), 6 * HOUR_MS, HOUR_MS),
        (last(365 * DAY_MS), 7 * DAY_MS, HOUR_MS),
        # steps of 10 s are kept for two days, steps of a minute for 30 days
        (last(15 * MINUTE_MS, before_ms=3 * DAY_MS), MINUTE_MS, MINUTE_MS),
        (last(15 * MINUTE_MS, before_ms=60 * DAY_MS), HOUR_MS, HOUR_MS),
    ],
)
def test_step_length_follows_from_the_range_and_the_retention(
    wanted: TimeRange, step_ms: int, rollup_ms: int
) -> None:
    steps = steps_of(wanted, FLEET_MS, now_ms=NOW_MS)

    assert (steps.step_ms, steps.rollup_ms) == (step_ms, rollup_ms)


def test_missing_rollup_is_not_chosen() -> None:
    assert steps_of(last(15 * MINUTE_MS), DEVICE_MS, now_ms=NOW_MS).rollup_ms == MINUTE_MS


@given(since_ms=st.integers(0, LATEST_MS), span_ms=st.integers(-10, 10**30))
def test_steps_are_whole_and_bounded_and_cover_the_range(since_ms: int, span_ms: int) -> None:
    wanted = TimeRange(since_ms=since_ms, until_ms=since_ms + span_ms)

    steps = steps_of(wanted, FLEET_MS, now_ms=NOW_MS)

    got = steps.range
    assert got.since_ms <= wanted.since_ms
    assert got.until_ms >= min(wanted.until_ms, LATEST_MS)
    assert got.since_ms % steps.step_ms == got.until_ms % steps.step_ms == 0
    assert steps.step_ms % steps.rollup_ms == 0
    assert 1 <= (got.until_ms - got.since_ms) // steps.step_ms <= MOST_STEPS + 1
