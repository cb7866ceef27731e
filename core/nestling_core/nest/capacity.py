"""Runs one capacity of a bundle, and checks its outputs for the bundle's golden inputs.

Golden inputs are inputs with known logits. The cloud makes this check before a release, and a
device makes it before it switches to the release. Both run the same code on the same bytes, so the
results can differ only if the two machines compute differently.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import Blob, GoldenInputs, Manifest
from nestling_core.execution.session import open_session
from nestling_core.kinds.of_signature import kind_of
from nestling_core.nest.bundle_files import Activations, template_of
from nestling_core.nest.layout import assemble

if TYPE_CHECKING:
    import onnxruntime


class CapacityError(ValueError):
    """Raised when the outputs of a capacity do not match its bundle."""


class CapacityOutput(NamedTuple):
    """The outputs of a capacity for N inputs.

    Attributes:
        logits: the outputs of the student, (N, O), for example logits.
        right: the estimated probability that each option answers correctly, (N, K + 1). The options
            are capacities 1 to K, then the cloud. The estimates are those of the multiplexer, whose
            layers are a part of the capacity's graph.
    """

    logits: NDArray[np.float32]
    right: NDArray[np.float32]


Run = Callable[[NDArray[np.float32]], CapacityOutput]


def open_capacity(
    manifest: Manifest, capacity: int, activations: Activations, read: Callable[[Blob], bytes]
) -> "onnxruntime.InferenceSession":
    """Return a session that runs a capacity.

    The session combines the weights in the rings of capacities 1 to `capacity` with the template
    (ONNX graph) of `capacity`.

    Args:
        manifest: the bundle's manifest.
        capacity: the capacity to open, 1 to K.
        activations: the activation type of the template.
        read: the function that returns the bytes of a blob. Its errors are not caught.

    Raises:
        NestError: the rings do not match the layout.
        SessionError: the template does not load, or does not match the rings.
    """
    entries = manifest.capacities[:capacity]
    tensors = assemble(manifest.tensors, [read(entry.ring) for entry in entries])
    return open_session(read(template_of(entries[-1], activations)), tensors)


def run_capacity(
    session: "onnxruntime.InferenceSession", inputs: NDArray[np.float32]
) -> CapacityOutput:
    """Run a capacity on some inputs, and return its outputs.

    Args:
        session: a session that `open_capacity` returned.
        inputs: the inputs, (N, *shape).
    """
    logits, right = session.run(["logits", "right"], {"input": inputs})
    return CapacityOutput(logits, right)


def golden_inputs(manifest: Manifest, golden: GoldenInputs) -> NDArray[np.float32]:
    """Return a bundle's golden inputs (inputs with known logits) as an array.

    Args:
        manifest: the bundle's manifest, which states the shape of one input.
        golden: the bundle's golden inputs.

    Returns:
        The inputs, (count, *shape).
    """
    flat = np.frombuffer(golden.inputs, "<f4")
    return flat.reshape(golden.count, *manifest.signature.shape).astype(np.float32)


def check_capacity(run: Run, manifest: Manifest, golden: GoldenInputs, capacity: int) -> None:
    """Raise CapacityError if a capacity answers the golden inputs incorrectly.

    The golden inputs (inputs with known logits) run one at a time, as on a device.

    Args:
        run: the function that runs the capacity.
        manifest: the bundle's manifest.
        golden: the bundle's golden inputs.
        capacity: the number of the capacity, 1 to K.

    Raises:
        CapacityError: the logits have the wrong shape or differ from the bundle's by more than its
            tolerance, an option lacks a probability, or there are no golden inputs.
    """
    outputs = [run(row[None]) for row in golden_inputs(manifest, golden)]
    if not outputs:
        raise CapacityError("the bundle has no golden inputs")
    outputs_each = kind_of(manifest.signature).student_outputs
    golden_logits = np.frombuffer(golden.logits[capacity - 1], "<f4")
    for number, (logits, right) in enumerate(outputs):
        if logits.shape != (1, outputs_each):
            raise CapacityError(
                f"capacity {capacity} answers one input with logits of shape {logits.shape}; the "
                f"bundle's signature asks for {outputs_each}"
            )
        expected = golden_logits.reshape(len(outputs), outputs_each)[number]
        difference = float(np.abs(logits[0] - expected).max())
        if not difference <= golden.tolerance:
            raise CapacityError(
                f"capacity {capacity} answers the golden inputs with logits off by "
                f"{difference:.3g} (allowed {golden.tolerance:.3g}); this processor computes it "
                "differently"
            )
        if not are_probabilities(right, len(manifest.capacities)):
            raise CapacityError(
                f"capacity {capacity} does not return a probability for each option"
            )


def are_probabilities(right: NDArray[np.float32], capacities: int) -> bool:
    """Return whether `right` contains a probability for every option.

    Args:
        right: the array to check, which should be (N, K + 1) with values from 0 to 1.
        capacities: the number of capacities, K.
    """
    whole = right.ndim == 2 and right.shape[1] == capacities + 1 and np.isfinite(right).all()
    return bool(whole and (right >= 0).all() and (right <= 1).all())
