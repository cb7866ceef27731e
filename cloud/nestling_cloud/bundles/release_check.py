"""Checks a bundle before its release, with the same code that the cloud and devices will run."""

from collections.abc import Callable
from functools import partial
from typing import get_args

from google.protobuf.message import DecodeError

from nestling.v1.bundle_pb2 import Blob, GoldenInputs, Manifest
from nestling_cloud.cloud_model.check import try_model
from nestling_cloud.cloud_model.model import CloudModel, ModelError
from nestling_cloud.errors import CloudError
from nestling_core.execution.session import SessionError
from nestling_core.media.errors import MediaError
from nestling_core.media.front_end import PictureFrontEnd
from nestling_core.nest.bundle_files import Activations, activations_in
from nestling_core.nest.capacity import check_capacity, golden_inputs, open_capacity, run_capacity
from nestling_core.routing.calibration import BadCalibrationError, parse_calibration

Read = Callable[[Blob], bytes]


class UnfitBundleError(CloudError):
    """Raised when a bundle is not released because it cannot be served or cannot run on devices."""


def try_bundle(manifest: Manifest, read: Read, teacher: bytes) -> None:
    """Raise UnfitBundleError if a bundle cannot be served or cannot run on devices.

    The function checks everything that `serve` checks when it starts, and everything that a device
    checks before it switches to a bundle. Every capacity answers the golden inputs (inputs with
    known logits) one at a time, with each type of activations that the bundle has. The calibration
    is parsed as on a device. The teacher is loaded as in `serve`, and its logits for an input must
    not depend on the other inputs in the batch.

    Args:
        manifest: the manifest of the bundle.
        read: a function that returns the content of a blob.
        teacher: the content of the cloud model's ONNX file.

    Raises:
        UnfitBundleError: a part fails its check; the text says which part.
    """
    try:
        golden = GoldenInputs.FromString(read(manifest.golden))
        parse_calibration(read(manifest.calibration), len(manifest.capacities))
        if manifest.HasField("front_end"):
            PictureFrontEnd(read(manifest.front_end), manifest.signature)
        for activations in get_args(Activations):
            _try_capacities(manifest, golden, activations, read)
        model = CloudModel(manifest.cloud.name, teacher)
        try_model(model, manifest.signature, golden_inputs(manifest, golden))
    except (BadCalibrationError, DecodeError, MediaError, ModelError, SessionError) as err:
        raise UnfitBundleError(
            f"release {manifest.release} of {manifest.task} failed its check and was not made: "
            f"{err}"
        ) from err


def _try_capacities(
    manifest: Manifest, golden: GoldenInputs, activations: Activations, read: Read
) -> None:
    if activations not in activations_in(manifest):
        return
    for capacity in range(1, len(manifest.capacities) + 1):
        try:
            session = open_capacity(manifest, capacity, activations, read)
            check_capacity(partial(run_capacity, session), manifest, golden, capacity)
        # onnxruntime raises a dozen classes that share no other base.
        except Exception as err:
            raise UnfitBundleError(
                f"release {manifest.release} of {manifest.task} failed its check and was not made: "
                f"no device could run capacity {capacity} with {activations} activations: {err}"
            ) from err
