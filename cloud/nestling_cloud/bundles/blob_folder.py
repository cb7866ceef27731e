"""Stores blobs in a folder.

A blob is a file that is named by the digest of its content.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestling.v1 import bundle_pb2
from nestling_cloud.atomic_file import SHARED, write_whole
from nestling_cloud.bundles.open_files import OpenFiles
from nestling_cloud.bundles.repository_errors import (
    BlobNotFoundError,
    OffsetError,
    RepositoryError,
    readable,
)
from nestling_core.nest import bundle_files


class BlobFolder:
    """A folder of blobs, where a crash or a power cut leaves no incomplete file.

    Args:
        folder: the folder, which the first write creates.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = OpenFiles()

    def add(self, data: bytes) -> bundle_pb2.Blob:
        """Store bytes as a blob and return the blob's digest and size.

        If the blob's file exists but is damaged, the file is written again.
        """
        blob = bundle_files.blob_of(data)
        path = self._folder / blob.sha256
        if not path.exists() or path.read_bytes() != data:
            write_whole(path, data, folder_mode=SHARED)
        return blob

    def size(self, sha256: str) -> int:
        """Return the size of a blob in bytes.

        Raises:
            BlobNotFoundError: there is no such blob.
            RepositoryError: the file cannot be read.
        """
        with self._found(sha256) as path:
            return path.stat().st_size

    def read(self, sha256: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Return a piece of a blob.

        Args:
            sha256: the digest of the blob.
            offset: the position of the first byte to read, at most the size of the blob.
            limit: the largest number of bytes to read; None for the rest of the blob.

        Raises:
            BlobNotFoundError: there is no such blob.
            OffsetError: the offset is negative or beyond the blob's end.
            RepositoryError: the file cannot be read.
        """
        with self._found(sha256) as path:
            size = path.stat().st_size
            if not 0 <= offset <= size:
                raise OffsetError(
                    f"blob {sha256[:12]} has {size} bytes; offset {offset} is outside it"
                )
            return self._files.read(path, offset, limit)

    def read_whole(self, blob: bundle_pb2.Blob) -> bytes:
        """Return a blob's content after checking it against the digest and size.

        Raises:
            RepositoryError: the blob is missing, damaged or unreadable.
        """
        try:
            return bundle_files.check_blob(blob, self.read(blob.sha256))
        except bundle_files.BlobError as err:
            raise RepositoryError(f"the bundle is damaged ({err}); release it again") from err

    @contextmanager
    def _found(self, sha256: str) -> Iterator[Path]:
        """Yield the path of a blob.

        Raise BlobNotFoundError if the blob is missing, and RepositoryError if reading it in the
        `with` block fails.
        """
        absent = BlobNotFoundError(
            f"no blob {sha256[:64]!r} in the repository; a blob's name is a lower-case SHA-256"
        )
        if not bundle_files.is_digest(sha256):  # also keeps "../" out of the path
            raise absent
        path = self._folder / sha256
        try:
            with readable(path):
                yield path
        except FileNotFoundError:
            raise absent from None
