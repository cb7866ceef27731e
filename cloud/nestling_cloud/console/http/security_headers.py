"""Adds security headers to every response.

The inline scripts of a page also get a nonce (a random value), and browsers run only the inline
scripts that have it.
"""

import secrets
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    # With "no-referrer", browsers would send "Origin: null" from our own forms.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
# Applies to this host only, but to all of its ports: browsers use only HTTPS from then on.
STRICT_TRANSPORT = {"Strict-Transport-Security": "max-age=31536000"}
_BASE_POLICY = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_PLAIN_POLICY = f"{_BASE_POLICY}; style-src 'self'; img-src 'self'; form-action 'self'"
# Vue compiles NiceGUI's templates in the browser, which needs eval; its elements have inline
# styles.
_PAGE_POLICY = (
    f"{_BASE_POLICY}; script-src 'self' 'nonce-{{nonce}}' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "connect-src 'self'; form-action 'self'"
)
_NICEGUI_PAGE = "x-nicegui-content"


class SecurityHeaders:
    """ASGI middleware that adds security headers to every response.

    Inline scripts in NiceGUI's page template get a nonce (a random value), without which browsers
    do not run them. The content of a page is JSON with escaped brackets, so a script in the content
    gets no nonce and does not run.

    Args:
        app: the application.
        secure: whether the console uses TLS; if so, a header makes browsers use only HTTPS.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        self._headers = {**HEADERS, **STRICT_TRANSPORT} if secure else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(send, self._headers)
        await self.app(scope, receive, answer.send)


class _Answer:
    """Sends one response with the security headers.

    A page is held back until its whole body has arrived, so that its scripts can be given a nonce.
    """

    def __init__(self, send: Send, always: Mapping[str, str]) -> None:
        self._send = send
        self._always = always
        self._page: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            _add(headers, self._always)
            if headers.get(_NICEGUI_PAGE):
                self._page = message
                return
            _add(headers, {"Content-Security-Policy": _PLAIN_POLICY, "Cache-Control": "no-store"})
        elif self._page is not None and message["type"] == "http.response.body":
            await self._take_page(message)
            return
        await self._send(message)

    async def _take_page(self, message: Message) -> None:
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        assert self._page is not None
        nonce = secrets.token_urlsafe(16)
        body = self._body.replace(b"<script", f'<script nonce="{nonce}"'.encode())
        headers = MutableHeaders(scope=self._page)
        headers["Content-Length"] = str(len(body))
        headers["Content-Security-Policy"] = _PAGE_POLICY.format(nonce=nonce)
        await self._send(self._page)
        await self._send({"type": "http.response.body", "body": body})


def _add(headers: MutableHeaders, defaults: Mapping[str, str]) -> None:
    for name, value in defaults.items():
        headers.setdefault(name, value)
