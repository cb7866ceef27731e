"""The nest on the device: rings and templates become the capacities that are resident."""

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
    """Holds a capacity of a bundle in memory, or two of them, and swaps them on demand."""

    def __init__(self, manifest: Manifest, blobs: BlobStore, activations: Activations) -> None:
        """Use a bundle whose blobs are on the disk; nothing is loaded yet.

        Args:
            manifest: of the bundle.
            blobs: where.
            activations: of the templates to run, which are those on the disk.
        """
        self._manifest = manifest
        self._blobs = blobs
        self._activations = activations
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}

    @property
    def resident(self) -> int:
        """Largest capacity that is loaded, 0 if none is."""
        return max(self._sessions, default=0)

    @property
    def start(self) -> int:
        """Smallest capacity that is loaded, the same one where there is one; 0 if none is."""
        return min(self._sessions, default=0)

    def load(self, capacity: int, start: int | None = None) -> None:
        """Make a capacity (1 to K) the resident one; what else was loaded is released first.

        What is loaded and still wanted stays, also where the other one cannot be opened.

        Args:
            capacity: the largest that is to run.
            start: a smaller one to be kept beside it; None for none.

        Raises:
            DeliveryError: a ring or template is missing or damaged.
        """
        wanted = {capacity} if start is None else {start, capacity}
        held = wanted & self._sessions.keys()
        self._sessions = {number: self._sessions[number] for number in held}
        for number in sorted(wanted - held):
            self._sessions[number] = self._open(number)

    def _open(self, capacity: int) -> "onnxruntime.InferenceSession":
        return open_capacity(self._manifest, capacity, self._activations, self._blobs.read)

    def run(self, inputs: NDArray[np.float32], capacity: int | None = None) -> CapacityOutput:
        """Run a capacity on inputs (N, *shape).

        Args:
            inputs: to be answered.
            capacity: one that is loaded; None for the largest of them.

        Raises:
            RuntimeError: it is not loaded.
        """
        session = self._sessions.get(capacity or self.resident)
        if session is None:
            raise RuntimeError("no such capacity is loaded")
        return run_capacity(session, inputs)
