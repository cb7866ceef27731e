from tests.console_views import START_MS

from nestling_cloud.console.charts import rounds_chart
from nestling_cloud.console.rounds import (
    DroppedClient,
    NoRounds,
    RoundView,
    accuracy_lines,
    dropped_table,
    rounds_table,
)


def _round(number: int, accuracy: tuple[float, ...]) -> RoundView:
    return RoundView(
        number=number,
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
    assert shown.rows[0][3:] == (3, 2, 1, 120, 0.5, 0.6, "")
    assert shown.rows[1][3:] == (3, 2, 1, 120, None, None, "")


def test_dropped_clients_stand_with_their_reason() -> None:
    assert dropped_table(ROUNDS).rows[0] == (1, "watch-3", "not a number in its update")


def test_lines_have_a_point_for_each_round_that_was_evaluated() -> None:
    assert accuracy_lines(ROUNDS) == {1: [(1, 0.5)], 2: [(1, 0.6)]}
    drawn = rounds_chart(accuracy_lines(ROUNDS))["series"]
    assert [one["data"] for one in drawn] == [[[1, 50.0]], [[1, 60.0]]]


def test_cloud_that_federates_nothing_has_no_rounds() -> None:
    assert not NoRounds().latest(10)
    assert rounds_table([]).rows == ()
