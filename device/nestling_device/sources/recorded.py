"""Recorded inputs: a .npy file of windows, or the golden inputs that every bundle carries."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_device.delivery.blobs import BlobStore
from nestling_device.errors import DeviceError
from nestling_device.nest import golden_inputs

Windows = NDArray[np.float32]


class SourceError(DeviceError):
    """A source that cannot be read, or whose inputs do not fit the task."""


def read_recording(path: Path, shape: Sequence[int]) -> Windows:
    """Read a .npy file of windows.

    Args:
        path: float32 array (N, *shape); it is never unpickled.
        shape: of the task's inputs.

    Raises:
        SourceError: not such a file, or a window that no student can take.
    """
    try:
        with path.open("rb") as file:
            windows = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as err:
        raise SourceError(f"{path} is not a readable .npy file: {err}") from err
    wanted = tuple(shape)
    if windows.dtype != np.float32 or windows.shape[1:] != wanted or windows.size == 0:
        raise SourceError(
            f"{path} has {windows.dtype} {windows.shape}; float32 (N, "
            f"{', '.join(map(str, wanted))}) with N at least 1 is needed"
        )
    if not np.isfinite(windows).all():
        raise SourceError(f"{path} has values that are not finite; leave those windows out")
    found: Windows = windows
    return found


def read_golden(manifest: Manifest, blobs: BlobStore) -> Windows:
    """Inputs that the bundle carries for its self-test: a source that needs no sensor."""
    return golden_inputs(manifest, GoldenInputs.FromString(blobs.read(manifest.golden)))


def replay(windows: Windows, count: int | None) -> Iterator[Windows]:
    """Yield windows one by one, again from the start where they run out.

    Args:
        windows: (N, *shape), at least one.
        count: how many in all; None goes on for ever.
    """
    index = 0
    while count is None or index < count:
        yield windows[index % len(windows)]
        index += 1
