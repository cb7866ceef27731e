"""Defines the path and query parameters of the API."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Path, Query

from nestling import topics
from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.data.table import Table
from nestling_cloud.console.data.time_spans import SPANS
from nestling_cloud.metrics.figures import Totals
from nestling_cloud.metrics.views import DeviceRow

_LATEST_MS = 2**53  # largest integer that JSON numbers hold exactly

SpanName = Annotated[
    str,
    Query(
        pattern=f"^({'|'.join(SPANS)})$",
        description="span of time up to now, unless since_ms is given",
        json_schema_extra={"enum": list(SPANS)},
    ),
]
Since = Annotated[int | None, Query(ge=0, le=_LATEST_MS, description="Unix milliseconds")]
Until = Annotated[
    int | None, Query(ge=0, le=_LATEST_MS, description="Unix milliseconds (default: now)")
]
DeviceId = Annotated[str, Path(pattern=f"^{topics.DEVICE_ID_PATTERN}$")]
TOTALS_TABLES: dict[str, Callable[[Totals], Table]] = {
    "routes": chart_tables.routes_by_time,
    "energy": chart_tables.energy_by_time,
    "latency": chart_tables.latency_by_route,
    "energy-by-route": chart_tables.energy_by_route,
    "savings": chart_tables.savings,
}
DEVICE_FIELDS = list(DeviceRow.__dataclass_fields__)
OrderBy = Annotated[
    str,
    Query(description="field of a device to sort by", json_schema_extra={"enum": DEVICE_FIELDS}),
]
FleetChart = Annotated[str, Path(json_schema_extra={"enum": [*TOTALS_TABLES, "bundles"]})]
DeviceChart = Annotated[
    str, Path(json_schema_extra={"enum": [*TOTALS_TABLES, "answers", "budget"]})
]
