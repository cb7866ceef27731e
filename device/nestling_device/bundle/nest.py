"""Loads capacities of an installed bundle into memory and runs them."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Manifest
from nestling_core.nest.bundle_files import Activations
from nestling_core.nest.capacity import CapacityOutput, open_capacity, run_capacity
from nestling_device.delivery.blob_store import BlobStore

if TYPE_CHECKING:
    import onnxruntime


class Nest:
    """Holds one or two capacities of a bundle in memory, and swaps them on demand."""

    def __init__(self, manifest: Manifest, blobs: BlobStore, activations: Activations) -> None:
        """Use an installed bundle; no capacity is loaded yet.

        Args:
            manifest: the bundle's manifest.
            blobs: store that holds the bundle's blobs.
            activations: activation type of the templates to run; they must be in the store.
        """
        self._manifest = manifest
        self._blobs = blobs
        self._activations = activations
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}

    @property
    def resident(self) -> int:
        """Largest loaded capacity, 0 if none is loaded."""
        return max(self._sessions, default=0)

    @property
    def start(self) -> int:
        """Smallest loaded capacity, equal to `resident` if there is only one; 0 if none is."""
        return min(self._sessions, default=0)

    def load(self, capacity: int, start: int | None = None) -> None:
        """Load a capacity, and a smaller one beside it if asked; release all others first.

        A capacity that is already loaded and still needed stays, even if the other one cannot be
        opened.

        Args:
            capacity: largest capacity to run, 1 to K.
            start: smaller capacity to keep beside it; None for none.

        Raises:
            DeliveryError: a ring or template is missing or damaged.
        """
        needed = {capacity} if start is None else {start, capacity}
        held = needed & self._sessions.keys()
        self._sessions = {number: self._sessions[number] for number in held}
        for number in sorted(needed - held):
            self._sessions[number] = self._open(number)

    def _open(self, capacity: int) -> "onnxruntime.InferenceSession":
        return open_capacity(self._manifest, capacity, self._activations, self._blobs.read)

    def run(self, inputs: NDArray[np.float32], capacity: int | None = None) -> CapacityOutput:
        """Run a loaded capacity.

        Args:
            inputs: (N, *shape).
            capacity: a loaded capacity; None for the largest one.

        Raises:
            RuntimeError: the capacity is not loaded.
        """
        session = self._sessions.get(capacity or self.resident)
        if session is None:
            raise RuntimeError("no such capacity is loaded")
        return run_capacity(session, inputs)
