"""Stores the blobs (files) of bundles in a folder of the device.

Each complete blob is a file that is named after the SHA-256 digest of its bytes.
"""

import errno
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nestling.v1 import bundle_pb2
from nestling_core.file_sync import sync_folder
from nestling_core.nest.bundle_files import BlobError, check_blob, is_digest
from nestling_device.delivery.bundle_source import BlobSource, DeliveryError

_log = logging.getLogger(__name__)

_PART = ".part"


class BlobStore:
    """A folder of verified blobs and of unfinished downloads."""

    def __init__(self, root: Path) -> None:
        """Use the folder `root`, which the first download creates."""
        self._root = root

    def has(self, blob: bundle_pb2.Blob) -> bool:
        """Return whether the blob is in the store and has the right size and digest."""
        return _matches(self._path(blob), blob)

    def read(self, blob: bundle_pb2.Blob) -> bytes:
        """Return the bytes of a blob, after verifying them.

        Raises:
            DeliveryError: the blob is missing or damaged.
        """
        try:
            return check_blob(blob, self._path(blob).read_bytes())
        except (OSError, BlobError) as err:
            raise DeliveryError(f"{err}", advice="install the bundle again") from err

    def download(self, source: BlobSource, blob: bundle_pb2.Blob) -> None:
        """Download a blob unless it is in the store.

        The download resumes where an earlier attempt ended.

        Args:
            source: the source to download from.
            blob: the blob to download.

        Raises:
            SourceUnreachableError: the source stopped answering. The received bytes are kept.
            DeliveryError: one of the following is true:

                - The source refused. The received bytes are kept.
                - The folder cannot be written, for example because the disk is full. The received
                  bytes are kept.
                - The bytes do not match the blob's size and digest. They are deleted.
        """
        if self.has(blob):
            return
        part = self._path(blob).with_suffix(_PART)
        with _disk_errors(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            _fill(part, source, blob)
            if not _matches(part, blob):
                part.unlink()
                raise DeliveryError(
                    f"blob {blob.sha256[:12]} arrived damaged or cut short and was deleted",
                    advice="try again, and if it fails again, release the bundle again",
                )
            part.replace(self._path(blob))
            sync_folder(self._root)

    def received(self, blob: bundle_pb2.Blob) -> int:
        """Return the size of an unfinished download in bytes, or 0 if there is none."""
        try:
            return self._path(blob).with_suffix(_PART).stat().st_size
        except OSError:
            return 0

    def remove_except(self, keep: Iterable[bundle_pb2.Blob]) -> None:
        """Delete every file in the store except the blobs in `keep` and their unfinished downloads.

        If a file cannot be deleted, a warning is logged. No error is raised, because such a file
        does not prevent an installation.
        """
        kept = {blob.sha256 for blob in keep}
        try:
            with os.scandir(self._root) as entries:
                names = [entry.name for entry in entries]
        except OSError:  # there is no folder yet, or it cannot be read
            return
        for name in names:
            if name.removesuffix(_PART) not in kept:
                _remove(self._root / name)

    def _path(self, blob: bundle_pb2.Blob) -> Path:
        if not is_digest(blob.sha256):  # it came over the network and becomes a file name
            raise DeliveryError(
                f"{blob.sha256[:80]!r} is not a SHA-256", advice="release the bundle again"
            )
        return self._root / blob.sha256


def _fill(part: Path, source: BlobSource, blob: bundle_pb2.Blob) -> None:
    if part.exists() and part.stat().st_size > blob.size:
        part.unlink()
    with part.open("ab", buffering=0) as file:
        length = file.tell()
        for chunk in source.fetch(blob, length):
            length += len(chunk)
            if length > blob.size:
                part.unlink()
                raise DeliveryError(
                    f"blob {blob.sha256[:12]}: the source sent more than the expected {blob.size} "
                    "bytes; all of them were deleted",
                    advice="release the bundle again",
                )
            _write(file, chunk)
        os.fsync(file.fileno())


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as err:
        _log.warning("%a is no longer in use but cannot be deleted: %s", str(path), err.strerror)


def _matches(path: Path, blob: bundle_pb2.Blob) -> bool:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != blob.size:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == blob.sha256
    except OSError:
        return False


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        if err.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DeliveryError(
                f"the disk of {root} is full",
                advice="free some space and try again: the download resumes",
            ) from err
        raise DeliveryError(
            f"{root} cannot be written: {err}", advice="check the folder's owner and permissions"
        ) from err
