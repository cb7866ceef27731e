from tests.console_views import START_MS

from nestling_cloud.console.charts import rounds_chart
from nestling_cloud.console.rounds import (
    DroppedClient,
    RoundView,
    accuracy_lines,
    dropped_table,
    rounds_table,
)


def _round(number: int, accuracy: tuple[float, ...]) -> RoundView:
    return RoundView(
        run="20261124-101500",
        number=number,
        place=number + 7,
        ended_at_ms=START_MS,
        invited=3,
        used=2,
        examples=120,
        accuracy=accuracy,
        dropped=[DroppedClient(device="watch-3", reason="not a number in its update")],
        bundle_version="",
    )


ROUNDS = [_round(1, (0.5, 0.6)), _round(2, ())]


def test_table_has_participation_and_an_accuracy_for_each_capacity() -> None:
    shown = rounds_table(ROUNDS)

    keys = [column.key for column in shown.columns]
    assert keys[-3:] == ["accuracy_1", "accuracy_2", "bundle_version"]
    assert keys[:3] == ["run", "round", "place"]
    assert shown.rows[0][:3] == ("20261124-101500", 1, 8)
    assert shown.rows[0][5:] == (3, 2, 1, 120, 0.5, 0.6, "")
    assert shown.rows[1][5:] == (3, 2, 1, 120, None, None, "")


def test_dropped_clients_stand_with_their_reason() -> None:
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


def test_table_without_rounds_is_empty() -> None:
    assert rounds_table([]).rows == ()
