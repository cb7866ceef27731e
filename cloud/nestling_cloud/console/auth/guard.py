"""Checks access to every route, page, asset and websocket of the console."""

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
_FOREIGN = {
    Verdict.FOREIGN_HOST: "this console answers only to the names of this machine: open it as "
    "http://127.0.0.1 or http://localhost with its port",
    Verdict.FOREIGN_ORIGIN: "only pages of this console may send this request; scripts need a "
    "token (nestling-cloud console token add NAME)",
}
_NO_KEY = "send 'Authorization: Bearer TOKEN'; `nestling-cloud console token add NAME` makes one"
# Key in the ASGI scope: who sent the request.
REQUESTED_BY = "nestling.requested_by"
# For private use by RFC 6455: the browser has to log in again.
_CLOSE_LOGGED_OUT = 4401


class AccessMiddleware:
    """ASGI middleware that forwards only the requests that `Access` allows.

    Other requests are refused. A browser that opens a page without a session is redirected to the
    login page. A request is also refused if its credentials cannot be checked, because a file with
    credentials cannot be read. A websocket is closed once its session has ended.

    Args:
        app: the guarded application.
        access: the rules that decide which requests pass.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request or websocket that is allowed, and refuse any other."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        head = _head(scope)
        decision = await asyncio.to_thread(self._decide, head)  # reads files
        verdict = decision.verdict
        scope[REQUESTED_BY] = decision.by
        if scope["type"] == "websocket":
            if verdict is Verdict.PASS:
                await self.app(scope, self._receive_while_open(head, receive), send)
            else:
                await receive()  # the handshake; closing before accepting answers it with 403
                await send({"type": "websocket.close", "code": _CLOSE_LOGGED_OUT})
        elif verdict is Verdict.PASS:
            await self.app(scope, receive, send)
        else:
            await _refusal(verdict, head)(scope, receive, send)

    def _decide(self, head: RequestHead) -> Decision:
        try:
            return self._access.decide(head)
        except CloudError as err:  # nobody gets in while the credentials cannot be read
            _LOG.warning("console: %s", err)
            return Decision(verdict=Verdict.LOG_IN)

    def _receive_while_open(self, head: RequestHead, receive: Receive) -> Receive:
        """Return a receiver that reports a disconnection once the session has ended.

        The session is checked whenever the page sends something, which happens every few seconds.
        Each check counts as a use of the session, so a session does not time out while one of its
        pages is open.
        """

        async def receive_checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not self._access.session_lasts(head):
                return {"type": "websocket.disconnect", "code": _CLOSE_LOGGED_OUT}
            return message

        return receive_checked


def _head(scope: Scope) -> RequestHead:
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    return RequestHead(path=scope["path"], method=scope.get("method", "WEBSOCKET"), headers=headers)


def _refusal(verdict: Verdict, head: RequestHead) -> Response:
    is_api = head.path.startswith(API)
    if verdict is not Verdict.LOG_IN:
        text = _FOREIGN[verdict]
        if is_api:
            return problem(HTTPStatus.FORBIDDEN, text)
        return error_page(HTTPStatus.FORBIDDEN, head.headers.get("accept", ""), text)
    if is_api:
        return problem(HTTPStatus.UNAUTHORIZED, _NO_KEY, {"WWW-Authenticate": "Bearer"})
    if head.method == "GET" and "text/html" in head.headers.get("accept", ""):
        return RedirectResponse(f"{LOGIN}?next={quote(head.path)}", HTTPStatus.SEE_OTHER)
    return PlainTextResponse("log in first", HTTPStatus.UNAUTHORIZED)
