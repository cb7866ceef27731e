"""Fetches bundles over gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from nestling.v1 import bundle_pb2, delivery_pb2, delivery_pb2_grpc
from nestling_core.network.address import Address
from nestling_device.delivery.bundle_source import (
    DeliveryError,
    SourceUnreachableError,
    checked_chunk,
)
from nestling_device.transport.grpc_channel import Channel, ChannelClosedError
from nestling_device.transport.identity import Identity

# Most bytes of one call, so that every call can have a deadline however large the blob is and
# however slow the link.
_SLICE_BYTES = 256 * 1024
# A device asks between two inputs, so a cloud that hangs must not delay the next answer.
_QUESTION_TIMEOUT_S = 5.0
_REFUSALS = {
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class GrpcSource:
    """A `BlobSource` that calls the cloud's delivery service."""

    def __init__(
        self,
        address: Address,
        device_id: str,
        *,
        identity: Identity | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        """Create a source that connects at its first call.

        Args:
            address: the address of the delivery service.
            device_id: the name of this device.
            identity: the identity of this device for TLS, or None for a connection without TLS.
            timeout_s: the longest time in seconds for one call, which carries at most 256 KiB of a
                blob. The query for the desired bundle gets at most 5 s.
        """
        self._channel = Channel(address, identity)
        self._device_id = device_id
        self._timeout_s = timeout_s
        self._bytes_received = 0

    @property
    def bytes_received(self) -> int:
        return self._bytes_received

    def desired_bundle(self, active_version: str) -> delivery_pb2.GetDesiredBundleResponse:
        request = delivery_pb2.GetDesiredBundleRequest(
            device_id=self._device_id, active_bundle_version=active_version
        )
        with self._wrapped("the desired bundle"):
            response = self._stub().GetDesiredBundle(
                request, timeout=min(self._timeout_s, _QUESTION_TIMEOUT_S)
            )
        self._bytes_received += response.ByteSize()
        return response

    def fetch(self, blob: bundle_pb2.Blob, offset: int) -> Iterator[bytes]:
        while offset < blob.size:
            before = offset
            for response in self._slice(blob, offset):
                self._bytes_received += response.ByteSize()
                data = checked_chunk(response, blob, offset)
                offset += len(data)
                yield data
            if offset == before:
                raise DeliveryError(
                    f"blob {blob.sha256[:12]}: {self._channel.address} stopped at {offset} of "
                    f"{blob.size} bytes",
                    advice="release the bundle again",
                )

    def _slice(
        self, blob: bundle_pb2.Blob, offset: int
    ) -> Iterator[delivery_pb2.FetchBlobResponse]:
        request = delivery_pb2.FetchBlobRequest(
            sha256=blob.sha256, offset=offset, limit=_SLICE_BYTES
        )
        with self._wrapped(f"blob {blob.sha256[:12]}"):
            call = self._stub().FetchBlob(request, timeout=self._timeout_s)
            try:
                yield from call
            finally:
                call.cancel()  # for a reader that stops early; otherwise it has no effect

    def _stub(self) -> delivery_pb2_grpc.DeliveryServiceStub:
        return self._channel.stub(delivery_pb2_grpc.DeliveryServiceStub)

    @contextmanager
    def _wrapped(self, request: str) -> Iterator[None]:
        try:
            yield
        # gRPC raises ValueError if the channel is closed just before the call.
        except (ChannelClosedError, ValueError) as err:
            if not self._channel.closed:
                raise
            raise SourceUnreachableError(
                f"the connection to {self._channel.address} was closed"
            ) from err
        except grpc.RpcError as err:
            code, details = err.code(), err.details()
            if code in _REFUSALS:
                raise DeliveryError(
                    f"{self._channel.address} refused {request}: {details}"
                ) from err
            self._channel.drop()
            raise SourceUnreachableError(
                f"{self._channel.address} did not deliver {request} ({code.name}: {details})",
                advice="check that the cloud runs and try again",
            ) from err

    def close(self) -> None:
        self._channel.close()
