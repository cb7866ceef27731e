import csv
import io

import pytest

from nestling_cloud.console.charts import echarts, plot
from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.data.table import Table, as_csv, table, table_csv
from tests.support.console_views import START_MS, answer_point, bucket, energy, totals


def _column(result: Table, key: str) -> list[object]:
    index = [column.key for column in result.columns].index(key)
    return [row[index] for row in result.rows]


def test_routes_by_time_count_every_answer_once() -> None:
    result = chart_tables.routes_by_time(totals())

    assert _column(result, "start_ms") == [START_MS, START_MS + 10_000]
    assert _column(result, "start_utc") == ["2023-11-14 22:13:20", "2023-11-14 22:13:30"]
    assert _column(result, "answers_capacity-1") == [6, 0]
    assert _column(result, "answers_cloud") == [2, 2]


def test_energy_per_answer_of_an_empty_step_is_none() -> None:
    given = totals(series=(bucket(0, {"capacity-1": 6}), bucket(1, {})))

    result = chart_tables.energy_by_time(given)

    assert _column(result, "compute_modelled_mj_per_answer") == [0.5, None]


def test_cloud_share_and_rate_are_computed_from_the_answers() -> None:
    assert chart_tables.cloud_share(totals()) == 0.4
    assert chart_tables.answers_per_second(totals()) == pytest.approx(0.8)


def test_answers_have_every_figure_of_the_receipt() -> None:
    result = chart_tables.answers([answer_point(route="cloud")])

    assert _column(result, "route") == ["cloud"]
    assert _column(result, "answered_at_ms") == [START_MS]
    assert _column(result, "budget_offload_share") == [0.2]


def test_csv_has_the_keys_first_and_then_the_rows() -> None:
    written = table_csv(table([("a_ms", "a, ms"), ("b", "")], [(1.5, "x,y"), (None, 'say "z"')]))

    assert list(csv.reader(io.StringIO(written))) == [
        ["a_ms", "b"],
        ["1.5", "x,y"],
        ["", 'say "z"'],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_csv_makes_formulas_harmless_and_leaves_numbers_alone(text: str) -> None:
    ((cell, number),) = csv.reader(io.StringIO(as_csv([(text, -1)]), newline=""))

    assert cell == f"'{text}"
    assert number == "-1"


@pytest.mark.parametrize("separator", ",;\t\n")
def test_text_stays_one_cell_with_any_separator(separator: str) -> None:
    written = as_csv([(f"a{separator}=cmd|'/c calc'!A1", 1)])

    assert written == f"\"a{separator}=cmd|'/c calc'!A1\",1\r\n"


def test_chart_draws_the_values_of_its_table() -> None:
    routes = echarts.routes_chart(chart_tables.routes_by_time(totals()))
    names = [one["name"] for one in routes["series"]]

    assert names == ["capacity-1", "cloud", "fallbacks"]
    points = [[START_MS, 6], [START_MS + 10_000, 0], [START_MS + 20_000, 0]]  # the last step's end
    assert routes["series"][0]["data"] == points


def test_modelled_and_measured_lines_have_different_dashes() -> None:
    given = totals(
        energy=(
            energy("capacity-1", "compute", 6, 12.0, "measured"),
            energy("capacity-1", "compute", 4, 8.0, "modelled"),
        )
    )

    drawn = echarts.energy_chart(chart_tables.energy_by_time(given))["series"]
    dashes = {one["name"]: one["lineStyle"]["type"] for one in drawn}

    assert dashes["compute, measured"] == "solid"
    assert dashes["compute, modelled"] != "solid"


def test_bars_of_energy_never_stack_two_provenances() -> None:
    given = totals(
        energy=(
            energy("cloud", "compute", 4, 8.0, "measured"),
            energy("cloud", "radio", 4, 20.0, "modelled"),
        )
    )

    drawn = echarts.route_energy_chart(chart_tables.energy_by_route(given))

    assert drawn["xAxis"]["data"] == ["cloud\nmeasured", "cloud\nmodelled"]
    assert [one["data"] for one in drawn["series"]] == [[2.0, None], [None, 5.0]]


def test_capacities_and_the_cloud_have_different_colors() -> None:
    colours = [plot.route_colour(f"capacity-{k}", 4) for k in (1, 4)]

    assert colours == ["var(--capacity-1)", "var(--capacity-4)"]
    assert plot.route_colour("cloud", 4) == "var(--cloud)"


def test_energies_of_two_provenances_are_in_separate_columns() -> None:
    given = totals(
        energy=(
            energy("capacity-1", "compute", 6, 12.0, "measured"),
            energy("capacity-1", "compute", 4, 8.0, "modelled"),
        )
    )

    keys = [column.key for column in chart_tables.energy_by_time(given).columns]
    by_route = chart_tables.energy_by_route(given)

    assert "compute_measured_mj_per_answer" in keys
    assert "compute_modelled_mj_per_answer" in keys
    assert _column(by_route, "provenance") == ["measured", "modelled"]


def test_follow_ups_are_marked_among_the_answers_and_have_no_budget() -> None:
    first = answer_point(follow_up="deferred")
    later = answer_point(reason="deferred", follow_up="deferred", follows=-(2**63))

    listed = chart_tables.answers([first, later])
    budget = chart_tables.budget_by_time([first, later])

    assert _column(listed, "follow_up") == ["deferred", "deferred"]
    assert _column(listed, "follows") == [None, -(2**63)]
    assert table_csv(listed).splitlines()[2].count(f",{-(2**63)},") == 1
    assert len(budget.rows) == 1


def test_energy_of_follow_ups_is_listed_without_a_bar() -> None:
    given = totals(
        energy=(
            energy("cloud", "radio", 4, 20.0, "measured"),
            energy("follow-up", "radio", 0, 5.0, "measured"),
        )
    )

    by_route = chart_tables.energy_by_route(given)

    assert _column(by_route, "energy_mj") == [20.0, 5.0]
    assert _column(by_route, "energy_mj_per_answer") == [5.0, None]
    assert echarts.route_energy_chart(by_route)["xAxis"]["data"] == ["cloud\nmeasured"]
