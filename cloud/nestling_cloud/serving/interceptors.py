"""gRPC methods with a step before them, for interceptors."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
# Generic only for mypy.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Prepare: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


def prepared(
    handler: "Handler", prepare: Prepare, deserializer: Callable[[bytes], Any] | None
) -> "Handler":
    """Put a step before a method of ours; none of them takes a stream.

    Args:
        handler: of the method.
        prepare: `(request, context) -> request for the method`; it may abort the call.
        deserializer: makes the request that `prepare` gets; None gives it the bytes.
    """
    # The stubs know no methods but synchronous ones.
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
