"""Builds the pages that the console shows for errors.

An error page is plain HTML in the style of the login page, with a link to the fleet's page.
"""

import html
from http import HTTPStatus

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from nestling_cloud.console.http.paths import API, ICON, STYLE
from nestling_cloud.console.http.problem import problem

_DEFAULT_TEXTS = {
    HTTPStatus.FORBIDDEN: "You may not open this page.",
    HTTPStatus.NOT_FOUND: "There is no page at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not answer that kind of request.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "The cloud could not build this page; see its log for the "
    "reason. Try again in a moment.",
}


def error_page(
    status: int, accept: str, text: str = "", headers: dict[str, str] | None = None
) -> Response:
    """Return the response to a failed request.

    The response is a page if the client accepts HTML, otherwise a line of text.

    Args:
        status: the HTTP status.
        accept: the Accept header of the request.
        text: a message that says what is wrong and what to do; "" for a default that fits the
            status.
        headers: further HTTP headers of the response.
    """
    http_status = HTTPStatus(status)
    message = text or _DEFAULT_TEXTS.get(http_status, http_status.description or http_status.phrase)
    if "text/html" not in accept:
        return PlainTextResponse(f"{message}\n", status, headers)
    return HTMLResponse(_page(f"{status} · {http_status.phrase}", message), status, headers)


def add_error_pages(app: FastAPI) -> None:
    """Make an app answer errors with pages.

    Under /api, the app answers errors with problem objects (RFC 9457) instead.
    """

    async def http_error(request: Request, err: Exception) -> Response:
        assert isinstance(err, HTTPException)
        headers = dict(err.headers) if err.headers else None
        if request.url.path.startswith(API):
            return problem(err.status_code, f"{err.detail}; see /api/v1/openapi.json", headers)
        return error_page(err.status_code, request.headers.get("accept", ""), headers=headers)

    async def failure(request: Request, _: Exception) -> Response:
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        if request.url.path.startswith(API):
            return problem(status, "the cloud could not answer; see its log for the reason")
        return error_page(status, request.headers.get("accept", ""))

    # Registered by status too, because NiceGUI has its own page for 404.
    app.add_exception_handler(HTTPStatus.NOT_FOUND, http_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, failure)


def _page(title: str, text: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)} · Nestling</title>
<link rel="icon" href="{ICON}">
<link rel="stylesheet" href="{STYLE}">
</head>
<body>
<main>
<h1><img src="{ICON}" alt="" width="28" height="28"> {html.escape(title)}</h1>
<p>{html.escape(text)}</p>
<p><a href="/">Back to the fleet</a></p>
</main>
</body>
</html>
"""
