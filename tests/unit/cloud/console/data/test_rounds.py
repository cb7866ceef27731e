from dataclasses import replace
from typing import Any

import pytest

from nestling_cloud.console.charts.echarts import rounds_chart
from nestling_cloud.console.data.rounds import (
    DroppedClient,
    RoundView,
    accuracy_lines,
    dropped_table,
    last_round_summary,
    rounds_table,
)
from tests.support.console_views import START_MS


def _round(number: int, accuracy: tuple[float, ...]) -> RoundView:
    return RoundView(
        run="20261124-101500",
        number=number,
        place=number + 7,
        ended_at_ms=START_MS,
        invited=3,
        used=2,
        examples=120,
        calibration_accuracy=accuracy,
        dropped=[DroppedClient(device="watch-3", reason="not a number in its update")],
        averaged=True,
        bundle_version="",
        verdict="",
    )


ROUNDS = [_round(1, (0.5, 0.6)), _round(2, ())]


def test_table_has_participation_and_an_accuracy_for_each_capacity() -> None:
    result = rounds_table(ROUNDS)

    keys = [column.key for column in result.columns]
    assert keys[9:] == [
        "calibration_accuracy_1",
        "calibration_accuracy_2",
        "averaged",
        "bundle_version",
        "verdict",
    ]
    assert keys[:3] == ["run", "round", "place"]
    assert result.rows[0][:3] == ("20261124-101500", 1, 8)
    assert result.rows[0][5:] == (3, 2, 1, 120, 0.5, 0.6, "yes", "", "")
    assert result.rows[1][5:] == (3, 2, 1, 120, None, None, "yes", "", "")


def test_dropped_table_has_the_reasons() -> None:
    assert dropped_table(ROUNDS).rows[0] == (
        "20261124-101500",
        1,
        "watch-3",
        "not a number in its update",
    )


def test_lines_have_a_point_for_each_round_that_was_evaluated() -> None:
    assert accuracy_lines(ROUNDS) == {1: [(8, 0.5)], 2: [(8, 0.6)]}
    drawn = rounds_chart(accuracy_lines(ROUNDS))["series"]
    assert [one["data"] for one in drawn] == [[[8, 50.0]], [[8, 60.0]]]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"averaged": False}, "the model did not change"),
        ({"verdict": "the median client loses 3.0 points"}, "released nothing: the median client"),
        ({"bundle_version": "small-2", "verdict": "better"}, "released small-2: better"),
        ({}, "has not released anything yet"),
    ],
)
def test_summary_says_how_the_last_round_ended(changed: dict[str, Any], expected: str) -> None:
    assert expected in last_round_summary(replace(ROUNDS[0], **changed))


def test_table_without_rounds_is_empty() -> None:
    assert rounds_table([]).rows == ()
