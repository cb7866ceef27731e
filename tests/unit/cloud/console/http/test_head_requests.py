import asyncio
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from nestling_cloud.console.http.head_requests import HeadAsGet


def _ask(method: str) -> tuple[list[str], list[Message]]:
    seen: list[str] = []
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["method"])
        await PlainTextResponse("hello")(scope, receive, send)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "method": method, "path": "/", "headers": []}
    asyncio.run(HeadAsGet(app)(scope, receive, send))
    return seen, sent


def test_head_is_answered_with_the_head_of_get_and_no_body() -> None:
    seen, sent = _ask("HEAD")

    assert seen == ["GET"]
    assert (b"content-length", b"5") in sent[0]["headers"]
    assert b"".join(message.get("body", b"") for message in sent[1:]) == b""


def test_other_methods_are_left_as_they_are() -> None:
    seen, sent = _ask("PUT")

    assert seen == ["PUT"]
    assert sent[1]["body"] == b"hello"
