"""Rollups include an answer or not depending on the device's clock."""

import time
from collections.abc import Iterator

import pytest

from nestling_cloud.store import rollups, tables
from nestling_cloud.store.store import Store
from nestling_cloud.store.time_range import TimeRange
from tests.support.receipts import make_batch
from tests.support.stored import add_batch

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
EVER = TimeRange(since_ms=0, until_ms=2**53)


def steps_with_answers(store: Store, device: str | None = None) -> Iterator[int]:
    every = tables.FLEET_ROLLUPS if device is None else tables.DEVICE_ROLLUPS
    with store.reading() as connection:
        for step_ms in every:
            if list(rollups.read(connection, step_ms, EVER, device)):
                yield step_ms


@pytest.mark.parametrize(
    ("ahead_ms", "of_fleet", "of_device"),
    [
        (-40 * DAY_MS, {HOUR_MS}, {HOUR_MS}),
        (-3 * DAY_MS, {MINUTE_MS, HOUR_MS}, {HOUR_MS}),
        (0, {10_000, MINUTE_MS, HOUR_MS}, {MINUTE_MS, HOUR_MS}),
        (50 * MINUTE_MS, {10_000, MINUTE_MS, HOUR_MS}, {MINUTE_MS, HOUR_MS}),
        (70 * MINUTE_MS, {HOUR_MS}, {HOUR_MS}),
        (1000 * DAY_MS, {HOUR_MS}, {HOUR_MS}),
    ],
)
def test_answer_too_old_or_over_an_hour_ahead_is_only_in_the_hourly_rollup(
    store: Store, ahead_ms: int, of_fleet: set[int], of_device: set[int]
) -> None:
    now_ms = time.time_ns() // 1_000_000

    add_batch(store, "pi-1", make_batch(1, answered_at_ms=now_ms + ahead_ms))

    # A device's minutes are looked up by those of the fleet, which are kept longer.
    assert set(steps_with_answers(store)) == of_fleet
    assert set(steps_with_answers(store, "pi-1")) == of_device
