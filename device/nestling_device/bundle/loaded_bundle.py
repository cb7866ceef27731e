"""A bundle as an agent uses it."""

from dataclasses import dataclass

from nestling.v1.bundle_pb2 import Calibration, Manifest
from nestling_device.bundle.calibration import read_calibration
from nestling_device.bundle.nest import Nest
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import VerifiedBundle


@dataclass(frozen=True, kw_only=True)
class LoadedBundle:
    """What a bundle is made of; replaced as a whole when more of it, or another, is installed.

    Attributes:
        manifest: of the active bundle.
        version: the bundle's name, for receipts.
        held: capacities 1 to `held` are on the device.
        nest: holds the resident capacity.
        calibration: thresholds for target offload shares.
    """

    manifest: Manifest
    version: str
    held: int
    nest: Nest
    calibration: Calibration


def load_bundle(installed: VerifiedBundle, blobs: BlobStore) -> LoadedBundle:
    """Open an installed bundle; its nest is empty as yet.

    Raises:
        DeliveryError: a blob has been damaged since.
    """
    manifest = installed.manifest
    return LoadedBundle(
        manifest=manifest,
        version=installed.version,
        held=installed.capacity,
        nest=Nest(manifest, blobs, installed.activations),
        calibration=read_calibration(manifest, blobs),
    )
