"""Reads the calibration of an installed bundle, and selects the part for the loaded capacities.

The calibration contains the thresholds that decide which inputs are sent to the cloud.
"""

from nestling.v1.bundle_pb2 import Calibration, Cascade, Manifest, RoutingCurve
from nestling_core.routing.calibration import BadCalibrationError, parse_calibration
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError


class CalibrationError(DeliveryError):
    """Raised when a bundle's calibration cannot be parsed, or is incomplete or invalid."""


def read_calibration(manifest: Manifest, blobs: BlobStore) -> Calibration:
    """Return the calibration of an installed bundle.

    Args:
        manifest: the bundle's manifest.
        blobs: the store that holds the bundle's blobs.

    Raises:
        CalibrationError: the calibration cannot be parsed, or is incomplete or invalid.
        DeliveryError: the blob is missing or damaged.
    """
    try:
        return parse_calibration(blobs.read(manifest.calibration), len(manifest.capacities))
    except BadCalibrationError as err:
        raise CalibrationError(str(err), advice="release the bundle again") from err


def cascade_to(calibration: Calibration, capacity: int) -> Cascade:
    """Return the cascade that ends with a capacity.

    The cascade's `start` is the smaller capacity that runs first, or 0 if no other capacity runs
    before the given one.

    Args:
        calibration: the bundle's calibration.
        capacity: the capacity, 1 to K.
    """
    return calibration.cascades[capacity - 1] if calibration.cascades else Cascade()


def curve_of(calibration: Calibration, start: int, resident: int) -> RoutingCurve:
    """Return the routing curve for the loaded capacities.

    Args:
        calibration: the bundle's calibration.
        start: the capacity that runs first.
        resident: the larger capacity that may run after the first, or `start` if only one capacity
            is loaded.
    """
    if start < resident:
        return calibration.cascades[resident - 1].curve
    return calibration.curves[resident - 1]
