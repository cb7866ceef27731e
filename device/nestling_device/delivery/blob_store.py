"""The device's folder of blobs: a file is named by its SHA-256 and is always whole."""

import errno
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nestling.v1 import bundle_pb2
from nestling_core.nest.bundle_files import BlobError, check_blob, is_digest
from nestling_device.delivery.bundle_source import BlobSource, DeliveryError
from nestling_device.storage import fsync

_log = logging.getLogger(__name__)

_PART = ".part"


class BlobStore:
    """Verified blobs under one folder, and the beginnings of those still under way."""

    def __init__(self, root: Path) -> None:
        """Use `root`, which is made when the first blob comes."""
        self._root = root

    def has(self, blob: bundle_pb2.Blob) -> bool:
        """Whether the blob is here and its bytes are what its name says."""
        return _matches(self._path(blob), blob)

    def read(self, blob: bundle_pb2.Blob) -> bytes:
        """Read a blob, verified.

        Raises:
            DeliveryError: it is not here, or damaged.
        """
        try:
            return check_blob(blob, self._path(blob).read_bytes())
        except (OSError, BlobError) as err:
            raise DeliveryError(f"{err}; install the bundle again") from err

    def download(self, source: BlobSource, blob: bundle_pb2.Blob) -> None:
        """Get a blob that is not here yet, going on where an earlier attempt ended.

        Raises:
            SourceUnreachableError: the source went away; what came is kept.
            DeliveryError: the disk is full (what came is kept), or the bytes are not what was
                promised (what came is thrown away).
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
                    f"blob {blob.sha256[:12]} arrived damaged or cut short and was thrown away; "
                    "try again, and release the bundle again if it stays so"
                )
            part.replace(self._path(blob))
            fsync.sync(self._root)

    def received(self, blob: bundle_pb2.Blob) -> int:
        """Bytes of an unfinished download that are here, 0 if none was begun."""
        try:
            return self._path(blob).with_suffix(_PART).stat().st_size
        except OSError:
            return 0

    def remove_except(self, keep: Iterable[bundle_pb2.Blob]) -> None:
        """Delete every blob, whole or unfinished, that is not in `keep`.

        What cannot be deleted stays and is logged: it keeps no bundle from being installed.
        """
        kept = {blob.sha256 for blob in keep}
        try:
            with os.scandir(self._root) as entries:
                names = [entry.name for entry in entries]
        except OSError:  # no blob has come yet, or the folder cannot be read
            return
        for name in names:
            if name.removesuffix(_PART) not in kept:
                _remove(self._root / name)

    def _path(self, blob: bundle_pb2.Blob) -> Path:
        if not is_digest(blob.sha256):  # it becomes a file name, and it came over the network
            raise DeliveryError(f"{blob.sha256[:80]!r} is no SHA-256; release the bundle again")
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
                    f"blob {blob.sha256[:12]}: the source sent more than the {blob.size} bytes "
                    "promised; all of it was thrown away"
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
        _log.warning("%a is not in use and cannot be deleted: %s", str(path), err.strerror)


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
                f"the disk of {root} is full; free some space and try again, the download resumes"
            ) from err
        raise DeliveryError(f"{root} cannot be written: {err}") from err
