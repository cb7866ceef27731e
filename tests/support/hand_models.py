"""ONNX models of one node, made by hand."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def sum_model(width: int) -> bytes:
    """Two inputs (N, width) of floats, their sum."""
    inputs = [_value(name, TensorProto.FLOAT, ["N", width]) for name in ("left", "right")]
    return _serialize(helper.make_node("Add", ["left", "right"], ["sum"]), inputs, "sum")


def failing_model() -> bytes:
    """It opens, and no run of it succeeds: 3 values are put into shapes of 2."""
    node = helper.make_node("Reshape", ["input", "shape"], ["output"])
    shape = numpy_helper.from_array(np.array([2], np.int64), "shape")
    source = _value("input", TensorProto.FLOAT, ["N", 3])
    return _serialize(node, [source], "output", [shape])


def integer_model() -> bytes:
    """One input (N, 3) of integers, and back."""
    node = helper.make_node("Cast", ["input"], ["output"], to=TensorProto.FLOAT)
    return _serialize(node, [_value("input", TensorProto.INT64, ["N", 3])], "output")


def first_values_model(width: int, classes: int) -> bytes:
    """A cloud model of rows (N, width): its logits are their first values."""
    bounds = [
        numpy_helper.from_array(np.array([number], np.int64), name)
        for name, number in (("start", 0), ("end", classes), ("axis", 1))
    ]
    node = helper.make_node("Slice", ["input", "start", "end", "axis"], ["logits"])
    source = _value("input", TensorProto.FLOAT, ["N", width])
    return _serialize(node, [source], "logits", bounds, ["N", classes])


def _value(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
    made: onnx.ValueInfoProto = helper.make_tensor_value_info(name, kind, shape)
    return made


def _serialize(
    node: onnx.NodeProto,
    inputs: list[onnx.ValueInfoProto],
    output: str,
    constants: list[TensorProto] | None = None,
    shape: list[str | int] | None = None,
) -> bytes:
    target = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
    graph = helper.make_graph([node], "hand", inputs, [target], constants)
    opset = helper.make_opsetid("", 17)
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=9)
    return model.SerializeToString()
