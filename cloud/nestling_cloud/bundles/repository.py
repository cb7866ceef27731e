"""The folder that releases live in: content-addressed blobs, cloud models, the desired bundle.

Nothing in it is trusted by its name: blobs are named by their digest, cloud models and checkpoints
have theirs beside them, and all of it is checked before it is used. Checkpoints are what a later
round of learning starts from, by bundle version. Devices fetch blobs, and only by digest, so that
neither cloud models nor checkpoints ever reach one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from google.protobuf.message import DecodeError

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_cloud.atomic_file import SHARED, write_whole
from nestling_cloud.bundles.open_files import OpenFiles
from nestling_cloud.errors import CloudError
from nestling_cloud.sealed_file import SealError, read_sealed, write_sealed
from nestling_core.nest import bundle_files

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class RepositoryError(CloudError):
    """A release that may not be made, or a folder that is not what it should be."""


class BlobNotFoundError(RepositoryError):
    """No blob or cloud model of that name."""


class OffsetError(RepositoryError):
    """An offset beyond the end of a blob."""


class Repository:
    """Releases in a folder; every write is whole or absent, whenever the power goes.

    Args:
        root: the folder; made with the first write. It holds `blobs/<sha256>`,
            `models/<name>.onnx` and `checkpoints/<bundle version>.npz`, each with its SHA-256
            beside it, and `desired.binpb`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs"
        self._models = root / "models"
        self._checkpoints = root / "checkpoints"
        self._desired = root / "desired.binpb"
        self._files = OpenFiles()

    def add(self, data: bytes) -> bundle_pb2.Blob:
        """Keep some bytes and return the name that they have from now on.

        A damaged file of that name is written again.
        """
        blob = bundle_files.blob_of(data)
        path = self._blobs / blob.sha256
        if not path.exists() or path.read_bytes() != data:
            _write(path, data)
        return blob

    def size(self, sha256: str) -> int:
        """Size of a blob in bytes.

        Raises:
            BlobNotFoundError: there is no such blob.
            RepositoryError: it cannot be read.
        """
        with self._found(sha256) as path:
            return path.stat().st_size

    def read(self, sha256: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Read a piece of a blob.

        Args:
            sha256: the blob's name.
            offset: first byte wanted; the blob's size gives b"".
            limit: most bytes wanted, None for all that follow.

        Raises:
            BlobNotFoundError: there is no such blob.
            OffsetError: the offset is beyond the blob's end.
            RepositoryError: the file cannot be read.
        """
        with self._found(sha256) as path:
            size = path.stat().st_size
            if not 0 <= offset <= size:
                raise OffsetError(
                    f"blob {sha256[:12]} has {size} bytes; offset {offset} is not in it"
                )
            return self._files.read(path, offset, limit)

    def read_whole(self, blob: bundle_pb2.Blob) -> bytes:
        """Read a blob and hold it against its name.

        Raises:
            RepositoryError: it is missing or damaged, or cannot be read.
        """
        try:
            return bundle_files.check_blob(blob, self.read(blob.sha256))
        except bundle_files.BlobError as err:
            raise RepositoryError(f"the bundle is damaged ({err}); release it again") from err

    def add_model(self, name: str, onnx: bytes) -> None:
        """Keep a cloud model under its name, in place of an earlier one."""
        write_sealed(self._model_file(name), onnx, folder_mode=SHARED)

    def model_path(self, name: str) -> Path:
        """File of a cloud model.

        Raises:
            BlobNotFoundError: there is no such model.
        """
        path = self._model_file(name)
        if not path.is_file():
            raise BlobNotFoundError(f"no cloud model {name!r} in {self._models}; add it first")
        return path

    def read_model(self, name: str) -> bytes:
        """Content of a cloud model, held against its digest.

        Raises:
            BlobNotFoundError: there is no such model.
            RepositoryError: it is damaged, or cannot be read.
        """
        return _read_sealed(self.model_path(name))

    def add_checkpoint(self, bundle_version: str, data: bytes) -> None:
        """Keep what a bundle's student was before it was rounded, for a later round to start at."""
        write_sealed(self._checkpoint_file(bundle_version), data, folder_mode=SHARED)

    def checkpoint_path(self, bundle_version: str) -> Path:
        """File of a bundle's checkpoint.

        Raises:
            BlobNotFoundError: the bundle has none.
        """
        path = self._checkpoint_file(bundle_version)
        if not path.is_file():
            raise BlobNotFoundError(
                f"bundle {bundle_version} has no checkpoint in {self._checkpoints}, so no round "
                "can start from it: it was trained by an earlier version; train it again "
                "(nestling-sim run --retrain makes and releases one)"
            )
        return path

    def read_checkpoint(self, bundle_version: str) -> bytes:
        """Content of a bundle's checkpoint, held against its digest.

        Raises:
            BlobNotFoundError: the bundle has none.
            RepositoryError: it is damaged, or cannot be read.
        """
        return _read_sealed(self.checkpoint_path(bundle_version))

    def check(self) -> bundle_pb2.Manifest:
        """Hold every part of the desired bundle against its digest.

        Returns:
            Its manifest.

        Raises:
            RepositoryError: nothing has been released, or a part is missing or damaged, or cannot
                be read.
        """
        manifest, desired = self.manifest(), self.desired()
        assert desired is not None  # it has a manifest
        found = (desired.release, desired.bundle_version)
        version = bundle_files.bundle_version(manifest, desired.manifest)
        if found != (manifest.release, version):
            raise self._desired_damaged()
        for blob in bundle_files.every_blob(manifest):
            self.read_whole(blob)
        self.read_model(manifest.cloud.name)
        self.read_checkpoint(version)
        return manifest

    def release(self, manifest: bundle_pb2.Manifest) -> delivery_pb2.GetDesiredBundleResponse:
        """Make a bundle the one that devices should run.

        Releasing the very same manifest again changes nothing.

        Raises:
            RepositoryError: a blob that the manifest names is missing or has another size, or the
                release number is not above the current one of the same task.
        """
        self._check_blobs(manifest)
        self.check_release(manifest)
        blob = self.add(manifest.SerializeToString(deterministic=True))
        desired = delivery_pb2.GetDesiredBundleResponse(
            bundle_version=bundle_files.bundle_version(manifest, blob),
            release=manifest.release,
            manifest=blob,
        )
        _write(self._desired, desired.SerializeToString())
        return desired

    def desired(self) -> delivery_pb2.GetDesiredBundleResponse | None:
        """Bundle that devices should run, None before the first release.

        Raises:
            RepositoryError: what tells it is damaged, or cannot be read.
        """
        try:
            with _readable(self._desired):
                data = self._files.read(self._desired)
        except FileNotFoundError:
            return None
        try:
            found = delivery_pb2.GetDesiredBundleResponse.FromString(data)
        except DecodeError as err:
            raise self._desired_damaged() from err
        if not bundle_files.is_digest(found.manifest.sha256):  # an empty file is an empty message
            raise self._desired_damaged()
        return found

    def manifest(self) -> bundle_pb2.Manifest:
        """Manifest of the desired bundle.

        Raises:
            RepositoryError: nothing has been released, or the manifest is damaged.
        """
        desired = self.desired()
        if desired is None:
            raise RepositoryError(
                f"no bundle has been released to {self._desired.parent}; "
                "release one first (nestling-sim run makes and releases one)"
            )
        try:
            data = bundle_files.check_blob(desired.manifest, self.read(desired.manifest.sha256))
            return bundle_pb2.Manifest.FromString(data)
        except (bundle_files.BlobError, DecodeError) as err:
            raise RepositoryError(f"the manifest is damaged ({err}); release it again") from err

    def _desired_damaged(self) -> RepositoryError:
        return RepositoryError(
            f"{self._desired} is damaged; take it from a backup, or release to another folder"
        )

    def _check_blobs(self, manifest: bundle_pb2.Manifest) -> None:
        for blob in bundle_files.every_blob(manifest):
            size = self.size(blob.sha256)
            if size != blob.size:
                raise RepositoryError(
                    f"blob {blob.sha256[:12]} has {size} bytes where the manifest says "
                    f"{blob.size}; add it again"
                )

    def check_release(self, manifest: bundle_pb2.Manifest) -> None:
        """Refuse a release number that devices would not take.

        Raises:
            RepositoryError: it is not above the current one of the same task, or what holds the
                current one cannot be read.
        """
        if self.desired() is None:
            return
        current = self.manifest()
        same_task = current.task == manifest.task
        if same_task and manifest.release <= current.release and manifest != current:
            raise RepositoryError(
                f"release {manifest.release} of {manifest.task} is not above the current "
                f"{current.release}, and devices refuse to go back; give it a higher number"
            )

    @contextmanager
    def _found(self, sha256: str) -> Iterator[Path]:
        """Give a blob's file, and wrap what keeps it from being read."""
        absent = BlobNotFoundError(f"no blob {sha256[:64]!r} here; a name is a lower-case SHA-256")
        if not bundle_files.is_digest(sha256):  # also keeps "../" out of the path
            raise absent
        path = self._blobs / sha256
        try:
            with _readable(path):
                yield path
        except FileNotFoundError:
            raise absent from None

    def _model_file(self, name: str) -> Path:
        if not _MODEL_NAME.fullmatch(name):
            raise RepositoryError(
                f"cloud model name {name!r}: use 1 to 64 letters, digits, dots, dashes or "
                "underscores, starting with a letter or digit"
            )
        return self._models / f"{name}.onnx"

    def _checkpoint_file(self, bundle_version: str) -> Path:
        if not _VERSION.fullmatch(bundle_version):
            raise RepositoryError(f"{bundle_version[:80]!r} is not the version of a bundle")
        return self._checkpoints / f"{bundle_version}.npz"


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Let FileNotFoundError through, and wrap whatever else keeps a file from being read."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as err:
        raise RepositoryError(
            f"{path} cannot be read: {err.strerror}; let the cloud's user read the repository, "
            "or release the bundle again"
        ) from err


def _read_sealed(path: Path) -> bytes:
    try:
        with _readable(path):
            return read_sealed(path)
    except SealError as err:
        raise RepositoryError(f"{err}; train and release the bundle again") from err


def _write(path: Path, data: bytes) -> None:
    write_whole(path, data, folder_mode=SHARED)
