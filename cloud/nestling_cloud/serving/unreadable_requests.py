"""Rejects gRPC requests that cannot be decoded.

The caller gets the status INVALID_ARGUMENT, and only some of these requests are logged. gRPC itself
would answer with the status UNKNOWN and log a traceback for each request.
"""

import logging
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from nestling_cloud.serving.interceptors import Context, Handler, StepInterceptor, prepend_step
from nestling_core.parsing.throttled_log import ThrottledLog

_LOG = logging.getLogger(__name__)


class UnreadableRequestInterceptor(StepInterceptor):
    """Rejects requests that cannot be decoded.

    It must be the server's first interceptor, because it decodes the requests for the others.
    """

    def __init__(self) -> None:
        self._unreadable = ThrottledLog(_LOG)

    def prepend(self, handler: "Handler") -> "Handler":
        """Return a handler that decodes the request of a method before it runs the method.

        Args:
            handler: the handler of the method.
        """
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
