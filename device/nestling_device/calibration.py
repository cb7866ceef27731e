"""The calibration of a bundle that is on the disk."""

from nestling.calibration import BadCalibrationError, parse_calibration
from nestling.v1.bundle_pb2 import Calibration, Manifest
from nestling_device.delivery.blobs import BlobStore
from nestling_device.delivery.source import DeliveryError


class CalibrationError(DeliveryError):
    """A calibration from which no threshold can be read for some capacity and share."""


def read_calibration(manifest: Manifest, blobs: BlobStore) -> Calibration:
    """Read the calibration of a bundle whose blobs are on the disk.

    Raises:
        CalibrationError: it has no threshold for some capacity and share.
        DeliveryError: the blob is missing or damaged.
    """
    try:
        return parse_calibration(blobs.read(manifest.calibration), len(manifest.capacities))
    except BadCalibrationError as err:
        raise CalibrationError(str(err)) from err
