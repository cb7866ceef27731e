"""Defines the interface through which a device fetches bundles.

It also defines the errors that the implementations of this interface raise.
"""

from collections.abc import Iterator
from typing import Protocol

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_device.errors import DeviceError


class DeliveryError(DeviceError):
    """Raised when a bundle or blob cannot be obtained, or does not match its description."""


class SourceUnreachableError(DeliveryError):
    """Raised when the source does not answer, or stops in the middle of an answer.

    The download can be resumed.
    """


class BlobSource(Protocol):
    """A source from which a device fetches bundles."""

    @property
    def bytes_received(self) -> int:
        """The total serialized size of all answers so far, in bytes, without transport framing."""
        ...

    def desired_bundle(self, active_version: str) -> delivery_pb2.GetDesiredBundleResponse:
        """Return the bundle that the device should run, as the cloud describes it.

        Args:
            active_version: the version that the device runs now, or "" on its first start.

        Raises:
            SourceUnreachableError: there was no answer. The device can ask again later.
            DeliveryError: the cloud has no bundle for this device, or refuses to answer.
        """
        ...

    def fetch(self, blob: bundle_pb2.Blob, offset: int) -> Iterator[bytes]:
        """Yield the bytes of a blob from an offset on, in consecutive pieces.

        The errors are raised during the iteration.

        Args:
            blob: the blob to fetch.
            offset: the number of bytes to skip.

        Raises:
            SourceUnreachableError: the source stopped answering. The pieces yielded until then are
                valid.
            DeliveryError: there is no such blob, or an answer has the wrong offset or total size.
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
    """Check that an answer continues a blob at an offset, and return the bytes in it.

    Args:
        response: the source's answer.
        blob: the blob that is being fetched.
        offset: the offset at which the answer should start.

    Raises:
        DeliveryError: the answer has the wrong offset or total size, or is empty.
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
