"""Chooses the step length of a time series, and the rollup from which to compute the steps.

A rollup is a table of sums over steps of one length. All functions are pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nestling_cloud.store.receipt_row import LATEST_MS
from nestling_cloud.store.retention import DAY_MS
from nestling_cloud.store.time_range import TimeRange

MOST_STEPS = 360
# Nestling did not exist before this time: an earlier answer comes from a clock that was not set.
EARLIEST_MS = 1_577_836_800_000  # 2020-01-01

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_WEEK_MS = 7 * DAY_MS
# Length of a step, and of the steps of the rollup that it is computed from.
_LADDER = (
    (10_000, 10_000),
    (_MINUTE_MS, _MINUTE_MS),
    (5 * _MINUTE_MS, _MINUTE_MS),
    (_HOUR_MS, _HOUR_MS),
    (6 * _HOUR_MS, _HOUR_MS),
    (DAY_MS, _HOUR_MS),
    (_WEEK_MS, _HOUR_MS),
)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The steps of a series over time.

    Attributes:
        step_ms: the length of one step.
        rollup_ms: the step length of the rollup to read. A rollup is a table of sums over steps of
            one length.
        range: the time range, which consists of whole steps.
    """

    step_ms: int
    rollup_ms: int
    range: TimeRange


def steps_of(wanted: TimeRange, kept_ms: Mapping[int, int | None], *, now_ms: int) -> Steps:
    """Return the shortest steps that the store can still provide for a time range.

    Together, `MOST_STEPS` of these steps are at least as long as the range. If the store has no
    such steps, each step is one or more weeks long.

    Args:
        wanted: the time range of the series, which is widened to whole steps.
        kept_ms: a mapping from the step length of each rollup to the time for which the rollup is
            kept, both in ms; None if the rollup is kept forever.
        now_ms: the current Unix time.
    """
    wanted = clamp(wanted)
    span_ms = max(wanted.until_ms - wanted.since_ms, 0)
    for step_ms, rollup_ms in _LADDER:
        if span_ms <= MOST_STEPS * step_ms and _is_kept(
            kept_ms, rollup_ms, now_ms - wanted.since_ms
        ):
            return _steps(wanted, step_ms, rollup_ms)
    weeks = -(-span_ms // (MOST_STEPS * _WEEK_MS))
    return _steps(wanted, max(weeks, 1) * _WEEK_MS, _HOUR_MS)


def clamp(wanted: TimeRange) -> TimeRange:
    """Return a time range, limited to the Unix times from 0 to `LATEST_MS`.

    Every receipt is dated within these limits.
    """
    since_ms = min(max(wanted.since_ms, 0), LATEST_MS)
    return TimeRange(since_ms=since_ms, until_ms=min(max(wanted.until_ms, 0), LATEST_MS + 1))


def _is_kept(kept_ms: Mapping[int, int | None], rollup_ms: int, age_ms: int) -> bool:
    if rollup_ms not in kept_ms:
        return False
    keep_ms = kept_ms[rollup_ms]
    return keep_ms is None or age_ms <= keep_ms


def _steps(wanted: TimeRange, step_ms: int, rollup_ms: int) -> Steps:
    since_ms = wanted.since_ms - wanted.since_ms % step_ms
    until_ms = max(-(-wanted.until_ms // step_ms) * step_ms, since_ms + step_ms)
    widened = TimeRange(since_ms=since_ms, until_ms=until_ms)
    return Steps(step_ms=step_ms, rollup_ms=rollup_ms, range=widened)
