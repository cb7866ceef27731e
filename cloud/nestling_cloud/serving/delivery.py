"""Delivers bundles to devices over gRPC.

A device asks for the bundle that it should run, and then for the bundle's files (blobs).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from nestling.v1 import delivery_pb2, delivery_pb2_grpc
from nestling_cloud.bundles.repository import Repository
from nestling_cloud.bundles.repository_errors import BlobNotFoundError, OffsetError, RepositoryError

CHUNK_BYTES = 64 * 1024
NOTHING_RELEASED = "no bundle has been released yet; ask again later"

_Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class DeliveryService(delivery_pb2_grpc.DeliveryServiceServicer):
    """Serves the releases in a repository.

    Args:
        repository: the repository with the releases.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    async def GetDesiredBundle(  # noqa: N802
        self, request: delivery_pb2.GetDesiredBundleRequest, context: _Context
    ) -> delivery_pb2.GetDesiredBundleResponse:
        """Return the bundle that a device should run.

        The call ends with the status NOT_FOUND before the first release, and with INTERNAL if the
        release cannot be read.
        """
        del request  # every device gets the same one
        try:
            desired = await asyncio.to_thread(self._repository.desired)
        except RepositoryError as err:
            await context.abort(grpc.StatusCode.INTERNAL, str(err))
        if desired is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, NOTHING_RELEASED)
        return desired

    async def FetchBlob(  # noqa: N802
        self, request: delivery_pb2.FetchBlobRequest, context: _Context
    ) -> AsyncIterator[delivery_pb2.FetchBlobResponse]:
        """Stream a piece of a blob, which is one file of a bundle.

        The piece begins at the request's `offset` and has `limit` bytes, or fewer if the blob ends
        earlier. Without a limit, the piece extends to the end of the blob. The piece is sent in
        chunks of at most 64 KiB. If the offset is the blob's end, one empty chunk is sent.

        The call ends with the status NOT_FOUND if there is no such blob, with OUT_OF_RANGE if the
        offset is beyond the blob's end, and with INTERNAL if the blob cannot be read.
        """
        offset, end = request.offset, request.offset + request.limit if request.limit else None
        while True:
            limit = CHUNK_BYTES if end is None else min(CHUNK_BYTES, end - offset)
            try:
                chunk = await asyncio.to_thread(
                    read_chunk, self._repository, request.sha256, offset, limit
                )
            except RepositoryError as err:
                await context.abort(_STATUS.get(type(err), grpc.StatusCode.INTERNAL), str(err))
            yield chunk
            offset += len(chunk.data)
            if offset == (chunk.total_size if end is None else min(end, chunk.total_size)):
                return


_STATUS = {
    BlobNotFoundError: grpc.StatusCode.NOT_FOUND,
    OffsetError: grpc.StatusCode.OUT_OF_RANGE,
}


def read_chunk(
    repository: Repository, sha256: str, offset: int, limit: int
) -> delivery_pb2.FetchBlobResponse:
    """Return one chunk of a blob, with empty data if the offset is the blob's end.

    Args:
        repository: the repository with the blob.
        sha256: the blob's SHA-256 in hexadecimal.
        offset: the position of the first byte to read.
        limit: the largest number of bytes to read.

    Raises:
        RepositoryError: the repository has no such blob, the blob cannot be read, or the offset is
            beyond the blob's end.
    """
    return delivery_pb2.FetchBlobResponse(
        offset=offset,
        data=repository.read(sha256, offset, limit),
        total_size=repository.size(sha256),
    )
