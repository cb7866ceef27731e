"""The REST API: the figures that the pages show, as JSON and CSV."""

import asyncio
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from nestling_cloud.console import chart_tables
from nestling_cloud.console.api_messages import (
    DeviceMessage,
    DeviceRowMessage,
    DevicesMessage,
    FleetMessage,
    ModelsMessage,
    OperatingPointMessage,
    RoundMessage,
    WishMessage,
)
from nestling_cloud.console.guard import ASKED_BY
from nestling_cloud.console.live import DeviceQuery
from nestling_cloud.console.models import capacities_table, curves_table, read_models
from nestling_cloud.console.operating_point import read_state
from nestling_cloud.console.parts import Parts
from nestling_cloud.console.problem import Problem, RequestError
from nestling_cloud.console.rounds import rounds_table
from nestling_cloud.console.span import DEFAULT_SPAN, SPANS
from nestling_cloud.console.table import Table, as_csv, table_csv
from nestling_cloud.fleet.wishes import WishError
from nestling_cloud.telemetry.receipts import ReceiptRow
from nestling_cloud.telemetry.views import DeviceRow, DeviceView, FleetView, TimeRange, Totals

PREFIX = "/api/v1"
_CSV = "text/csv; charset=utf-8"
_LINES_A_CHUNK = 500
_LATEST_ROUNDS = 1000
_LATEST_MS = 2**53  # what JSON holds without a loss
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]

SpanName = Annotated[
    str,
    Query(pattern=f"^({'|'.join(SPANS)})$", description="time up to now, unless since_ms is given"),
]
Since = Annotated[int | None, Query(ge=0, le=_LATEST_MS, description="Unix milliseconds")]
Until = Annotated[
    int | None, Query(ge=0, le=_LATEST_MS, description="Unix milliseconds; now, if left out")
]
DeviceId = Annotated[str, Path(max_length=64)]
_TOTALS_TABLES: dict[str, Callable[[Totals], Table]] = {
    "routes": chart_tables.routes_by_time,
    "energy": chart_tables.energy_by_time,
    "latency": chart_tables.latency_by_route,
    "energy-by-route": chart_tables.energy_by_route,
    "savings": chart_tables.savings,
}
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": description}
    for status, description in (
        (401, "no token, or a wrong one"),
        (404, "nothing of that name"),
        (422, "a parameter that makes no sense"),
    )
}


