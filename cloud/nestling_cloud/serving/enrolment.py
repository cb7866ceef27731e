"""Enrolment and renewal: one desk for who has a token, another for who has a certificate."""

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

# Of strangers, who have not shown their token yet. A device makes one call; whoever begins calls
# and never sends a request, or comes and asks nothing, is put out.
_OPTIONS = (
    ("grpc.max_receive_message_length", 64 * 1024),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.max_connection_age_ms", 30_000),
    ("grpc.max_connection_age_grace_ms", 10_000),
    HANDSHAKE_DEADLINE,
    ONE_SERVER_A_PORT,
)
# Requests that are looked at; the others wait. Calls are not limited in number: those that have no
# request yet would count, and cost their senders nothing.
_MOST_AT_ONCE = 4

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_LOG = logging.getLogger(__name__)


class EnrolmentServicer(enrolment_pb2_grpc.EnrolmentServiceServicer):
    """Takes tokens for certificates; for a listener that asks for no certificate.

    Args:
        enrolment: decides and signs.
        cloud: HOST:PORT of inference and delivery, told to devices.
        broker: likewise.
    """

    def __init__(self, enrolment: Enrolment, *, cloud: str, broker: str) -> None:
        self._enrolment = enrolment
        self._cloud = cloud
        self._broker = broker
        self._at_once = asyncio.Semaphore(_MOST_AT_ONCE)

    async def Enrol(  # noqa: N802
        self, request: pb.EnrolRequest, context: _Context
    ) -> pb.EnrolResponse:
        """A certificate for a token."""
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
    """Gives enrolled devices another certificate; for a listener that knows its callers.

    Args:
        enrolment: signs.
        peers: knows callers.
    """

    def __init__(self, enrolment: Enrolment, peers: Peers) -> None:
        self._enrolment = enrolment
        self._peers = peers

    async def Renew(  # noqa: N802
        self, request: pb.RenewRequest, context: _Context
    ) -> pb.RenewResponse:
        """Another certificate for the caller's name."""
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
    """End a call that failed on our side, and say why where only we read it."""
    _LOG.error("cannot sign: %s", err)
    await context.abort(
        grpc.StatusCode.UNAVAILABLE, "the cloud cannot sign just now, see its log; try again later"
    )


@contextlib.asynccontextmanager
async def enrolling(
    security: Security, host: str, port: int, *, cloud: str, broker: str
) -> AsyncIterator[Address]:
    """Listen for devices that have a token; yields where.

    Args:
        security: the cloud's.
        host: where to listen.
        port: likewise; 0 takes a free one.
        cloud: HOST:PORT of inference and delivery, told to devices.
        broker: likewise.

    Raises:
        ListenerError: the port is taken.
    """
    server = grpc.aio.server(options=_OPTIONS, interceptors=[UnreadableRequestInterceptor()])
    desk = EnrolmentServicer(security.enrolment, cloud=cloud, broker=broker)
    enrolment_pb2_grpc.add_EnrolmentServiceServicer_to_server(desk, server)
    credentials = tls_credentials(security.server_files, ask_for_certificate=False)
    async with listening(server, host, port, credentials) as address:
        yield address
