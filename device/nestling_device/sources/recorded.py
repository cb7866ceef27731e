"""Replays recorded inputs: a .npy file of windows, or the golden inputs of the bundle."""

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
        path: the file, an array (N, *shape) of real numbers; nothing is unpickled.
        shape: shape of the task's inputs.

    Returns:
        The windows, float32 (N, *shape).

    Raises:
        SourceError: the file is not such an array, or it has values that are not finite.
    """
    try:
        return to_windows(read_array(path), shape)
    except ValueError as err:
        raise SourceError(f"{path} {err}") from err


def read_golden(manifest: Manifest, blobs: BlobStore) -> Windows:
    """Read the inputs that the bundle carries for its self-test; they need no sensor.

    Args:
        manifest: manifest of the bundle.
        blobs: store that holds the bundle's files.

    Returns:
        The windows, float32 (N, *shape).
    """
    return golden_inputs(manifest, GoldenInputs.FromString(blobs.read(manifest.golden)))


class Replay:
    """A source that replays windows, and starts over after the last one."""

    live = False

    def __init__(self, windows: Windows, file: str = "") -> None:
        """Replay windows.

        Args:
            windows: at least one window, float32 (N, *shape).
            file: name of the file that they come from, "" for none.
        """
        self._windows = windows
        self._file = file
        self._taken = 0

    def take(self, timeout_s: float) -> Input | None:
        """Return the next window at once."""
        del timeout_s
        index = self._taken % len(self._windows)
        self._taken += 1
        return Input(window=self._windows[index], origin=Origin(file=self._file, window=index))

    def settle(self, line: str) -> None:
        """Do nothing, because no producer waits for the answer."""

    def refuse(self, reason: str) -> None:
        """Do nothing, because no producer waits for the answer."""

    def close(self) -> None:
        """Do nothing, because nothing is open."""
