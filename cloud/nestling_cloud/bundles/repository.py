"""Stores releases in a folder.

The parts of bundles are stored as blobs, which are files named by their digest (see `blob_folder`).
Cloud models are stored as blobs too, but in a folder of their own. Checkpoints are stored by bundle
version, each with its digest in a file beside it. A checkpoint consists of the weights from which
later federated rounds start. A separate file names the bundle that devices should run.

Devices can fetch only blobs, so they never receive a cloud model or a checkpoint.
"""

import re
from pathlib import Path

from google.protobuf.message import DecodeError

from nestling.v1 import bundle_pb2, delivery_pb2
from nestling_cloud.atomic_file import write_whole
from nestling_cloud.bundles.blob_folder import BlobFolder
from nestling_cloud.bundles.repository_errors import BlobNotFoundError, RepositoryError, readable
from nestling_cloud.sealed_file import SealError, read_sealed, write_sealed
from nestling_core.nest import bundle_files

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Repository(BlobFolder):
    """Stores releases in a folder, where a crash or a power cut leaves no incomplete file.

    Args:
        root: the folder, which the first write creates. It contains `blobs/<sha256>`,
            `models/<sha256>`, `checkpoints/<bundle version>.npz` with their `.sha256` files, and
            `desired.binpb`, which names the bundle that devices should run.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root / "blobs")
        self.root = root
        self._models = BlobFolder(root / "models")
        self._checkpoints = root / "checkpoints"
        self._desired = root / "desired.binpb"

    def add_model(self, onnx: bytes) -> bundle_pb2.Blob:
        """Store the content of a cloud model's ONNX file, and return its digest and size."""
        return self._models.add(onnx)

    def read_model(self, model: bundle_pb2.CloudModel) -> bytes:
        """Return the content of a cloud model's ONNX file after checking it against the digest.

        Raises:
            RepositoryError: the file is missing, damaged or unreadable.
        """
        try:
            return self._models.read_whole(model.onnx)
        except BlobNotFoundError as err:
            raise BlobNotFoundError(
                f"the file of cloud model {model.name!r} is missing; release the bundle again"
            ) from err

    def add_checkpoint(self, bundle_version: str, data: bytes) -> None:
        """Store the checkpoint of a bundle.

        Args:
            bundle_version: the version of the bundle.
            data: the float weights of the bundle's student, as the content of an .npz file.

        Raises:
            RepositoryError: the version is not valid.
        """
        write_sealed(self._checkpoint_file(bundle_version), data)

    def checkpoint_path(self, bundle_version: str) -> Path:
        """Return the path of a bundle's checkpoint file.

        Raises:
            BlobNotFoundError: the bundle has no checkpoint.
            RepositoryError: the version is not valid.
        """
        path = self._checkpoint_file(bundle_version)
        if not path.is_file():
            raise BlobNotFoundError(
                f"bundle {bundle_version} has no checkpoint in {self._checkpoints}, so no "
                "federated round can start from it: it was trained by an earlier version; train it "
                "again (nestling-sim run --retrain trains and releases one)"
            )
        return path

    def read_checkpoint(self, bundle_version: str) -> bytes:
        """Return the content of a bundle's checkpoint after checking it against the digest.

        Raises:
            BlobNotFoundError: the bundle has no checkpoint.
            RepositoryError: the file is damaged or unreadable, or the version is not valid.
        """
        return _read_sealed(self.checkpoint_path(bundle_version))

    def check(self) -> bundle_pb2.Manifest:
        """Return the manifest of the bundle that devices should run, after checking all its parts.

        Each part is checked against its digest.

        Raises:
            RepositoryError: nothing has been released, or a part is missing, damaged or unreadable.
        """
        manifest, desired = self.manifest(), self.desired()
        assert desired is not None  # it has a manifest
        found = (desired.release, desired.bundle_version)
        version = bundle_files.bundle_version(manifest, desired.manifest)
        if found != (manifest.release, version):
            raise self._desired_damaged()
        for blob in bundle_files.every_blob(manifest):
            self.read_whole(blob)
        self.read_model(manifest.cloud)
        self.read_checkpoint(version)
        return manifest

    def release(self, manifest: bundle_pb2.Manifest) -> delivery_pb2.GetDesiredBundleResponse:
        """Release a bundle as the one that devices should run, and return its version and manifest.

        Releasing the same manifest again changes nothing.

        Raises:
            RepositoryError: a blob that the manifest names is missing or has another size, the
                release number is not above the task's current release number, or the current
                manifest cannot be read.
        """
        self._check_blobs(manifest)
        self.check_release(manifest)
        blob = self.add(manifest.SerializeToString(deterministic=True))
        desired = delivery_pb2.GetDesiredBundleResponse(
            bundle_version=bundle_files.bundle_version(manifest, blob),
            release=manifest.release,
            manifest=blob,
        )
        write_whole(self._desired, desired.SerializeToString())
        return desired

    def desired(self) -> delivery_pb2.GetDesiredBundleResponse | None:
        """Return the version and manifest of the bundle that devices should run.

        The result is None before the first release.

        Raises:
            RepositoryError: `desired.binpb` is damaged or unreadable.
        """
        try:
            with readable(self._desired):
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
        """Return the manifest of the bundle that devices should run.

        Raises:
            RepositoryError: nothing has been released, or the manifest is missing, damaged or
                unreadable.
        """
        desired = self.desired()
        if desired is None:
            raise RepositoryError(
                f"no bundle has been released to {self._desired.parent}; "
                "release one first (nestling-sim run trains and releases one)"
            )
        try:
            data = bundle_files.check_blob(desired.manifest, self.read(desired.manifest.sha256))
            return bundle_pb2.Manifest.FromString(data)
        except (bundle_files.BlobError, DecodeError) as err:
            raise RepositoryError(
                f"the manifest is damaged ({err}); release the bundle again"
            ) from err

    def _desired_damaged(self) -> RepositoryError:
        return RepositoryError(
            f"{self._desired} is damaged; restore it from a backup, or release to another folder"
        )

    def _check_blobs(self, manifest: bundle_pb2.Manifest) -> None:
        for blob in bundle_files.every_blob(manifest):
            size = self.size(blob.sha256)
            if size != blob.size:
                raise RepositoryError(
                    f"blob {blob.sha256[:12]} has {size} bytes, but the manifest says {blob.size}; "
                    "add it again"
                )

    def check_release(self, manifest: bundle_pb2.Manifest) -> None:
        """Raise RepositoryError if devices would refuse a manifest's release number.

        The manifest that is already released passes the check.

        Raises:
            RepositoryError: the number is not above the task's current release number, or the
                current manifest cannot be read.
        """
        if self.desired() is None:
            return
        current = self.manifest()
        same_task = current.task == manifest.task
        if same_task and manifest.release <= current.release and manifest != current:
            raise RepositoryError(
                f"release {manifest.release} of {manifest.task} is not above the current "
                f"{current.release}, and devices refuse older releases; use a higher number"
            )

    def _checkpoint_file(self, bundle_version: str) -> Path:
        if not _VERSION.fullmatch(bundle_version):
            raise RepositoryError(f"{bundle_version[:80]!r} is not a bundle version")
        return self._checkpoints / f"{bundle_version}.npz"


def _read_sealed(path: Path) -> bytes:
    try:
        with readable(path):
            return read_sealed(path)
    except SealError as err:
        raise RepositoryError(f"{err}; train and release the bundle again") from err
