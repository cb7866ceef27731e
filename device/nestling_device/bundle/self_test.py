"""Checks that a bundle works on this device.

This is the last step of an installation before the device switches to the bundle.
"""

from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_core.nest.bundle_files import Activations
from nestling_core.nest.capacity import CapacityError, check_capacity
from nestling_device.bundle.calibration import read_calibration
from nestling_device.bundle.loaded_bundle import open_front_end
from nestling_device.bundle.nest import Nest
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.delivery.bundle_source import DeliveryError
from nestling_device.delivery.installer import SelfTestError


def self_test(
    manifest: Manifest, capacity: int, blobs: BlobStore, activations: Activations
) -> None:
    """Check that a bundle works on this device.

    The test runs the golden inputs (inputs with known logits) through capacities 1 to `capacity`,
    reads the calibration, and opens the front end, if there is one.

    Args:
        manifest: the bundle's manifest.
        capacity: the largest capacity to test.
        blobs: the store that holds the bundle's blobs.
        activations: the activation type of the templates (ONNX graphs) in the store.

    Raises:
        SelfTestError: the logits differ from the bundle's, or a part does not load or run.
        DeliveryError: a blob is missing or damaged, or the calibration is invalid.
    """
    try:
        nest = Nest(manifest, blobs, activations)
        _answer_golden_inputs(nest, manifest, capacity, blobs)
        read_calibration(manifest, blobs)
        open_front_end(manifest, blobs)
    except DeliveryError:
        raise
    # Anything that fails here would fail again at every start after the switch. onnxruntime alone
    # raises a dozen classes that share no base.
    except Exception as err:
        raise SelfTestError(f"the bundle does not run: {err}", advice="release it again") from err


def _answer_golden_inputs(nest: Nest, manifest: Manifest, capacity: int, blobs: BlobStore) -> None:
    golden = GoldenInputs.FromString(blobs.read(manifest.golden))
    for number in range(1, capacity + 1):
        nest.load(number)
        try:
            check_capacity(nest.run, manifest, golden, number)
        except CapacityError as err:
            raise SelfTestError(str(err)) from err
