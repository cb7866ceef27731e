"""Exports a capacity (size) of a nested student in float32, for comparison with int8."""

import torch
from torch import nn

from nestling.v1.bundle_pb2 import Signature
from nestling_cloud.learning.onnx.torch_export import export_onnx
from nestling_core.student.network import NestedStudent
from nestling_core.student.weights import arrays_of, prefix_shapes, student_of, take


def export_fp32(student: NestedStudent, signature: Signature, capacity: int) -> bytes:
    """Return the serialized float32 ONNX model of one capacity.

    The model maps "input" (N, *shape) to "logits" (N, O), the outputs of a student for the kind of
    the task. It does not contain the weights of larger capacities.

    Args:
        student: the trained nested student.
        signature: the shape and the kind of the task.
        capacity: the number of the capacity, 1 to K.
    """
    example = torch.zeros(2, *signature.shape)
    network = _First(alone(student, signature, capacity))
    return export_onnx(network, [example], input_names=["input"], output_names=["logits"])


def alone(student: NestedStudent, signature: Signature, capacity: int) -> NestedStudent:
    """Return one capacity of a nested student as a separate student, in evaluation mode.

    The separate student has only this capacity, and copies of its weights.

    Args:
        student: the nested student.
        signature: the shape and the kind of the task.
        capacity: the number of the capacity, 1 to K.
    """
    config = student.config.alone(capacity)
    own, first = f".capacities.{capacity - 1}.", ".capacities.0."
    arrays = arrays_of(student)
    arrays |= {name.replace(own, first): array for name, array in arrays.items() if own in name}
    arrays["head_offsets"] = arrays["head_offsets"][capacity - 1 :]
    return student_of(signature, config, take(arrays, prefix_shapes(signature, config, 1)))


class _First(nn.Module):
    def __init__(self, student: NestedStudent) -> None:
        super().__init__()
        self.student = student

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.student(x, 1)
        return logits
