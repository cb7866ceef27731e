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
    """Loads up to two capacities of a bundle into memory, and runs them."""

    def __init__(self, manifest: Manifest, blobs: BlobStore, activations: Activations) -> None:
        """Prepare to run an installed bundle, without loading a capacity yet.

        Args:
            manifest: the bundle's manifest.
            blobs: the store that holds the bundle's blobs.
            activations: the activation type of the templates (ONNX graphs) to run, which must be in
                the store.
        """
        self._manifest = manifest
        self._blobs = blobs
        self._activations = activations
        self._sessions: dict[int, onnxruntime.InferenceSession] = {}

    @property
    def resident(self) -> int:
        """The largest loaded capacity, or 0 if none is loaded."""
        return max(self._sessions, default=0)

    @property
    def start(self) -> int:
        """The smallest loaded capacity, or 0 if none is loaded.

        It equals `resident` if only one capacity is loaded.
        """
        return min(self._sessions, default=0)

    def load(self, capacity: int, start: int | None = None) -> None:
        """Load a capacity and, if requested, a smaller capacity beside it.

        All other capacities are released first. A capacity that is already loaded and still needed
        stays, even if the other one cannot be opened.

        Args:
            capacity: the largest capacity to run, 1 to K.
            start: the smaller capacity to load beside the largest, or None.

        Raises:
            DeliveryError: a ring (weights) or template (ONNX graph) is missing or damaged.
            NestError: the rings do not match the layout in the manifest.
            SessionError: the template does not load, or does not match the rings.
        """
        needed = {capacity} if start is None else {start, capacity}
        held = needed & self._sessions.keys()
        self._sessions = {number: self._sessions[number] for number in held}
        for number in sorted(needed - held):
            self._sessions[number] = self._open(number)

    def _open(self, capacity: int) -> "onnxruntime.InferenceSession":
        return open_capacity(self._manifest, capacity, self._activations, self._blobs.read)

    def run(self, inputs: NDArray[np.float32], capacity: int | None = None) -> CapacityOutput:
        """Return the outputs of a loaded capacity.

        Args:
            inputs: the inputs, (N, *shape).
            capacity: a loaded capacity (default: the largest loaded one).

        Raises:
            RuntimeError: the capacity is not loaded.
        """
        session = self._sessions.get(capacity or self.resident)
        if session is None:
            raise RuntimeError("no such capacity is loaded")
        return run_capacity(session, inputs)
