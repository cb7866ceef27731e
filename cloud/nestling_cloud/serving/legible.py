"""Ends gRPC calls whose requests cannot be read, with a status and few lines in the log.

gRPC itself answers such a call with UNKNOWN, and logs a traceback for each.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from nestling.complaints import Complaints

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
# Generic only for mypy.
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
_Parse: TypeAlias = Callable[[bytes], Any]

_LOG = logging.getLogger(__name__)


class Legible(grpc.aio.ServerInterceptor):
    """Reads requests before anything else sees them; to be the first of a server's interceptors."""

    def __init__(self) -> None:
        self._complaints = Complaints(_LOG)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["_Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "_Handler | None":
        """Read a method's request here instead of in gRPC; none of ours takes a stream."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method
            return None
        parse, serialize = handler.request_deserializer, handler.response_serializer
        assert parse is not None  # generated code gives every method one
        if handler.response_streaming:
            stream = self._reading_stream(handler.unary_stream, parse)
            return grpc.unary_stream_rpc_method_handler(stream, None, serialize)
        return grpc.unary_unary_rpc_method_handler(
            self._reading(handler.unary_unary, parse), None, serialize
        )

    def _reading(self, method: Any, parse: _Parse) -> Any:
        async def answer(data: bytes, context: _Context) -> Any:
            return await method(await self._read(parse, data, context), context)

        return answer

    def _reading_stream(self, method: Any, parse: _Parse) -> Any:
        async def answer(data: bytes, context: _Context) -> AsyncIterator[Any]:
            request = await self._read(parse, data, context)
            async for response in method(request, context):
                yield response

        return answer

    async def _read(self, parse: _Parse, data: bytes, context: _Context) -> Any:
        try:
            return parse(data)
        except DecodeError as err:
            self._complaints.add("a gRPC request", context.peer(), err)
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "the request cannot be read: not this protocol's"
            )
