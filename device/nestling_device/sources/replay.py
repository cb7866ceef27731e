"""Replays recorded inputs.

They come from a .npy file of windows or from the golden inputs (inputs with known logits) of the
bundle.
"""

from collections.abc import Sequence
from pathlib import Path

from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_core.nest.capacity import golden_inputs
from nestling_device.delivery.blob_store import BlobStore
from nestling_device.sources.array_file import read_array, to_windows
from nestling_device.sources.source import Input, Origin, SourceError, Windows


def read_recording(path: Path, shape: Sequence[int]) -> Windows:
    """Return the windows in a .npy file.

    Args:
        path: the file, which contains an array (N, *shape) of real numbers.
        shape: the shape of the task's inputs.

    Returns:
        The windows, float32 (N, *shape).

    Raises:
        SourceError: the file does not contain such an array, or has values that are not finite.
    """
    try:
        return to_windows(read_array(path), shape)
    except ValueError as err:
        raise SourceError(f"{path} {err}") from err


def read_golden(manifest: Manifest, blobs: BlobStore) -> Windows:
    """Return the golden inputs (inputs with known logits) of a bundle.

    A device answers them repeatedly if no other source is configured.

    Args:
        manifest: the manifest of the bundle.
        blobs: the store that holds the bundle's files.

    Returns:
        The windows, float32 (N, *shape).
    """
    return golden_inputs(manifest, GoldenInputs.FromString(blobs.read(manifest.golden)))


class Replay:
    """A source that replays windows and starts over after the last one."""

    live = False

    def __init__(self, windows: Windows, file: str = "") -> None:
        """Begin with the first window.

        Args:
            windows: at least one window, float32 (N, *shape).
            file: the name of the file that the windows come from, or "" if there is none.
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

    def revise(self, line: str, origin: Origin) -> None:
        """Do nothing, because no producer waits for the answer."""

    def refuse(self, reason: str) -> None:
        """Do nothing, because no producer waits for the answer."""

    def close(self) -> None:
        """Do nothing, because nothing is open."""
