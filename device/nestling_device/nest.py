"""The nest on the device: rings and templates become the one capacity that is resident."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nestling.bundle import Activations, template_of
from nestling.nest import assemble
from nestling.session import open_session
from nestling.v1.bundle_pb2 import GoldenInputs, Manifest
from nestling_device.delivery.blobs import BlobStore

if TYPE_CHECKING:
    import onnxruntime


class Nest:
    """Holds one capacity of a bundle in memory and swaps it for another on demand."""

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
        self._resident = 0
        self._session: onnxruntime.InferenceSession | None = None

    @property
    def resident(self) -> int:
        """Capacity that is loaded, 0 if none is."""
        return self._resident

    def load(self, capacity: int) -> None:
        """Make a capacity (1 to K) the resident one; the one before is let go first.

        Raises:
            DeliveryError: a ring or template is missing or damaged; nothing is resident now.
        """
        if capacity == self._resident:
            return
        self._session, self._resident = None, 0
        entries = self._manifest.capacities[:capacity]
        tensors = assemble(self._manifest.tensors, [self._blobs.read(e.ring) for e in entries])
        template = self._blobs.read(template_of(entries[-1], self._activations))
        self._session = open_session(template, tensors)
        self._resident = capacity

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (N, classes) of the resident capacity for inputs (N, *shape).

        Raises:
            RuntimeError: nothing is loaded.
        """
        if self._session is None:
            raise RuntimeError("no capacity is loaded")
        logits: NDArray[np.float32] = self._session.run(None, {"input": inputs})[0]
        return logits


def golden_inputs(manifest: Manifest, golden: GoldenInputs) -> NDArray[np.float32]:
    """Decode a bundle's golden inputs to (count, *shape) float32."""
    flat = np.frombuffer(golden.inputs, "<f4")
    return flat.reshape(golden.count, *manifest.signature.shape).astype(np.float32)
