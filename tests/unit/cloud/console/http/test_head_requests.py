import asyncio
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from nestling_cloud.console.http.head_requests import HeadAsGet


def _ask(method: str) -> tuple[list[str], list[Message]]:
    methods: list[str] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        methods.append(scope["method"])
        await PlainTextResponse("hello")(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": method, "path": "/", "headers": []}
    asyncio.run(HeadAsGet(app)(scope, receive, send))
    return methods, sent


def test_head_has_the_headers_of_get_and_no_body() -> None:
    methods, sent = _ask("HEAD")

    assert methods == ["GET"]
    assert (b"content-length", b"5") in sent[0]["headers"]
    assert b"".join(message.get("body", b"") for message in sent[1:]) == b""


def test_other_methods_are_unchanged() -> None:
    methods, sent = _ask("PUT")

    assert methods == ["PUT"]
    assert sent[1]["body"] == b"hello"
