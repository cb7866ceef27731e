"""Recorded inputs: a .npy file of windows, or the golden inputs that every bundle carries."""

from collections.abc import Sequence
from pathlib import Path

from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_core.nest.capacity import golden_inputs
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.sources.array_file import read_array, to_windows
from nestling_device.sources.source import Input, Origin, SourceError, Windows


def read_recording(path: Path, shape: Sequence[int]) -> Windows:
    """Read a .npy file of windows.

    Args:
        path: array (N, *shape) of real numbers; it is never unpickled.
        shape: of the task's inputs.

    Returns:
        float32 (N, *shape).

    Raises:
        SourceError: not such a file, or a window that no student can take.
    """
    try:
        return to_windows(read_array(path), shape)
    except ValueError as err:
        raise SourceError(f"{path} {err}") from err


def read_golden(manifest: Manifest, blobs: BlobStore) -> Windows:
    """Inputs that the bundle carries for its self-test: a source that needs no sensor."""
    return golden_inputs(manifest, GoldenInputs.FromString(blobs.read(manifest.golden)))


class Replay:
    """Gives windows one by one, again from the start where they run out."""

    live = False

    def __init__(self, windows: Windows, file: str = "") -> None:
        """Replay windows.

        Args:
            windows: (N, *shape), at least one.
            file: name of the file that they are from, "" for none.
        """
        self._windows = windows
        self._file = file
        self._taken = 0

    def take(self, timeout_s: float) -> Input | None:
        """Give the next one at once."""
        del timeout_s
        index = self._taken % len(self._windows)
        self._taken += 1
        return Input(window=self._windows[index], origin=Origin(file=self._file, window=index))

    def settle(self, line: str) -> None:
        """Nothing waits for it."""

    def refuse(self, reason: str) -> None:
        """Nothing waits for it."""

    def close(self) -> None:
        """Nothing is open."""
