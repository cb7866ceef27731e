"""Ends gRPC calls whose requests cannot be read, with a status and few lines in the log.

gRPC itself answers such a call with UNKNOWN, and logs a traceback for each.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from nestling_cloud.serving.interceptors import Context, Handler, prepared
from nestling_core.parsing.throttled_log import ThrottledLog

_LOG = logging.getLogger(__name__)


class UnreadableRequestInterceptor(grpc.aio.ServerInterceptor):
    """Reads requests before anything else sees them; to be the first of a server's interceptors."""

    def __init__(self) -> None:
        self._complaints = ThrottledLog(_LOG)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Read a method's request here instead of in gRPC."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method
            return None
        parse = handler.request_deserializer or bytes

        async def read(data: bytes, context: Context) -> Any:
            try:
                return parse(data)
            except DecodeError as err:
                self._complaints.add("a gRPC request", context.peer(), err)
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT,
                    "the request cannot be read: not this protocol's",
                )

        return prepared(handler, read, None)
