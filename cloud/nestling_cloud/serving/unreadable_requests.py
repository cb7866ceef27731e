"""Rejects gRPC requests that cannot be decoded, with a proper status and few log lines.

gRPC itself would answer such a call with UNKNOWN and log a traceback for each.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from nestling_cloud.serving.interceptors import Context, Handler, prepend_step
from nestling_core.parsing.throttled_log import ThrottledLog

_LOG = logging.getLogger(__name__)


class UnreadableRequestInterceptor(grpc.aio.ServerInterceptor):
    """Decodes requests and rejects unreadable ones; must be the server's first interceptor."""

    def __init__(self) -> None:
        self._unreadable = ThrottledLog(_LOG)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Decode a method's request here instead of in gRPC.

        Args:
            continuation: returns the method's handler.
            handler_call_details: the method and its metadata.
        """
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method
            return None
        parse = handler.request_deserializer or bytes

        async def read(data: bytes, context: Context) -> Any:
            try:
                return parse(data)
            except DecodeError as err:
                self._unreadable.add("a gRPC request", context.peer(), err)
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "the request cannot be decoded: send the message that this method takes",
                )

        return prepend_step(handler, read, None)
