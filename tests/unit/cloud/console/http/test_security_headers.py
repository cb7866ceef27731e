import asyncio
import re
from typing import Any

from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Message

from nestling_cloud.console.http.security_headers import HEADERS, SecurityHeaders


def _answer(response: Response, *, secure: bool = False) -> tuple[dict[str, str], bytes]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    asyncio.run(SecurityHeaders(response, secure=secure)(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return headers, b"".join(message.get("body", b"") for message in sent[1:])


def test_every_answer_has_the_headers_and_a_policy() -> None:
    headers, _ = _answer(PlainTextResponse("x"))

    assert {name.lower() for name in HEADERS} <= set(headers)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_scripts_of_a_page_have_the_nonce_that_the_policy_requires() -> None:
    page = "<script>a()</script><script type=module>b()</script>"

    headers, body = _answer(HTMLResponse(page, headers={"X-NiceGUI-Content": "page"}))

    nonces = set(re.findall(rb'<script nonce="([^"]+)"', body))
    (nonce,) = nonces
    policy = headers["content-security-policy"]
    assert f"'nonce-{nonce.decode()}'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert int(headers["content-length"]) == len(body)


def test_nonces_are_not_used_twice() -> None:
    page = HTMLResponse("<script></script>", headers={"X-NiceGUI-Content": "page"})

    assert _answer(page)[1] != _answer(page)[1]


def test_body_of_another_page_is_unchanged() -> None:
    _, body = _answer(HTMLResponse("<script></script>"))

    assert body == b"<script></script>"


def test_strict_transport_security_is_sent_over_tls_only() -> None:
    secure, _ = _answer(PlainTextResponse("x"), secure=True)
    plain, _ = _answer(PlainTextResponse("x"))

    assert secure["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in plain
