"""The calibration of a bundle that is on the disk, and what it says of the capacities loaded."""

from nestling.v1.bundle_pb2 import Calibration, Cascade, Manifest, RoutingCurve
from nestling_core.routing.calibration import BadCalibrationError, parse_calibration
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError


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


def cascade_to(calibration: Calibration, capacity: int) -> Cascade:
    """Find how a capacity is reached from a smaller one; `start` is 0 where it runs at once."""
    return calibration.cascades[capacity - 1] if calibration.cascades else Cascade()


def curve_of(calibration: Calibration, start: int, resident: int) -> RoutingCurve:
    """Find the routing curve of the capacities that are loaded.

    Args:
        calibration: of the bundle.
        start: capacity that runs first.
        resident: the larger one that may run after it; equal to `start` where one is loaded.
    """
    if start < resident:
        return calibration.cascades[resident - 1].curve
    return calibration.curves[resident - 1]
