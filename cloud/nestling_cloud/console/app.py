"""Assembles the console from its pages, its API and the access control in front of both."""

import functools
import time
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.types import ASGIApp

from nestling_cloud.console.api.not_found import PREFIX
from nestling_cloud.console.api.openapi import correct_openapi
from nestling_cloud.console.api.routes import Api
from nestling_cloud.console.auth.access import Access
from nestling_cloud.console.auth.guard import AccessMiddleware
from nestling_cloud.console.auth.login import Login
from nestling_cloud.console.auth.password import PasswordFile
from nestling_cloud.console.auth.sessions import Sessions
from nestling_cloud.console.auth.throttle import LoginThrottle
from nestling_cloud.console.auth.tokens import TokenFile
from nestling_cloud.console.data.console_data import ConsoleData
from nestling_cloud.console.http.error_page import add_error_pages
from nestling_cloud.console.http.head_requests import HeadAsGet
from nestling_cloud.console.http.problem import add_problem_handlers
from nestling_cloud.console.http.security_headers import SecurityHeaders
from nestling_cloud.console.pages import api as api_page
from nestling_cloud.console.pages import device, fleet, models, operating_point, rounds
from nestling_cloud.console.pages.frame import STYLE_PATH, style_sheet

_GZIP_LEVEL = 4  # on loopback, a higher level takes more time than it saves
# How long a page is kept for a browser that lost its connection.
_RECONNECT_S = 10.0
_BUILD_S = 15.0


def console_app(parts: ConsoleData, folder: Path, *, local_only: bool, secure: bool) -> ASGIApp:
    """Return the console's complete application, including access control.

    Call this only once in a process, because NiceGUI has only one application per process.

    Args:
        parts: the sources of the figures.
        folder: the folder of the console's credentials, `<state>/console`.
        local_only: whether the console listens on loopback.
        secure: whether the console uses TLS.
    """
    password, tokens = PasswordFile(folder), TokenFile(folder)
    sessions = Sessions(time.monotonic, password.mark)
    app = routes(parts, Login(password, sessions, LoginThrottle(time.monotonic), secure=secure))
    access = Access(sessions, tokens, local_only=local_only)
    guarded = SecurityHeaders(AccessMiddleware(app, access), secure=secure)
    return HeadAsGet(GZipMiddleware(guarded, minimum_size=1000, compresslevel=_GZIP_LEVEL))


def routes(parts: ConsoleData, login: Login) -> FastAPI:
    """Return an application with the pages, the API and the login, but without access control.

    Args:
        parts: the sources of the figures.
        login: the routes for login and logout.
    """
    app = FastAPI(
        title="Nestling",
        summary="Where inputs were answered, and what each answer cost.",
        version="1",
        docs_url=None,  # that page loads its scripts from another server
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    add_problem_handlers(app)
    for each in (app, nicegui_app):
        add_error_pages(each)
    app.include_router(login.router())
    app.include_router(Api(parts).router())
    app.get(STYLE_PATH, include_in_schema=False)(_style)
    _add_description(app)
    _add_pages(app, parts)
    ui.run_with(
        app,
        title="Nestling",
        favicon=None,
        dark=None,
        language="en-US",
        tailwind=False,  # we have our own style sheet, and Tailwind compiles styles in the browser
        gzip_middleware_factory=None,
        reconnect_timeout=_RECONNECT_S,
        show_welcome_message=False,
    )
    return app


def _add_description(app: FastAPI) -> None:
    describe = app.openapi

    @functools.cache
    def corrected() -> dict[str, Any]:
        return correct_openapi(describe())

    app.openapi = corrected  # type: ignore[method-assign]  # FastAPI's documented way to extend it


async def _style() -> Response:
    return Response(style_sheet(), media_type="text/css", headers={"Cache-Control": "max-age=300"})


def _add_pages(app: FastAPI, parts: ConsoleData) -> None:
    @ui.page("/", title="Fleet · Nestling", response_timeout=_BUILD_S)
    async def fleet_page(request: Request) -> None:
        await fleet.show(request, parts)

    @ui.page("/devices/{name}", title="Device · Nestling", response_timeout=_BUILD_S)
    async def device_page(request: Request, name: str) -> None:
        await device.show(request, parts, name)

    @ui.page("/models", title="Models · Nestling", response_timeout=_BUILD_S)
    async def models_page(request: Request) -> None:
        await models.show(request, parts)

    @ui.page("/operating-point", title="Operating point · Nestling", response_timeout=_BUILD_S)
    async def point_page(request: Request) -> None:
        await operating_point.show(request, parts, request.query_params.get("device") or None)

    @ui.page("/rounds", title="Rounds · Nestling", response_timeout=_BUILD_S)
    async def rounds_page(request: Request) -> None:
        await rounds.show(request, parts)

    @ui.page("/api", title="API · Nestling", response_timeout=_BUILD_S)
    async def api_page_(request: Request) -> None:
        await api_page.show(request, app, parts)
