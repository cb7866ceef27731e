"""Who calls: the name in the client certificate that a connection showed, if it is still good."""

import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any

import grpc
from cryptography import x509

from nestling.inference.v2 import inference_pb2
from nestling.v1 import delivery_pb2
from nestling_cloud.errors import CloudError
from nestling_cloud.serving.interceptors import Context, Handler, prepared

# Connections whose certificates are not read again with every call.
_CERTIFICATES_KEPT = 16_384

_LOG = logging.getLogger(__name__)


class Peers:
    """Knows callers by their certificates.

    Args:
        name_of: name of the device whose certificate has a serial number, None if it is good no
            more.
    """

    def __init__(self, name_of: Callable[[int], str | None]) -> None:
        self._name_of = name_of

    async def name(self, context: Context) -> str:
        """Name of the caller; without a good certificate the call ends as UNAUTHENTICATED."""
        shown = context.auth_context().get("x509_pem_cert")
        try:
            name = self._name_of(_serial(b"".join(shown))) if shown else None
        except CloudError:
            _LOG.exception("cannot tell who calls")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "try again later; see the cloud's log")
        if name is None:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "no client certificate that is good here: enrol this device (again)",
            )
        return name


class IdentityInterceptor(grpc.aio.ServerInterceptor):
    """Lets in calls of devices that are who they say.

    The TLS layer has checked that the authority signed the caller. This checks, for every call,
    that the certificate has not been revoked since, and that the caller speaks for itself.
    """

    def __init__(self, peers: Peers) -> None:
        """Guard a server.

        Args:
            peers: knows callers.
        """
        self._peers = peers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["Handler | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Put the check before a method."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method
            return None
        return prepared(handler, self._admitted, handler.request_deserializer)

    async def _admitted(self, request: Any, context: Context) -> Any:
        name = await self._peers.name(context)
        said = said_device(request)
        if said not in {"", name}:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"this is {name!r} by its certificate and says that it is {said[:64]!r}",
            )
        return request


def said_device(request: object) -> str:
    """Name that a request says it comes from; empty if it does not say."""
    if isinstance(request, delivery_pb2.GetDesiredBundleRequest):
        return request.device_id
    if isinstance(request, inference_pb2.ModelInferRequest) and "device_id" in request.parameters:
        return request.parameters["device_id"].string_param
    return ""


@lru_cache(_CERTIFICATES_KEPT)
def _serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number
