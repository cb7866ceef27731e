"""Helps interceptors to run a step before a gRPC method."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
# A string, because the class is generic only in the stubs.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Prepare: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


def prepend_step(
    handler: "Handler", prepare: Prepare, deserializer: Callable[[bytes], Any] | None
) -> "Handler":
    """Return a handler that runs a step before a method.

    The method must take a single request, not a stream of requests.

    Args:
        handler: the handler of the method.
        prepare: the step, a function `(request, context) -> request for the method` that may abort
            the call.
        deserializer: the function that decodes the request for `prepare`; None if `prepare` takes
            the request's bytes.
    """
    # The stubs describe synchronous methods only.
    unary: Any = handler.unary_unary
    streaming: Any = handler.unary_stream

    async def answer(request: Any, context: Context) -> Any:
        return await unary(await prepare(request, context), context)

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        async for response in streaming(await prepare(request, context), context):
            yield response

    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(
            stream, deserializer, handler.response_serializer
        )
    return grpc.unary_unary_rpc_method_handler(answer, deserializer, handler.response_serializer)
