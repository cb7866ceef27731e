"""Runs a step, such as a check of the caller, before every method of a gRPC server."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import grpc

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
# A string, because the class is generic only in the stubs.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Prepare: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


class StepInterceptor(grpc.aio.ServerInterceptor):
    """Base class of interceptors that run a step, such as a check, before every method."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Return a handler that runs the step before it runs a method.

        Args:
            continuation: the function that returns the method's handler.
            handler_call_details: the method's name and the call's metadata.

        Returns:
            The handler, or None if there is no such method.
        """
        handler = await continuation(handler_call_details)
        return None if handler is None else self.prepend(handler)

    @abstractmethod
    def prepend(self, handler: "Handler") -> "Handler":
        """Return a handler that runs the step before a method, see `prepend_step`.

        Args:
            handler: the handler of the method.
        """


def prepend_step(
    handler: "Handler", prepare: Prepare, deserializer: Callable[[bytes], Any] | None
) -> "Handler":
    """Return a handler that runs a step before a method.

    The method must have a single request, not a stream of requests. It may return a single response
    or a stream of responses.

    Args:
        handler: the handler of the method.
        prepare: the step, a function `(request, context) -> request for the method` that may abort
            the call.
        deserializer: the function that decodes the request for `prepare`; None to pass the
            request's bytes to `prepare`.
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
