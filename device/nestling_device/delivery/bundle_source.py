"""Where bundles come from: the port, and what all its adapters answer with."""

from collections.abc import Iterator
from typing import Protocol

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_device.errors import DeviceError


class DeliveryError(DeviceError):
    """A bundle or a blob cannot be had, or is not what was promised."""


class SourceUnreachableError(DeliveryError):
    """The source did not answer, or stopped in the middle; what has arrived can be resumed."""


class BlobSource(Protocol):
    """A device's view of the cloud's bundles."""

    @property
    def bytes_received(self) -> int:
        """Serialised size of every answer so far, without the transport's framing."""
        ...

    def desired_bundle(self, active_version: str) -> delivery_pb2.GetDesiredBundleResponse:
        """Ask which bundle the device should run.

        Args:
            active_version: what it runs now, empty on a first start.

        Raises:
            SourceUnreachableError: no answer; ask again later.
            DeliveryError: the cloud has no bundle.
        """
        ...

    def fetch(self, blob: bundle_pb2.Blob, offset: int) -> Iterator[bytes]:
        """Stream a blob from an offset on; the pieces follow one another without holes.

        Raises:
            SourceUnreachableError: while iterating; what has been yielded is good.
            DeliveryError: while iterating: no such blob, or the source contradicts itself.
        """
        ...

    def close(self) -> None:
        """End the connection, and whatever is under way in another thread, for good.

        Every later question raises SourceUnreachableError. Closing twice is no error.
        """
        ...


def checked_chunk(
    response: delivery_pb2.FetchBlobResponse, blob: bundle_pb2.Blob, offset: int
) -> bytes:
    """Take the bytes out of an answer that should continue `blob` at `offset`.

    Raises:
        DeliveryError: the answer is about another place, another size, or empty.
    """
    if response.total_size != blob.size:
        raise DeliveryError(
            f"blob {blob.sha256[:12]}: the source has {response.total_size} bytes where the "
            f"bundle promises {blob.size}; release the bundle again"
        )
    if response.offset != offset or not response.data:
        raise DeliveryError(
            f"blob {blob.sha256[:12]}: asked for offset {offset}, got {len(response.data)} bytes "
            f"at {response.offset}"
        )
    return response.data
