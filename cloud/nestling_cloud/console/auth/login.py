"""Serves login and logout.

The login page is plain HTML, because the files that other pages load need a session.
"""

import asyncio
import html
import logging
from collections.abc import Callable
from http import HTTPStatus
from importlib import resources
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from nestling_cloud.console.auth.password import PasswordError, PasswordFile
from nestling_cloud.console.auth.sessions import COOKIE, LONGEST_S, Sessions
from nestling_cloud.console.auth.throttle import LoginThrottle
from nestling_cloud.console.http.paths import HEALTH, ICON, LOGIN, STYLE

LOGOUT = "/logout"
_LARGEST_FORM_BYTES = 8192

_LOG = logging.getLogger(__name__)


class Login:
    """The routes for login and logout.

    Args:
        password: the file with the hash of the password.
        sessions: the sessions of browsers, which login opens and logout closes.
        throttle: the counter of failed logins, which limits how fast passwords may be tried.
        secure: whether the session cookie is restricted to TLS connections.
    """

    def __init__(
        self, password: PasswordFile, sessions: Sessions, throttle: LoginThrottle, *, secure: bool
    ) -> None:
        self._password = password
        self._sessions = sessions
        self._throttle = throttle
        self._secure = secure
        # One hash at a time: each takes 64 MiB, and the throttle must count a failure before the
        # next password is checked.
        self._checking = asyncio.Lock()

    def router(self) -> APIRouter:
        """Return a router for login, logout, the health check and the files of the login page."""
        router = APIRouter(include_in_schema=False)
        router.get(HEALTH)(_health)
        router.get(STYLE)(_asset("login.css", "text/css"))
        router.get(ICON)(_asset("icon.svg", "image/svg+xml"))
        router.get(LOGIN)(self._show)
        router.post(LOGIN)(self._log_in)
        router.post(LOGOUT)(self._log_out)
        return router

    async def _show(self, next: str = "/") -> Response:  # noqa: A002 (the query's name)
        return _page(_local(next))

    async def _log_in(self, request: Request) -> Response:
        form = await _form(request)
        target = _local(form.get("next", "/"))
        address = request.client.host if request.client else ""
        async with self._checking:
            if wait_s := self._throttle.wait_s(address):
                return _too_many(target, wait_s)
            try:
                correct = await asyncio.to_thread(self._password.check, form.get("password", ""))
            except PasswordError as err:
                return _page(target, str(err), HTTPStatus.INTERNAL_SERVER_ERROR)
            if not correct:
                self._throttle.failed(address)
                _LOG.warning("console: wrong password from %s", address)
                return _page(target, "Wrong password.", HTTPStatus.UNAUTHORIZED)
            self._throttle.succeeded(address)
        response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
        response.set_cookie(
            COOKIE,
            self._sessions.open(),
            max_age=int(LONGEST_S),
            httponly=True,
            secure=self._secure,
            samesite="lax",  # strict would ask for the password after every link from another site
        )
        return response

    async def _log_out(self, request: Request) -> Response:
        self._sessions.close(request.cookies.get(COOKIE, ""))
        response = RedirectResponse(LOGIN, HTTPStatus.SEE_OTHER)
        response.delete_cookie(COOKIE)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response


async def _health() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


def _asset(name: str, media_type: str) -> Callable[[], Response]:
    content = (resources.files("nestling_cloud.console") / "assets" / name).read_bytes()

    def serve() -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "max-age=3600"})

    return serve


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a form, or no fields if the form is larger than a login needs."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def _local(target: str) -> str:
    """Return `target` if it is a path to open after login, otherwise "/".

    Only paths of this console may be opened, except those of login and logout.
    """
    inside = target.startswith("/") and not target.startswith(("//", "/\\", LOGIN, LOGOUT))
    return target if inside and target.isprintable() else "/"


def _too_many(target: str, wait_s: float) -> Response:
    seconds = int(wait_s) + 1
    text = f"Too many wrong passwords. Try again in {seconds} s."
    response = _page(target, text, HTTPStatus.TOO_MANY_REQUESTS)
    response.headers["Retry-After"] = str(seconds)
    return response


def _page(target: str, error: str = "", status: int = HTTPStatus.OK) -> HTMLResponse:
    message = f'<p id="error" role="alert">{html.escape(error)}</p>' if error else ""
    described = ' aria-describedby="error" aria-invalid="true"' if error else ""
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Log in · Nestling</title>
<link rel="icon" href="{ICON}">
<link rel="stylesheet" href="{STYLE}">
</head>
<body>
<main>
<h1><img src="{ICON}" alt="" width="28" height="28"> Nestling</h1>
<form method="post" action="{LOGIN}">
<input type="hidden" name="next" value="{html.escape(target)}">
<input type="text" name="username" value="console" autocomplete="username" hidden>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password"
 required autofocus{described}>
{message}
<button>Log in</button>
</form>
<p class="hint"><code>nestling-cloud serve</code> printed the password at its first start.
<code>nestling-cloud console password</code> makes a new one.</p>
</main>
</body>
</html>
""",
        status,
    )