class Api:
    """Makes the routes.

    Args:
        parts: where figures come from, the same as the pages'.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def router(self) -> APIRouter:
        """Every route, below /api/v1."""
        router = APIRouter(prefix=PREFIX, responses=_PROBLEMS)
        get, put = router.get, router.put
        get("/session", include_in_schema=False)(self._session)
        get("/fleet", summary="The fleet over a time")(self._fleet)
        get("/fleet/{chart}.csv", summary="A chart of the fleet's page as CSV")(self._fleet_csv)
        get("/devices", summary="A page of the devices")(self._devices)
        get("/devices/{device}", summary="One device over a time")(self._device)
        get("/devices/{device}/{chart}.csv", summary="A chart of a device's page as CSV")(
            self._device_csv
        )
        get("/models", summary="The released bundle")(self._models)
        get("/models/capacities.csv", summary="Its capacities as CSV")(self._capacities_csv)
        get("/models/curves.csv", summary="Its routing curves as CSV")(self._curves_csv)
        get("/operating-point", summary="The fleet's operating point")(self._fleet_point)
        put("/operating-point", summary="Wish a share for the fleet")(self._wish_for_fleet)
        get("/devices/{device}/operating-point", summary="A device's operating point")(
            self._device_point
        )
        put("/devices/{device}/operating-point", summary="Wish a share for a device")(
            self._wish_for_device
        )
        get("/receipts.csv", summary="Every receipt of a time as CSV")(self._receipts_csv)
        get("/rounds", summary="Federated rounds")(self._rounds)
        get("/rounds.csv", summary="Federated rounds as CSV")(self._rounds_csv)
        router.api_route("/{rest:path}", methods=_METHODS, include_in_schema=False)(_unknown)
        return router

    async def _session(self) -> dict[str, bool]:
        return {"open": True}

    async def _fleet(
        self, span: SpanName = DEFAULT_SPAN.name, since_ms: Since = None, until_ms: Until = None
    ) -> FleetMessage:
        return FleetMessage.of(await self._fleet_view(span, since_ms, until_ms))

    async def _fleet_csv(
        self,
        chart: str,
        span: SpanName = DEFAULT_SPAN.name,
        since_ms: Since = None,
        until_ms: Until = None,
    ) -> Response:
        view = await self._fleet_view(span, since_ms, until_ms)
        if chart == "bundles":
            return _csv(chart_tables.bundles(view))
        return _csv(_totals_table(chart, view.totals, "bundles"))

    async def _devices(
        self,
        search: Annotated[str, Query(max_length=100)] = "",
        order_by: str = "device",
        *,
        descending: bool = False,
        offset: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> DevicesMessage:
        if order_by not in DeviceRow.__dataclass_fields__:
            names = ", ".join(DeviceRow.__dataclass_fields__)
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"order_by {order_by!r}: take one of {names}"
            )
        query = DeviceQuery(
            search=search, order_by=order_by, descending=descending, offset=offset, limit=limit
        )
        rows, total = await self._parts.live.devices(query)
        return DevicesMessage(total=total, devices=[DeviceRowMessage.of(row) for row in rows])

    async def _device(
        self,
        device: DeviceId,
        span: SpanName = DEFAULT_SPAN.name,
        since_ms: Since = None,
        until_ms: Until = None,
    ) -> DeviceMessage:
        return DeviceMessage.of(await self._device_view(device, span, since_ms, until_ms))

    async def _device_csv(
        self,
        device: DeviceId,
        chart: str,
        span: SpanName = DEFAULT_SPAN.name,
        since_ms: Since = None,
        until_ms: Until = None,
    ) -> Response:
        view = await self._device_view(device, span, since_ms, until_ms)
        if chart == "answers":
            return _csv(chart_tables.answers(view.answers))
        if chart == "budget":
            return _csv(chart_tables.budget_by_time(view.answers))
        return _csv(_totals_table(chart, view.totals, "answers", "budget"))

    async def _models(self) -> ModelsMessage:
        return ModelsMessage.of(await asyncio.to_thread(read_models, self._parts.repository))

    async def _capacities_csv(self) -> Response:
        return _csv(capacities_table(await asyncio.to_thread(read_models, self._parts.repository)))

    async def _curves_csv(self) -> Response:
        return _csv(curves_table(await asyncio.to_thread(read_models, self._parts.repository)))

    async def _fleet_point(self) -> OperatingPointMessage:
        return OperatingPointMessage.of(await read_state(self._parts, None))

    async def _device_point(self, device: DeviceId) -> OperatingPointMessage:
        return OperatingPointMessage.of(await read_state(self._parts, device))

    async def _wish_for_fleet(self, request: Request, wish: WishMessage) -> OperatingPointMessage:
        return await self._wish(None, wish, request)

    async def _wish_for_device(
        self, request: Request, device: DeviceId, wish: WishMessage
    ) -> OperatingPointMessage:
        return await self._wish(device, wish, request)

    async def _wish(
        self, device: str | None, wish: WishMessage, request: Request
    ) -> OperatingPointMessage:
        try:
            await asyncio.to_thread(
                self._parts.wishes.set,
                device,
                wish.offload_share,
                wished_by=request.scope[ASKED_BY],
            )
        except WishError as err:
            raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, str(err)) from err
        return OperatingPointMessage.of(await read_state(self._parts, device))

    async def _receipts_csv(
        self,
        span: SpanName = DEFAULT_SPAN.name,
        since_ms: Since = None,
        until_ms: Until = None,
        device: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        time_range = await asyncio.to_thread(self._range, span, since_ms, until_ms)
        lines = _receipt_lines(self._parts.figures.receipts(time_range, device=device))
        headers = {"Content-Disposition": 'attachment; filename="receipts.csv"'}
        return StreamingResponse(lines, media_type=_CSV, headers=headers)

    async def _rounds(self) -> list[RoundMessage]:
        rounds = await asyncio.to_thread(self._parts.rounds.latest, _LATEST_ROUNDS)
        return [RoundMessage.of(one) for one in rounds]

    async def _rounds_csv(self) -> Response:
        rounds = await asyncio.to_thread(self._parts.rounds.latest, _LATEST_ROUNDS)
        return _csv(rounds_table(rounds))

    async def _fleet_view(self, span: str, since_ms: int | None, until_ms: int | None) -> FleetView:
        if since_ms is None and until_ms is None:
            return await self._parts.live.fleet(SPANS[span])
        time_range = await asyncio.to_thread(self._range, span, since_ms, until_ms)
        return await self._parts.live.fleet_in(time_range)

    async def _device_view(
        self, device: str, span: str, since_ms: int | None, until_ms: int | None
    ) -> DeviceView:
        if since_ms is None and until_ms is None:
            view = await self._parts.live.device(device, SPANS[span])
        else:
            time_range = await asyncio.to_thread(self._range, span, since_ms, until_ms)
            view = await self._parts.live.device_in(device, time_range)
        if view is None:
            raise RequestError(
                HTTPStatus.NOT_FOUND,
                f"no device {device!r}; {PREFIX}/devices lists those there are",
            )
        return view

    def _range(self, span: str, since_ms: int | None, until_ms: int | None) -> TimeRange:
        usual = self._parts.live.range(SPANS[span])
        since_ms = usual.since_ms if since_ms is None else since_ms
        until_ms = usual.until_ms if until_ms is None else until_ms
        if since_ms >= until_ms:
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"since_ms {since_ms} is not before until_ms {until_ms}; both are Unix times",
            )
        return TimeRange(since_ms=since_ms, until_ms=until_ms)


async def _unknown() -> None:
    raise RequestError(
        HTTPStatus.NOT_FOUND, f"no such address; {PREFIX}/openapi.json lists those there are"
    )


def _totals_table(chart: str, totals: Totals, *others: str) -> Table:
    make = _TOTALS_TABLES.get(chart)
    if make is None:
        names = ", ".join([*_TOTALS_TABLES, *others])
        raise RequestError(HTTPStatus.NOT_FOUND, f"no chart {chart!r}; there are: {names}")
    return make(totals)


def _csv(shown: Table) -> Response:
    return Response(table_csv(shown), media_type=_CSV)


def _receipt_lines(rows: Iterator[ReceiptRow]) -> Iterator[str]:
    """Write receipts as they are read, so that any number of them takes little memory."""
    fields = [name for name in ReceiptRow.__dataclass_fields__ if name != "success"]
    lines: list[list[Any]] = [[*fields, "success"]]
    for row in rows:
        values = [getattr(row, name) for name in fields]
        lines.append([*values, " ".join(f"{value:.6g}" for value in row.success)])
        if len(lines) >= _LINES_A_CHUNK:
            yield as_csv(lines)
            lines = []
    yield as_csv(lines)
