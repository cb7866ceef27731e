from collections.abc import Callable
from dataclasses import replace

import pytest

from nestling_cloud.console.data.chart_tables import (
    energy_by_time,
    latency_by_route,
    routes_by_time,
)
from nestling_cloud.console.data.table import Table, is_empty
from nestling_cloud.metrics.figures import Totals
from tests.support.console_views import bucket, nothing, totals

TABLES = (routes_by_time, energy_by_time, latency_by_route)


@pytest.mark.parametrize("make", TABLES)
def test_range_without_answers_makes_an_empty_table(make: Callable[[Totals], Table]) -> None:
    quiet = tuple(replace(bucket(index, {}), energy_mj={}) for index in range(3))

    assert is_empty(make(replace(nothing(), series=quiet)))


@pytest.mark.parametrize("make", TABLES)
def test_range_with_answers_makes_a_table_that_is_not_empty(
    make: Callable[[Totals], Table],
) -> None:
    assert not is_empty(make(totals()))
