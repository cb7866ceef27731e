"""Reads the calibration of an installed bundle, and selects the part for the loaded capacities."""

from nestling.v1.bundle_pb2 import Calibration, Cascade, Manifest, RoutingCurve
from nestling_core.routing.calibration import BadCalibrationError, parse_calibration
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError


class CalibrationError(DeliveryError):
    """A calibration that lacks a threshold for some capacity and offload share."""


def read_calibration(manifest: Manifest, blobs: BlobStore) -> Calibration:
    """Read the calibration of an installed bundle.

    Args:
        manifest: the bundle's manifest.
        blobs: store that holds the bundle's blobs.

    Raises:
        CalibrationError: the calibration lacks a threshold for some capacity and offload share.
        DeliveryError: the blob is missing or damaged.
    """
    try:
        return parse_calibration(blobs.read(manifest.calibration), len(manifest.capacities))
    except BadCalibrationError as err:
        raise CalibrationError(str(err), advice="release the bundle again") from err


def cascade_to(calibration: Calibration, capacity: int) -> Cascade:
    """Return the cascade to a capacity; its `start` is 0 if the capacity runs without one.

    Args:
        calibration: the bundle's calibration.
        capacity: 1 to K.
    """
    return calibration.cascades[capacity - 1] if calibration.cascades else Cascade()


def curve_of(calibration: Calibration, start: int, resident: int) -> RoutingCurve:
    """Return the routing curve for the loaded capacities.

    Args:
        calibration: the bundle's calibration.
        start: capacity that runs first.
        resident: larger capacity that may run after it; equal to `start` if only one is loaded.
    """
    if start < resident:
        return calibration.cascades[resident - 1].curve
    return calibration.curves[resident - 1]
