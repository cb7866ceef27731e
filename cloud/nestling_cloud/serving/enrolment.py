"""Issues and renews the certificates of devices over gRPC.

A device with a token gets its first certificate by enrolment, and a device with a certificate gets
the next one by renewal.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, NoReturn, TypeAlias

import grpc

from nestling.v1 import enrolment_pb2 as pb
from nestling.v1 import enrolment_pb2_grpc
from nestling_cloud.errors import CloudError
from nestling_cloud.fleet.certificates import CertificateError
from nestling_cloud.fleet.enrolment import Enrolment
from nestling_cloud.fleet.listeners import Security
from nestling_cloud.fleet.roster import EnrolmentTokenError
from nestling_cloud.serving.listener import (
    HANDSHAKE_DEADLINE,
    ONE_SERVER_A_PORT,
    listening,
    tls_credentials,
)
from nestling_cloud.serving.peers import Peers
from nestling_cloud.serving.unreadable_requests import UnreadableRequestInterceptor
from nestling_core.network.address import Address

# Limits for clients that are not authenticated. A device makes one call; a client that starts calls
# without sending requests, or connects and does nothing, is disconnected.
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.max_connection_age_ms", 30_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
    HANDSHAKE_DEADLINE,
    ONE_SERVER_A_PORT,
)
# Requests processed at once; the others wait. Calls are not limited, because calls without a
# request would count too, and cost their senders nothing.
_MOST_AT_ONCE = 4

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_LOG = logging.getLogger(__name__)


class EnrolmentServicer(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Issues certificates to devices that present an enrolment token.

    The listener does not ask clients for a certificate.

    Args:
        enrolment: the fleet's enrolment, which checks tokens and signs certificates.
        cloud: the HOST:PORT of inference and delivery, which is sent to devices.
        broker: the HOST:PORT of the broker, which is sent to devices.
    """

    def __init__(self, enrolment: Enrolment, *, cloud: str, broker: str) -> None:
        self._enrolment = enrolment
        self._cloud = cloud
        self._broker = broker
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)

    async def Enrol(  # noqa: N802
        self, request: pb.EnrolRequest, context: _Context
    ) -> pb.EnrolResponse:
        """Return a certificate for the device to which the token in the request belongs.

        If the token is unknown or expired, or was used with another key, the call ends with the
        status PERMISSION_DENIED. If the signing request is invalid, the status is INVALID_ARGUMENT.
        If the cloud fails, the status is UNAVAILABLE.
        """
        try:
            async with self._at_once:
                name, certificate = await asyncio.to_thread(
                    self._enrolment.enrol, request.secret, request.certificate_request
                )
        except EnrolmentTokenError as err:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(err))
        except CertificateError as err:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(err))
        except CloudError as err:
            await _abort_broken(context, err)
        _LOG.info("%s enrolled", name)
        return pb.EnrolResponse(
            device_id=name,
            certificate=certificate,
            authority=self._enrolment.authority.certificate_pem,
            broker=self._broker,
            cloud=self._cloud,
        )


class RenewalServicer(enrolment_pb2_grpc.RenewalServiceServicer):
    """Renews the certificates of enrolled devices.

    The listener authenticates the callers by their current certificates.

    Args:
        enrolment: the fleet's enrolment, which signs certificates.
        peers: the object that identifies callers by their certificates.
    """

    def __init__(self, enrolment: Enrolment, peers: Peers) -> None:
        self._enrolment = enrolment
        self._peers = peers

    async def Renew(  # noqa: N802
        self, request: pb.RenewRequest, context: _Context
    ) -> pb.RenewResponse:
        """Return a new certificate for the caller.

        The caller's current certificate stays valid. The call ends with the status UNAUTHENTICATED
        if the caller has no valid certificate, with INVALID_ARGUMENT if the signing request is
        invalid, and with UNAVAILABLE if the cloud fails.
        """
        name = await self._peers.name(context)
        try:
            certificate = await asyncio.to_thread(
                self._enrolment.renew, name, request.certificate_request
            )
        except CertificateError as err:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(err))
        except CloudError as err:
            await _abort_broken(context, err)
        return pb.RenewResponse(certificate=certificate)


async def _abort_broken(context: _Context, err: CloudError) -> NoReturn:
    """End a call with the status UNAVAILABLE because the cloud has failed.

    The reason is logged, but not sent to the caller.
    """
    _LOG.error("cannot sign: %s", err)
    await context.abort(
        grpc.StatusCode.UNAVAILABLE, "the cloud cannot sign now, see its log; try again later"
    )


@contextlib.asynccontextmanager
async def enrolling(
    security: Security, host: str, port: int, *, cloud: str, broker: str
) -> AsyncIterator[Address]:
    """Serve enrolment for devices with a token until the end of the block.

    Args:
        security: the cloud's authority and certificates.
        host: the host to listen on.
        port: the port to listen on; 0 picks a free one.
        cloud: the HOST:PORT of inference and delivery, which is sent to devices.
        broker: the HOST:PORT of the broker, which is sent to devices.

    Yields:
        The address of the listener.

    Raises:
        ListenerError: the server cannot listen on the host and port, for example because the port
            is taken.
    """
    server = grpc.aio.server(options=_OPTIONS, interceptors=[UnreadableRequestInterceptor()])
    servicer = EnrolmentServicer(security.enrolment, cloud=cloud, broker=broker)
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(servicer, server)
    credentials = tls_credentials(security.server_files, ask_for_certificate=False)
    async with listening(server, host, port, credentials) as address:
        yield address
