"""Turns an ONNX model of another tool into the form that the cloud serves.

The served form maps a float32 tensor "input" (N, *shape) to a float32 tensor "logits" (N, O), the
outputs of a teacher for the kind of the task, for any N. The network itself is not exported again:
nodes are added at its input and output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from nestling_cloud.cloud_model.model import INPUT, OUTPUT
from nestling_cloud.learning.onnx.free_batch import FIRST_AXIS, row_by_row, with_free_reshapes
from nestling_cloud.learning.onnx.graph_edit import (
    add_constant,
    keep_only_needed,
    rename_tensor,
)
from nestling_cloud.learning.onnx.graph_macs import graph_macs
from nestling_cloud.learning.onnx.model_ends import (
    Ends,
    Expected,
    choose_ends,
    gives_probabilities,
    values_before,
)
from nestling_cloud.learning.onnx.onnx_file import (
    OnnxTeacherError,
    open_model,
    runtime_reason,
    serialize,
)
from nestling_cloud.models.onnx_teacher import OnnxTeacher, channels_of
from nestling_core.execution.session import quiet_run

_OLDEST_OPSET = 7  # from here on, operators broadcast like numpy
_TRIED = (1, 2, 3)  # inputs in a batch
_TOLERANCE = 1e-3  # for sums in another order, as a part of the largest logit
_LEAST_TOLERANCE = 1e-6
_TINY = 1e-30  # keeps the logarithm of a probability of 0 finite
_MIXED = "nestling:mixed input"
_RESERVED = (INPUT, OUTPUT)

Rows = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class AdoptedModel:
    """An ONNX model in the form that the cloud serves.

    Attributes:
        onnx: the serialized model.
        macs: the number of multiply-accumulates for one input, in convolutions, matrix products and
            recurrent layers.
    """

    onnx: bytes
    macs: int


def adopt(
    model: onnx.ModelProto, teacher: OnnxTeacher, shape: Sequence[int], expected: Expected
) -> AdoptedModel:
    """Return a model in the form that the cloud serves.

    A softmax at the end is removed, or undone by a logarithm. If the model accepts batches of one
    size only, constant shapes in it are relaxed. If that is not enough, and the size is 1, the
    served model runs the network once for each input.

    Args:
        model: the model with all weights inside, which is left as it is.
        teacher: the names of input and output, if they are given, and the normalization.
        shape: the shape of one input of the task.
        expected: what the task expects a teacher to answer.

    Raises:
        OnnxTeacherError: the model cannot be loaded, does not fit the task, or accepts only batches
            of one size above 1 that cannot be removed from its graph. The text says why, after the
            name of the teacher.
    """
    open_model(model)  # first of all, onnxruntime must be able to load it
    opset = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    if opset < _OLDEST_OPSET:
        raise OnnxTeacherError(
            f"has opset {opset}, and {_OLDEST_OPSET} is the oldest that can be served; convert it, "
            "for example by onnx.version_converter.convert_version(model, 17)"
        )
    ends = choose_ends(model.graph, teacher.input, teacher.output, shape, expected.count)
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    bare.ir_version = max(bare.ir_version, 4)  # before, every weight was an input too
    _give_ends(bare, ends, teacher, shape, expected)
    served = _for_any_batch(bare, ends, shape, expected)
    return AdoptedModel(onnx=serialize(served), macs=graph_macs(bare))


def with_channels_mixed(model: AdoptedModel, matrix: NDArray[np.float32]) -> AdoptedModel:
    """Return a served model whose input is first multiplied by a matrix over its channels.

    Args:
        model: the served model.
        matrix: the matrix, (C, C).
    """
    made = onnx.load_from_string(model.onnx)
    graph = made.graph
    axes = len(graph.input[0].type.tensor_type.shape.dim) - 2
    rename_tensor(graph, INPUT, _MIXED)
    graph.input[0].name = INPUT
    kernel = add_constant("nestling:matrix", matrix.reshape(*matrix.shape, *[1] * axes))
    # A convolution with a kernel of one point, because older opsets have no Einsum.
    mix = helper.make_node("Conv", [INPUT, kernel.output[0]], [_MIXED])
    nodes = [kernel, mix, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return AdoptedModel(onnx=serialize(made), macs=model.macs)


def _give_ends(
    model: onnx.ModelProto,
    ends: Ends,
    teacher: OnnxTeacher,
    shape: Sequence[int],
    expected: Expected,
) -> None:
    """Add nodes that turn the task's input into the network's and its output into logits."""
    graph = model.graph
    for name in _RESERVED:
        rename_tensor(graph, name, _renamed(name))
    before = _input_nodes(_renamed(ends.input), ends, teacher, shape)
    logits = values_before(graph, _renamed(ends.output), expected.activations)
    after = [helper.make_node("Cast", [logits], [OUTPUT], to=TensorProto.FLOAT)]
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    _declare(graph, shape, expected.count)
    keep_only_needed(graph)


def _renamed(name: str) -> str:
    """Return the name of a tensor of the file, other than those of the served ends."""
    return f"nestling:{name} of the file" if name in _RESERVED else name


def _input_nodes(
    source: str, ends: Ends, teacher: OnnxTeacher, shape: Sequence[int]
) -> list[onnx.NodeProto]:
    """Return nodes that compute the network's input from the task's."""
    nodes: list[onnx.NodeProto] = []
    last = INPUT
    for kind, values in (("Sub", teacher.mean), ("Div", teacher.std)):
        numbers = channels_of(values)
        if len(numbers) not in {1, shape[0]}:
            raise OnnxTeacherError(
                f"has {len(numbers)} numbers in mean or std, but the task has {shape[0]} channels; "
                "give one for each channel"
            )
        if set(numbers) != {0.0 if kind == "Sub" else 1.0}:
            array = np.array(numbers, np.float32).reshape(1, -1, *[1] * (len(shape) - 1))
            nodes.append(add_constant(f"nestling:{kind} of the input", array))
            nodes.append(
                helper.make_node(
                    kind, [last, nodes[-1].output[0]], [f"nestling:input after {kind}"]
                )
            )
            last = nodes[-1].output[0]
    if ends.channels_last:
        order = [0, *range(2, len(shape) + 1), 1]
        nodes.append(
            helper.make_node("Transpose", [last], ["nestling:input, channels last"], perm=order)
        )
        last = nodes[-1].output[0]
    nodes.append(helper.make_node("Cast", [last], [source], to=ends.input_type))
    return nodes


def _declare(graph: onnx.GraphProto, shape: Sequence[int], outputs: int) -> None:
    """Declare the served input and output, and forget what the file says about shapes."""
    del graph.input[:], graph.output[:], graph.value_info[:]
    kind = TensorProto.FLOAT
    graph.input.append(helper.make_tensor_value_info(INPUT, kind, [FIRST_AXIS, *shape]))
    graph.output.append(helper.make_tensor_value_info(OUTPUT, kind, [FIRST_AXIS, outputs]))


def _for_any_batch(
    bare: onnx.ModelProto, ends: Ends, shape: Sequence[int], expected: Expected
) -> onnx.ModelProto:
    """Return a model that answers batches of any size, with logits.

    The ways are tried in order; the first that answers every batch, and each input like the input
    alone, is taken.
    """
    size = ends.batch or 1
    ways: list[Callable[[], onnx.ModelProto]] = [
        lambda: bare,
        lambda: with_free_reshapes(bare, size),
    ]
    if size == 1:
        ways.append(lambda: row_by_row(bare, shape, expected.count))
    rows = np.random.default_rng(0).standard_normal((max(_TRIED), *shape), np.float32)
    reasons: list[str] = []
    for way in ways:
        candidate = way()
        try:
            answers = _answers(candidate, rows, expected.count, alike=ends.batch is not None)
        except OnnxTeacherError as err:
            reasons.append(str(err))
            continue
        if "Softmax" in expected.activations and gives_probabilities(answers):
            return _with_logarithm(candidate)
        return candidate
    raise OnnxTeacherError(_refusal(ends, reasons[0]))


def _refusal(ends: Ends, reason: str) -> str:
    if ends.batch is None:
        return f"cannot be run on the task's inputs: {reason}"
    return (
        f"accepts batches of {ends.batch} only, and its graph cannot be changed to accept others: "
        f"{reason}; export it with a dynamic batch axis"
    )


def _answers(model: onnx.ModelProto, rows: Rows, outputs: int, *, alike: bool) -> Rows:
    """Return a model's answers to single rows after trying it in batches.

    Raises:
        OnnxTeacherError: the model fails, or answers with another shape; or, if `alike` is True, it
            answers a row differently in a batch.
    """
    session = open_model(model)

    def run(batch: Rows) -> Rows:
        try:
            (answers,) = session.run([OUTPUT], {INPUT: batch}, quiet_run())
        except Exception as err:  # onnxruntime's errors share no base
            reason = runtime_reason(str(err))
            raise OnnxTeacherError(f"it fails on {len(batch)} inputs ({reason})") from err
        found: Rows = answers
        if found.shape != (len(batch), outputs):
            raise OnnxTeacherError(
                f"it answers {len(batch)} inputs with {list(found.shape)}, not with "
                f"[{len(batch)}, {outputs}]"
            )
        return found

    alone = np.concatenate([run(row[None]) for row in rows])
    allowed = _TOLERANCE * float(np.nanmax(np.abs(alone), initial=0.0)) + _LEAST_TOLERANCE
    for count in _TRIED[1:]:
        together = run(rows[:count])
        same = np.allclose(together, alone[:count], rtol=0, atol=allowed, equal_nan=True)
        if alike and not same:
            raise OnnxTeacherError("an input gets another answer in a batch than alone")
    return alone


def _with_logarithm(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose logits are the logarithm of the probabilities that it gives."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    rename_tensor(made.graph, OUTPUT, "nestling:probabilities")
    made.graph.output[0].name = OUTPUT
    tiny = add_constant("nestling:least probability", np.array(_TINY, np.float32))
    shifted = helper.make_node(
        "Add", ["nestling:probabilities", tiny.output[0]], ["nestling:shifted probabilities"]
    )
    log = helper.make_node("Log", ["nestling:shifted probabilities"], [OUTPUT])
    made.graph.node.extend([tiny, shifted, log])
    return made
