"""Compiles a quantized student into the weights and ONNX graphs that a bundle ships."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nestling.v1.bundle_pb2 import NestedTensor, Signature
from nestling_cloud.learning.onnx.attach_multiplexer import attach_multiplexer
from nestling_cloud.learning.onnx.template import build_template
from nestling_cloud.learning.quantization import QuantizedStudent
from nestling_cloud.models.multiplexer import Multiplexer
from nestling_cloud.models.plain_confidence import PlainConfidence
from nestling_cloud.tasks.inputs import Inputs, batches_of
from nestling_core.execution.session import open_session
from nestling_core.nest.layout import assemble, ring_bytes
from nestling_core.student.config import StudentConfig
from nestling_core.student.plan import layout


@dataclass(frozen=True, kw_only=True)
class CompiledNest:
    """The weights and graphs of all capacities (sizes of a student), the smallest first.

    Attributes:
        layout: the names and shapes of the int8 weight tensors.
        rings: the int8 weights that each capacity adds to the next smaller one.
        templates: the graph of each capacity for unsigned activations.
        templates_int8: the graph of each capacity for signed activations.
    """

    layout: Sequence[NestedTensor]
    rings: Sequence[bytes]
    templates: Sequence[bytes]
    templates_int8: Sequence[bytes]

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the outputs of each capacity, computed in onnxruntime as on a device.

        Args:
            inputs: the inputs, (N, *shape).

        Returns:
            The outputs, (K, N, O).
        """
        sessions = [
            open_session(template, assemble(self.layout, self.rings[:number]))
            for number, template in enumerate(self.templates, start=1)
        ]
        parts = [
            np.stack([session.run(None, {"input": batch})[0] for session in sessions])
            for batch in batches_of(inputs)
        ]
        return np.concatenate(parts, axis=1)

    def with_multiplexer(self, multiplexer: Multiplexer | PlainConfidence) -> "CompiledNest":
        """Return the compiled student with a multiplexer or a plain rule added to its graphs."""

        def each(templates: Sequence[bytes]) -> list[bytes]:
            return [
                attach_multiplexer(template, multiplexer, capacity)
                for capacity, template in enumerate(templates, start=1)
            ]

        return dataclasses.replace(
            self, templates=each(self.templates), templates_int8=each(self.templates_int8)
        )


def compile_nest(
    student: QuantizedStudent, signature: Signature, config: StudentConfig
) -> CompiledNest:
    """Return the weights and graphs of a quantized student, without a multiplexer.

    Args:
        student: the quantized student, with all its capacities.
        signature: the shape and classes of the task.
        config: the sizes of the student.
    """
    tensors = layout(signature, config)
    capacities = range(1, config.capacities + 1)
    template = partial(build_template, student, signature, tensors)
    return CompiledNest(
        layout=tensors,
        rings=[ring_bytes(tensors, student.tensors, k) for k in capacities],
        templates=[template(k, "uint8") for k in capacities],
        templates_int8=[template(k, "int8") for k in capacities],
    )
