"""Recorded inputs: a .npy file of windows, or the golden inputs that every bundle carries."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_device.delivery.blobs import BlobStore
from nestling_device.nest import golden_inputs
from nestling_device.sources.source import SourceError, Windows, fault_of


def read_recording(path: Path, shape: Sequence[int]) -> Windows:
    """Read a .npy file of windows.

    Args:
        path: float32 array (N, *shape); it is never unpickled.
        shape: of the task's inputs.

    Raises:
        SourceError: not such a file, or a window that no student can take.
    """
    windows = _read_array(path)
    fault = fault_of(windows, shape)
    if fault:
        raise SourceError(f"{path} {fault}")
    found: Windows = windows
    return found


def read_windows(path: Path, shape: Sequence[int]) -> Windows:
    """Read a .npy file of windows, or of a single one without the first axis.

    Raises:
        SourceError: likewise.
    """
    array = _read_array(path)
    windows = array[None] if array.shape == tuple(shape) else array
    fault = fault_of(windows, shape)
    if fault:
        raise SourceError(f"{path} {fault}")
    found: Windows = windows
    return found


def _read_array(path: Path) -> NDArray[Any]:
    try:
        with path.open("rb") as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as err:  # numpy lets through whatever its header's parsers raise
        raise SourceError(f"{path} is not a readable .npy file: {err}") from err
    return array


def read_golden(manifest: Manifest, blobs: BlobStore) -> Windows:
    """Inputs that the bundle carries for its self-test: a source that needs no sensor."""
    return golden_inputs(manifest, GoldenInputs.FromString(blobs.read(manifest.golden)))


class Replay:
    """Gives windows one by one, again from the start where they run out."""

    live = False

    def __init__(self, windows: Windows) -> None:
        """Replay (N, *shape), at least one."""
        self._windows = windows
        self._index = 0

    def take(self, timeout_s: float) -> Windows | None:
        """Give the next one at once."""
        del timeout_s
        window: Windows = self._windows[self._index % len(self._windows)]
        self._index += 1
        return window

    def settle(self, line: str) -> None:
        """Nothing waits for it."""

    def close(self) -> None:
        """Nothing is open."""
