"""Authenticates callers by their client certificates.

Calls with a revoked certificate are rejected.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import grpc
from cryptography import x509

from nestling.inference.v2 import inference_pb2
from nestling.v1 import delivery_pb2
from nestling_cloud.errors import CloudError
from nestling_cloud.serving.interceptors import Context, Handler, StepInterceptor, prepend_step

# Certificates whose serial numbers stay cached, so that not every call parses one.
_CERTIFICATES_KEPT = 16_384

_LOG = logging.getLogger(__name__)


class Peers:
    """Identifies callers by their certificates.

    Args:
        name_of: a function that maps a certificate's serial number to the device's name, or to None
            if the certificate is not valid.
    """

    def __init__(self, name_of: Callable[[int], str | None]) -> None:
        self._name_of = name_of

    async def name(self, context: Context) -> str:
        """Return the caller's name.

        If the caller has no valid certificate, the call ends with the status UNAUTHENTICATED. If
        the name cannot be looked up, the status is UNAVAILABLE.

        Args:
            context: the context of the call.
        """
        shown = context.auth_context().get("x509_pem_cert")
        try:
            name = self._name_of(_serial(b"".join(shown))) if shown else None
        except CloudError:
            _LOG.exception("cannot identify a caller")
            await context.abort(grpc.StatusCode.UNAVAILABLE, "try again later; see the cloud's log")
        if name is None:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED,
                "no valid client certificate: enrol this device (again)",
            )
        return name


class IdentityInterceptor(StepInterceptor):
    """Rejects calls without a valid certificate or with another device's name.

    The TLS layer has checked that the authority signed the certificate. For every call, this
    interceptor checks that the certificate is still valid and has not been revoked, and that the
    request names no other device.
    """

    def __init__(self, peers: Peers) -> None:
        """Create an interceptor.

        Args:
            peers: the object that identifies callers by their certificates.
        """
        self._peers = peers

    def prepend(self, handler: "Handler") -> "Handler":
        """Return a handler that checks the caller before it runs a method.

        Args:
            handler: the handler of the method.
        """
        return prepend_step(handler, self._check, handler.request_deserializer)

    async def _check(self, request: Any, context: Context) -> Any:
        name = await self._peers.name(context)
        claimed = claimed_device(request)
        if claimed not in {"", name}:
            await context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                f"the certificate is of {name!r}, but the request names {claimed[:64]!r}",
            )
        return request


def claimed_device(request: object) -> str:
    """Return the id of the device that a request names as its sender, or "" if it names none."""
    if isinstance(request, delivery_pb2.GetDesiredBundleRequest):
        return request.device_id
    if isinstance(request, inference_pb2.ModelInferRequest) and "device_id" in request.parameters:
        return request.parameters["device_id"].string_param
    return ""


@lru_cache(_CERTIFICATES_KEPT)
def _serial(pem: bytes) -> int:
    return x509.load_pem_x509_certificate(pem).serial_number
