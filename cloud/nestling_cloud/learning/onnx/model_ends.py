"""Finds the input and the output of an ONNX model that a task needs, or says why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from nestling_cloud.learning.onnx.graph_edit import own_inputs
from nestling_cloud.learning.onnx.onnx_file import OnnxTeacherError

_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16}
# Nodes that change nothing but the type of what they pass on.
_PASSING = {"Identity", "Cast"}
_SUM_TOLERANCE = 2e-3  # of float16 probabilities

Axes = list[int | None]  # sizes of axes; None for any size


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What a task expects a teacher to answer.

    Attributes:
        count: the number of values for each input.
        activations: the operators that may stand at the end of a model and are removed, because the
            task learns from the values before them: "Softmax", "Sigmoid", both or none. With
            "Softmax", answers that add up to 1 are replaced by their logarithms.
    """

    count: int
    activations: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Ends:
    """The tensors by which a task uses a model.

    Attributes:
        input: the name of the input.
        input_type: its element type, as in `onnx.TensorProto`.
        channels_last: True if its channels are the last axis.
        batch: the only size of a batch that it accepts by its declaration; None for any size.
        output: the name of the output.
    """

    input: str
    input_type: int
    channels_last: bool
    batch: int | None
    output: str


def choose_ends(
    graph: onnx.GraphProto,
    input_name: str | None,
    output_name: str | None,
    shape: Sequence[int],
    outputs: int,
) -> Ends:
    """Return the input and output of a model that fit a task.

    Args:
        graph: the graph of the model.
        input_name: the name of the input, or None for the only one.
        output_name: the name of the output, or None for the only one that fits.
        shape: the shape of one input of the task.
        outputs: the number of values of one answer.

    Raises:
        OnnxTeacherError: there is no such input or output, the model has several inputs, or they do
            not fit. The text says why, after the name of the teacher.
    """
    source = _only_input(own_inputs(graph), input_name)
    axes = _axes(source)
    if axes is None:  # the file does not say
        axes = [None] * (1 + len(shape))
    if source.type.tensor_type.elem_type not in _FLOATS:
        raise OnnxTeacherError(
            f"takes inputs of another type than the task's floats: {described(source)}; export it "
            "with a floating-point input"
        )
    return Ends(
        input=source.name,
        input_type=source.type.tensor_type.elem_type,
        channels_last=_has_channels_last(source, axes[1:], shape),
        batch=axes[0],
        output=_output(list(graph.output), output_name, outputs).name,
    )


def values_before(graph: onnx.GraphProto, output: str, activations: frozenset[str]) -> str:
    """Return the tensor that an activation at the end of a graph is applied to.

    Args:
        graph: the graph.
        output: the name of its output, which is returned if nothing has to be removed.
        activations: the operators that are removed, as in `Expected`.
    """
    makers = {name: node for node in graph.node for name in node.output}
    name = output
    while name in makers and makers[name].op_type in _PASSING:
        name = makers[name].input[0]
    node = makers.get(name)
    if node is None or node.domain not in {"", "ai.onnx"}:
        return output
    axis = next((entry.i for entry in node.attribute if entry.name == "axis"), -1)
    over_values = node.op_type != "Softmax" or axis in {1, -1}
    return node.input[0] if node.op_type in activations and over_values else output


def gives_probabilities(answers: NDArray[np.float32]) -> bool:
    """Return whether answers (N, classes) are probabilities and not logits.

    Probabilities are not negative and add up to 1 in every row.
    """
    sums = answers.sum(axis=1, dtype=np.float64)
    return bool((answers >= 0).all() and (np.abs(sums - 1) <= _SUM_TOLERANCE).all())


def described(value: onnx.ValueInfoProto) -> str:
    """Return the name, type and shape of a tensor for an error's text."""
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return f"{value.name} ({(kind or 'nothing').removesuffix('_type')})"
    tensor = value.type.tensor_type
    name = TensorProto.DataType.Name(tensor.elem_type).lower()
    axes = [dim.dim_param or max(dim.dim_value, 0) or "?" for dim in tensor.shape.dim]
    return f"{value.name} ({name} [{', '.join(map(str, axes))}])"


def _only_input(inputs: list[onnx.ValueInfoProto], name: str | None) -> onnx.ValueInfoProto:
    known = ", ".join(map(described, inputs)) or "none"
    if name is not None and name not in {value.name for value in inputs}:
        raise OnnxTeacherError(f"has no input {name!r}; its inputs are {known}")
    if len(inputs) != 1:
        raise OnnxTeacherError(
            f"must have one input and has {len(inputs)}: {known}; export it with the others fixed"
        )
    if inputs[0].type.WhichOneof("value") != "tensor_type":
        raise OnnxTeacherError(
            f"takes {known} instead of a tensor; export it with a tensor as input"
        )
    return inputs[0]


def _has_channels_last(source: onnx.ValueInfoProto, axes: Axes, shape: Sequence[int]) -> bool:
    """Return whether an input has the channels last; raise if it fits the task in neither order."""
    if _fits(axes, shape):
        return False
    if _fits(axes, [*shape[1:], shape[0]]):
        return True
    raise OnnxTeacherError(
        f"takes {described(source)}, but the task's inputs are [N, {', '.join(map(str, shape))}] "
        "(channels first; a file with the channels last is fine too); change the signature and "
        "load, or export the file for this shape"
    )


def _fits(axes: Axes, shape: Sequence[int]) -> bool:
    return len(axes) == len(shape) and all(
        axis in {None, size} for axis, size in zip(axes, shape, strict=True)
    )


def _output(
    found: list[onnx.ValueInfoProto], name: str | None, outputs: int
) -> onnx.ValueInfoProto:
    known = ", ".join(map(described, found))
    if name is not None:
        named = [value for value in found if value.name == name]
        if not named:
            raise OnnxTeacherError(f"has no output {name!r}; its outputs are {known}")
        if not _answers(named[0], outputs):
            raise OnnxTeacherError(
                f"has the output {described(named[0])}, but the task needs {outputs} floats for "
                f"each input; its outputs are {known}"
            )
        return named[0]
    fitting = [value for value in found if _answers(value, outputs)]
    if not fitting:
        raise OnnxTeacherError(
            f"has no output of {outputs} floats for each input, which the task needs; its outputs "
            f"are {known}"
        )
    if len(fitting) > 1:
        raise OnnxTeacherError(
            f"has several outputs that fit the task: {known}; name one, as in "
            f"OnnxTeacher(..., output={fitting[0].name!r})"
        )
    return fitting[0]


def _answers(value: onnx.ValueInfoProto, outputs: int) -> bool:
    """Return whether an output may have `outputs` floats for each input."""
    if value.type.WhichOneof("value") != "tensor_type":
        return False
    axes = _axes(value)
    fits = axes is None or (len(axes) == 2 and axes[1] in {None, outputs})
    return fits and value.type.tensor_type.elem_type in _FLOATS


def _axes(value: onnx.ValueInfoProto) -> Axes | None:
    """Return the sizes of a tensor's axes; None if even their number is unknown."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    # Some exporters write 0 or -1 for any size.
    return [dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim]
