import csv
import io

import pytest

from nestling_cloud.console.charts import echarts
from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.data.table import Table, as_csv, table, table_csv
from nestling_cloud.metrics.views import CloudOnly
from tests.support.console_views import START_MS, answer_point, bucket, energy, nothing, totals


def _column(shown: Table, key: str) -> list[object]:
    index = [column.key for column in shown.columns].index(key)
    return [row[index] for row in shown.rows]


def test_routes_by_time_count_every_answer_once() -> None:
    shown = chart_tables.routes_by_time(totals())

    assert _column(shown, "start_ms") == [START_MS, START_MS + 10_000]
    assert _column(shown, "start_utc") == ["2023-11-14 22:13:20", "2023-11-14 22:13:30"]
    assert _column(shown, "answers_capacity-1") == [6, 0]
    assert _column(shown, "answers_cloud") == [2, 2]


def test_energy_per_answer_of_an_empty_step_is_none() -> None:
    given = totals(series=(bucket(0, {"capacity-1": 6}), bucket(1, {})))

    shown = chart_tables.energy_by_time(given)

    assert _column(shown, "compute_modelled_mj_per_answer") == [0.5, None]


def test_energies_of_two_provenances_stand_in_two_columns() -> None:
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
    assert chart_tables.spent_by_provenance(given) == {"measured": 12.0, "modelled": 8.0}


def test_saved_is_the_difference_to_sending_everything() -> None:
    saved = chart_tables.saved(totals())

    assert (saved.energy_mj, saved.provenance) == (50.0 - 36.0, "modelled")
    assert saved.size_bytes == 9000 - 3500


def test_nothing_is_said_to_be_saved_across_provenances() -> None:
    given = totals(energy=(energy("capacity-1", "compute", 10, 12.0, "measured"),))

    saved = chart_tables.saved(given)

    assert saved.energy_mj is None
    assert saved.size_bytes == 5500


def test_nothing_is_said_to_be_saved_when_some_answers_do_not_tell() -> None:
    only = CloudOnly(provenance="modelled", answers=9, energy_mj=50.0, size_bytes=9000)

    saved = chart_tables.saved(totals(cloud_only=(only,)))

    assert (saved.energy_mj, saved.size_bytes) == (None, None)


def test_time_without_answers_has_no_shares_and_no_savings() -> None:
    assert chart_tables.cloud_share(nothing()) is None
    assert chart_tables.saved(nothing()).energy_mj is None
    assert chart_tables.answers_per_second(nothing()) is None
    assert chart_tables.routes_by_time(nothing()).rows == ()


def test_share_and_rate_are_of_the_answers() -> None:
    assert chart_tables.cloud_share(totals()) == 0.4
    assert chart_tables.answers_per_second(totals()) == pytest.approx(0.8)


def test_answers_have_every_figure_of_the_receipt() -> None:
    shown = chart_tables.answers([answer_point(route="cloud")])

    assert _column(shown, "route") == ["cloud"]
    assert _column(shown, "answered_at_ms") == [START_MS]
    assert _column(shown, "budget_offload_share") == [0.2]


def test_csv_has_the_keys_first_and_then_the_rows() -> None:
    written = table_csv(table([("a_ms", "a, ms"), ("b", "")], [(1.5, "x,y"), (None, 'say "z"')]))

    assert list(csv.reader(io.StringIO(written))) == [
        ["a_ms", "b"],
        ["1.5", "x,y"],
        ["", 'say "z"'],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_csv_makes_formulas_harmless_and_leaves_numbers_alone(text: str) -> None:
    ((word, number),) = csv.reader(io.StringIO(as_csv([(text, -1)]), newline=""))

    assert word == f"'{text}"
    assert number == "-1"


@pytest.mark.parametrize("separator", ",;\t\n")
def test_text_stays_one_cell_whatever_the_spreadsheet_separates_by(separator: str) -> None:
    written = as_csv([(f"a{separator}=cmd|'/c calc'!A1", 1)])

    assert written == f"\"a{separator}=cmd|'/c calc'!A1\",1\r\n"


def test_charts_draw_what_their_tables_say() -> None:
    routes = echarts.routes_chart(chart_tables.routes_by_time(totals()))
    names = [one["name"] for one in routes["series"]]

    assert names == ["capacity-1", "cloud", "fallbacks"]
    points = [[START_MS, 6], [START_MS + 10_000, 0], [START_MS + 20_000, 0]]  # the last step's end
    assert routes["series"][0]["data"] == points


def test_dashes_tell_modelled_from_measured() -> None:
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


def test_larger_capacity_is_drawn_darker_and_the_cloud_orange() -> None:
    colours = [echarts.route_colour(f"capacity-{k}", 4) for k in (1, 4)]

    assert colours == ["var(--capacity-1)", "var(--capacity-4)"]
    assert echarts.route_colour("cloud", 4) == "var(--cloud)"
