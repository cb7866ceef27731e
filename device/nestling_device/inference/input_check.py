"""Checks that an input fits the task before the device answers it."""

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Manifest
from nestling_device.inference.input_errors import InputError, UnanswerableError

Window = NDArray[np.float32]


def check_input(window: Window, manifest: Manifest) -> None:
    """Check the shape, the type and the values of an input.

    Args:
        window: the input.
        manifest: the manifest of the bundle that is to answer the input.

    Raises:
        InputError: the shape does not fit the task, or the type is not float32.
        UnanswerableError: the input contains NaN or infinity.
    """
    shape = tuple(manifest.signature.shape)
    if window.shape != shape or window.dtype != np.float32:
        raise InputError(
            f"the input is {window.dtype} {window.shape}",
            advice=f"{manifest.task} takes float32 {shape}",
        )
    if not np.isfinite(window).all():
        raise UnanswerableError("the input has values that are not finite (NaN or infinity)")
