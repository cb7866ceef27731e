"""One capacity of a bundle as a device runs it, and the check that it does what the bundle says.

The cloud makes this check before a release and a device makes it before a switch: the same code on
the same bytes, so that no release passes the one and fails the other.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Blob, GoldenInputs, Manifest
from nestling_core.execution.session import open_session
from nestling_core.nest.bundle_files import Activations, template_of
from nestling_core.nest.layout import assemble

if TYPE_CHECKING:
    import onnxruntime


class CapacityError(ValueError):
    """A capacity that does not answer as its bundle says."""


class CapacityOutput(NamedTuple):
    """What a capacity says of N inputs.

    Attributes:
        logits: (N, classes).
        right: (N, K + 1), the probability that capacity 1 to K and the cloud are right, as the
            multiplexer estimates it from the same layers.
    """

    logits: NDArray[np.float32]
    right: NDArray[np.float32]


Run = Callable[[NDArray[np.float32]], CapacityOutput]


def open_capacity(
    manifest: Manifest, capacity: int, activations: Activations, read: Callable[[Blob], bytes]
) -> "onnxruntime.InferenceSession":
    """Open a capacity from its rings and its template.

    Args:
        manifest: of the bundle.
        capacity: 1 to K.
        activations: of the template.
        read: gives a blob's bytes.

    Raises:
        NestError: rings that do not fill the layout.
        SessionError: a template that does not load, or does not fit the rings.
    """
    entries = manifest.capacities[:capacity]
    tensors = assemble(manifest.tensors, [read(entry.ring) for entry in entries])
    return open_session(read(template_of(entries[-1], activations)), tensors)


def run_capacity(
    session: "onnxruntime.InferenceSession", inputs: NDArray[np.float32]
) -> CapacityOutput:
    """Run an open capacity on inputs (N, *shape)."""
    logits, right = session.run(["logits", "right"], {"input": inputs})
    return CapacityOutput(logits, right)


def golden_inputs(manifest: Manifest, golden: GoldenInputs) -> NDArray[np.float32]:
    """Decode a bundle's golden inputs to (count, *shape) float32."""
    flat = np.frombuffer(golden.inputs, "<f4")
    return flat.reshape(golden.count, *manifest.signature.shape).astype(np.float32)


def check_capacity(run: Run, manifest: Manifest, golden: GoldenInputs, capacity: int) -> None:
    """Check that a capacity answers the golden inputs right, one at a time as on a device.

    Args:
        run: runs the capacity.
        manifest: of the bundle.
        golden: the bundle's.
        capacity: 1 to K.

    Raises:
        CapacityError: logits other than the bundle's, or no probability for every option.
    """
    said = [run(row[None]) for row in golden_inputs(manifest, golden)]
    if not said:
        raise CapacityError("the bundle has no golden inputs")
    classes = len(manifest.signature.classes)
    wanted = np.frombuffer(golden.logits[capacity - 1], "<f4")
    for number, (logits, right) in enumerate(said):
        if logits.shape != (1, classes):
            raise CapacityError(
                f"capacity {capacity} answers one input with logits {logits.shape}; the bundle "
                f"names {classes} classes"
            )
        expected = wanted.reshape(len(said), classes)[number]
        difference = float(np.abs(logits[0] - expected).max())
        if not difference <= golden.tolerance:
            raise CapacityError(
                f"capacity {capacity} answers the golden inputs with logits off by "
                f"{difference:.3g} (allowed {golden.tolerance:.3g}); this processor computes it "
                "differently"
            )
        if not are_probabilities(right, len(manifest.capacities)):
            raise CapacityError(
                f"what capacity {capacity} says of the options is no probability for each"
            )


def are_probabilities(right: NDArray[np.float32], capacities: int) -> bool:
    """Whether this is a probability for every option, (N, K + 1)."""
    whole = right.ndim == 2 and right.shape[1] == capacities + 1 and np.isfinite(right).all()
    return bool(whole and (right >= 0).all() and (right <= 1).all())
