"""The port through which a device fetches bundles, and the errors that its adapters raise."""

from collections.abc import Iterator
from typing import Protocol

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_device.errors import DeviceError


class DeliveryError(DeviceError):
    """A bundle or blob cannot be obtained, or does not match its description."""


class SourceUnreachableError(DeliveryError):
    """The source did not answer, or stopped in the middle; the download can be resumed."""


class BlobSource(Protocol):
    """A device's view of the cloud's bundles."""

    @property
    def bytes_received(self) -> int:
        """Total serialized size of all answers so far, without the transport's framing."""
        ...

    def desired_bundle(self, active_version: str) -> delivery_pb2.GetDesiredBundleResponse:
        """Ask which bundle the device should run.

        Args:
            active_version: version that it runs now, empty on its first start.

        Raises:
            SourceUnreachableError: there was no answer; ask again later.
            DeliveryError: the cloud has no bundle.
        """
        ...

    def fetch(self, blob: bundle_pb2.Blob, offset: int) -> Iterator[bytes]:
        """Stream a blob from an offset in consecutive pieces.

        Args:
            blob: the blob to fetch.
            offset: number of bytes to skip.

        Raises:
            SourceUnreachableError: while iterating: the source went away; the pieces that were
                yielded are valid.
            DeliveryError: while iterating: there is no such blob, or the source contradicts
                itself.
        """
        ...

    def close(self) -> None:
        """Close the connection for good, and abort calls that run in other threads.

        Every later call raises SourceUnreachableError. Closing twice is not an error.
        """
        ...


def checked_chunk(
    response: delivery_pb2.FetchBlobResponse, blob: bundle_pb2.Blob, offset: int
) -> bytes:
    """Return the bytes of an answer that should continue a blob at an offset.

    Args:
        response: the source's answer.
        blob: the blob that is being fetched.
        offset: offset that the answer should start at.

    Raises:
        DeliveryError: the answer has another offset or total size, or is empty.
    """
    if response.total_size != blob.size:
        raise DeliveryError(
            f"blob {blob.sha256[:12]}: the source has {response.total_size} bytes instead of the "
            f"{blob.size} in the manifest",
            advice="release the bundle again",
        )
    if response.offset != offset or not response.data:
        raise DeliveryError(
            f"blob {blob.sha256[:12]}: asked for offset {offset}, got {len(response.data)} bytes "
            f"at {response.offset}"
        )
    return response.data
