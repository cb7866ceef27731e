"""Serves the REST API.

The API returns the figures of the pages as JSON and CSV. It can also set target offload shares, and
label inputs.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from starlette.routing import Route

from nestling_cloud.bundles.repository_errors import RepositoryError
from nestling_cloud.console.api.csv_answers import (
    CSV_TYPE,
    csv_response,
    receipt_lines,
    totals_table,
)
from nestling_cloud.console.api.device_schema import DeviceMessage
from nestling_cloud.console.api.input_routes import InputRoutes
from nestling_cloud.console.api.not_found import PREFIX, no_such_device, no_such_route
from nestling_cloud.console.api.parameters import (
    DEVICE_FIELDS,
    DeviceChart,
    DeviceId,
    FleetChart,
    OrderBy,
    Since,
    SpanName,
    Until,
)
from nestling_cloud.console.api.problems import BODY_PROBLEM, PROBLEMS
from nestling_cloud.console.api.schemas import (
    DevicesMessage,
    FleetMessage,
    HealthMessage,
    ModelsMessage,
    OperatingPointMessage,
    TargetMessage,
)
from nestling_cloud.console.auth.guard import REQUESTED_BY
from nestling_cloud.console.data import chart_tables
from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.data.live_figures import DeviceQuery
from nestling_cloud.console.data.operating_point import read_state
from nestling_cloud.console.data.released_bundle import (
    Models,
    capacities_table,
    curves_table,
    read_models,
    wire_forms_table,
)
from nestling_cloud.console.data.rounds import RoundView, rounds_table
from nestling_cloud.console.data.table import Table
from nestling_cloud.console.data.time_spans import DEFAULT_SPAN, SPANS
from nestling_cloud.console.http.problem import RequestError
from nestling_cloud.control.targets import TargetError
from nestling_cloud.inputs.released_labels import ReleasedLabels
from nestling_cloud.metrics.views import DeviceView, FleetView
from nestling_cloud.store.time_range import TimeRange

_LATEST_ROUNDS = 1000
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class Api:
    """Implements the routes of the REST API.

    Args:
        parts: the sources of the figures, shared with the pages.
    """

    def __init__(self, parts: ConsoleData) -> None:
        self._parts = parts

    def router(self) -> APIRouter:
        """Return a router with all routes of the API, under the path /api/v1."""
        router = APIRouter(prefix=PREFIX, responses=PROBLEMS)
        get, put = router.get, partial(router.put, responses=BODY_PROBLEM)
        get("/session", include_in_schema=False)(self._session)
        get("/health", summary="What is wrong with the fleet")(self._fleet_health)
        get("/devices/{device}/health", summary="What is wrong with a device")(self._device_health)
        get("/fleet", summary="The fleet over a time range")(self._fleet)
        get("/fleet/{chart}.csv", summary="A chart of the fleet's page as CSV")(self._fleet_csv)
        get("/devices", summary="One page of the table of devices")(self._devices)
        get("/devices/{device}", summary="One device over a time range")(self._device)
        get("/devices/{device}/{chart}.csv", summary="A chart of a device's page as CSV")(
            self._device_csv
        )
        get("/models", summary="The released bundle")(self._models)
        get("/models/capacities.csv", summary="The bundle's capacities as CSV")(
            self._capacities_csv
        )
        get("/models/wire-forms.csv", summary="The bundle's wire forms as CSV")(
            self._wire_forms_csv
        )
        get("/models/curves.csv", summary="The bundle's curves as CSV")(self._curves_csv)
        get("/operating-point", summary="The fleet's operating point")(self._fleet_point)
        put("/operating-point", summary="Set the fleet's target share")(self._set_fleet_target)
        get("/devices/{device}/operating-point", summary="A device's operating point")(
            self._device_point
        )
        put("/devices/{device}/operating-point", summary="Set a device's target share")(
            self._set_device_target
        )
        get("/receipts.csv", summary="All receipts of a time range as CSV")(self._receipts_csv)
        get("/rounds", summary="Federated rounds")(self._rounds)
        get("/rounds.csv", summary="Federated rounds as CSV")(self._rounds_csv)
        InputRoutes(self._parts).add_to(router)
        routes = [route for route in router.routes if isinstance(route, Route)]

        async def unknown(request: Request) -> None:
            raise no_such_route(request, routes)

        router.api_route("/{rest:path}", methods=_METHODS, include_in_schema=False)(unknown)
        return router

    async def _session(self) -> dict[str, bool]:
        return {"open": True}

    async def _fleet_health(self) -> HealthMessage:
        return HealthMessage(findings=await self._parts.health.of_fleet())

    async def _device_health(self, device: DeviceId) -> HealthMessage:
        if await self._parts.live.row(device) is None:
            raise no_such_device(device)
        return HealthMessage(findings=await self._parts.health.of_device(device))

    async def _fleet(
        self, span: SpanName = DEFAULT_SPAN.name, since_ms: Since = None, until_ms: Until = None
    ) -> FleetMessage:
        return FleetMessage.model_validate(await self._fleet_view(span, since_ms, until_ms))

    async def _fleet_csv(
        self,
        chart: FleetChart,
        span: SpanName = DEFAULT_SPAN.name,
        since_ms: Since = None,
        until_ms: Until = None,
    ) -> Response:
        view = await self._fleet_view(span, since_ms, until_ms)
        if chart == "bundles":
            return csv_response(chart_tables.bundles(view))
        return csv_response(totals_table(chart, view.totals, "bundles"))

    async def _devices(
        self,
        search: Annotated[str, Query(max_length=100)] = "",
        order_by: OrderBy = "device",
        *,
        descending: bool = False,
        offset: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> DevicesMessage:
        if order_by not in DEVICE_FIELDS:
            names = ", ".join(DEVICE_FIELDS)
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"order_by {order_by!r}: use one of {names}"
            )
        query = DeviceQuery(
            search=search, order_by=order_by, descending=descending, offset=offset, limit=limit
        )
        rows, total = await self._parts.live.devices(query)
        return DevicesMessage(total=total, devices=rows)

    async def _device(
        self,
        device: DeviceId,
        span: SpanName = DEFAULT_SPAN.name,
        since_ms: Since = None,
        until_ms: Until = None,
    ) -> DeviceMessage:
        view = await self._device_view(device, span, since_ms, until_ms)
        return DeviceMessage.of(view, await asyncio.to_thread(self._released))

    def _released(self) -> ReleasedLabels | None:
        try:
            return ReleasedLabels.of(self._parts.repository.manifest())
        except RepositoryError:
            return None

    async def _device_csv(
        self,
        device: DeviceId,
        chart: DeviceChart,
        span: SpanName = DEFAULT_SPAN.name,
        since_ms: Since = None,
        until_ms: Until = None,
    ) -> Response:
        view = await self._device_view(device, span, since_ms, until_ms)
        if chart == "answers":
            return csv_response(chart_tables.answers(view.answers))
        if chart == "budget":
            return csv_response(chart_tables.budget_by_time(view.answers))
        return csv_response(totals_table(chart, view.totals, "answers", "budget"))

    async def _models(self) -> ModelsMessage:
        return ModelsMessage.of(await asyncio.to_thread(read_models, self._parts.repository))

    async def _capacities_csv(self) -> Response:
        return await self._models_csv(capacities_table)

    async def _wire_forms_csv(self) -> Response:
        return await self._models_csv(wire_forms_table)

    async def _curves_csv(self) -> Response:
        return await self._models_csv(curves_table)

    async def _models_csv(self, build: Callable[[Models], Table]) -> Response:
        return csv_response(build(await asyncio.to_thread(read_models, self._parts.repository)))

    async def _fleet_point(self) -> OperatingPointMessage:
        return OperatingPointMessage.of(await read_state(self._parts, None))

    async def _device_point(self, device: DeviceId) -> OperatingPointMessage:
        return OperatingPointMessage.of(await read_state(self._parts, device))

    async def _set_fleet_target(
        self, request: Request, target: TargetMessage
    ) -> OperatingPointMessage:
        return await self._target(None, target, request)

    async def _set_device_target(
        self, request: Request, device: DeviceId, target: TargetMessage
    ) -> OperatingPointMessage:
        return await self._target(device, target, request)

    async def _target(
        self, device: str | None, target: TargetMessage, request: Request
    ) -> OperatingPointMessage:
        try:
            await asyncio.to_thread(
                self._parts.targets.set,
                device,
                target.offload_share,
                set_by=request.scope[REQUESTED_BY],
            )
        except TargetError as err:
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
        lines = receipt_lines(self._parts.figures.receipts(time_range, device=device))
        headers = {"Content-Disposition": 'attachment; filename="receipts.csv"'}
        return StreamingResponse(lines, media_type=CSV_TYPE, headers=headers)

    async def _rounds(self) -> list[RoundView]:
        rounds = await asyncio.to_thread(self._parts.rounds.latest, _LATEST_ROUNDS)
        return list(rounds)

    async def _rounds_csv(self) -> Response:
        rounds = await asyncio.to_thread(self._parts.rounds.latest, _LATEST_ROUNDS)
        return csv_response(rounds_table(rounds))

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
            raise no_such_device(device)
        return view

    def _range(self, span: str, since_ms: int | None, until_ms: int | None) -> TimeRange:
        default = self._parts.live.range(SPANS[span])
        since_ms = default.since_ms if since_ms is None else since_ms
        until_ms = default.until_ms if until_ms is None else until_ms
        if since_ms >= until_ms:
            raise RequestError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"since_ms {since_ms} is not before until_ms {until_ms}; both are Unix "
                "milliseconds",
            )
        return TimeRange(since_ms=since_ms, until_ms=until_ms)
