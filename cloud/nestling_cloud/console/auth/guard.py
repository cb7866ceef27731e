"""The gate in front of every route, page, asset and socket of the console."""

import asyncio
import logging
from http import HTTPStatus
from urllib.parse import quote

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nestling_cloud.console.auth.access import Access, Decision, RequestHead, Verdict
from nestling_cloud.console.http.error_page import error_page
from nestling_cloud.console.http.paths import API, LOGIN
from nestling_cloud.console.http.problem import problem
from nestling_cloud.errors import CloudError

_LOG = logging.getLogger(__name__)
_STRANGE = {
    Verdict.STRANGE_HOST: "this console goes by the names of this machine only: open it as "
    "http://127.0.0.1 or http://localhost with its port",
    Verdict.STRANGE_ORIGIN: "only pages of this console may change something; scripts use a token "
    "(nestling-cloud console token add NAME)",
}
_NO_KEY = "send 'Authorization: Bearer TOKEN'; `nestling-cloud console token add NAME` makes one"
# In a request's scope: who asks.
ASKED_BY = "nestling.asked_by"
# Private use, RFC 6455: the browser is to log in again.
_CLOSE_LOGGED_OUT = 4401


class AccessMiddleware:
    """ASGI middleware: lets through what `Access` lets through, and nothing else.

    Args:
        app: what is guarded, all of it.
        access: decides.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        asked = _head(scope)
        decision = await asyncio.to_thread(self._decide, asked)  # reads files
        verdict = decision.verdict
        scope[ASKED_BY] = decision.by
        if scope["type"] == "websocket":
            if verdict is Verdict.PASS:
                await self.app(scope, self._receive_while_open(asked, receive), send)
            else:
                await receive()  # the handshake, which is answered with 403
                await send({"type": "websocket.close", "code": _CLOSE_LOGGED_OUT})
        elif verdict is Verdict.PASS:
            await self.app(scope, receive, send)
        else:
            await _refusal(verdict, asked)(scope, receive, send)

    def _decide(self, asked: RequestHead) -> Decision:
        try:
            return self._access.decide(asked)
        except CloudError as err:  # credentials that cannot be read let nobody in
            _LOG.warning("console: %s", err)
            return Decision(verdict=Verdict.LOG_IN)

    def _receive_while_open(self, asked: RequestHead, receive: Receive) -> Receive:
        """End a socket with its session: a page's socket hears from the page every few seconds."""

        async def receive_checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not self._access.session_lasts(asked):
                return {"type": "websocket.disconnect", "code": _CLOSE_LOGGED_OUT}
            return message

        return receive_checked


def _head(scope: Scope) -> RequestHead:
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    return RequestHead(path=scope["path"], method=scope.get("method", "WEBSOCKET"), headers=headers)


def _refusal(verdict: Verdict, asked: RequestHead) -> Response:
    of_api = asked.path.startswith(API)
    if verdict is not Verdict.LOG_IN:
        text = _STRANGE[verdict]
        if of_api:
            return problem(HTTPStatus.FORBIDDEN, text)
        return error_page(HTTPStatus.FORBIDDEN, asked.headers.get("accept", ""), text)
    if of_api:
        return problem(HTTPStatus.UNAUTHORIZED, _NO_KEY, {"WWW-Authenticate": "Bearer"})
    if asked.method == "GET" and "text/html" in asked.headers.get("accept", ""):
        return RedirectResponse(f"{LOGIN}?next={quote(asked.path)}", HTTPStatus.SEE_OTHER)
    return PlainTextResponse("log in first", HTTPStatus.UNAUTHORIZED)
