"""Opens an installed bundle for an agent."""

from dataclasses import dataclass

from nestling.v1.bundle_pb2 import Calibration, Manifest
from nestling_core.media.front_end import PictureFrontEnd
from nestling_device.bundle.calibration import read_calibration
from nestling_device.bundle.nest import Nest
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.installer import VerifiedBundle


@dataclass(frozen=True, kw_only=True)
class LoadedBundle:
    """An installed bundle that has been opened, so that an agent can run it.

    An agent replaces this object as a whole when another bundle, or a larger capacity, is
    installed.

    Attributes:
        manifest: the bundle's manifest.
        version: the bundle's name, as receipts state it.
        held: the largest capacity that may run; capacities 1 to `held` are on the device.
        nest: the capacities in memory.
        calibration: the cascades, and the routing curves with the thresholds.
        front_end: the graph that turns decoded pictures into inputs, or None if the bundle has none
            because its inputs are not pictures.
    """

    manifest: Manifest
    version: str
    held: int
    nest: Nest
    calibration: Calibration
    front_end: PictureFrontEnd | None = None


def load_bundle(installed: VerifiedBundle, blobs: BlobStore) -> LoadedBundle:
    """Open an installed bundle, without loading a capacity yet.

    Args:
        installed: a bundle that the installer has verified.
        blobs: the store that holds the bundle's blobs.

    Raises:
        DeliveryError: the blob of the calibration or of the front end has been damaged since it was
            verified, or the calibration is invalid.
        SessionError: onnxruntime cannot open the graph of the front end.
        MediaError: the graph of the front end fails, or its output does not fit the task.
    """
    manifest = installed.manifest
    return LoadedBundle(
        manifest=manifest,
        version=installed.version,
        held=installed.capacity,
        nest=Nest(manifest, blobs, installed.activations),
        calibration=read_calibration(manifest, blobs),
        front_end=open_front_end(manifest, blobs),
    )


def open_front_end(manifest: Manifest, blobs: BlobStore) -> PictureFrontEnd | None:
    """Open the front end of a bundle, which turns decoded pictures into inputs.

    Args:
        manifest: the bundle's manifest.
        blobs: the store that holds the bundle's blobs.

    Returns:
        The front end, or None if the bundle has none because its inputs are not pictures.

    Raises:
        DeliveryError: the blob of the graph is missing or damaged.
        SessionError: onnxruntime cannot open the graph.
        MediaError: the graph fails, or its output does not fit the task.
    """
    if not manifest.HasField("front_end"):
        return None
    return PictureFrontEnd(blobs.read(manifest.front_end), manifest.signature)
