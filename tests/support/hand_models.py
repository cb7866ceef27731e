"""Hand-made ONNX models of one node."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def sum_model(width: int) -> bytes:
    """Return a model that adds two float inputs (N, width)."""
    inputs = [_value(name, TensorProto.FLOAT, ["N", width]) for name in ("left", "right")]
    return _serialize(helper.make_node("Add", ["left", "right"], ["sum"]), inputs, "sum")


def failing_model() -> bytes:
    """Return a model that opens but fails in every run: it reshapes 3 values to 2."""
    node = helper.make_node("Reshape", ["input", "shape"], ["output"])
    shape = numpy_helper.from_array(np.array([2], np.int64), "shape")
    source = _value("input", TensorProto.FLOAT, ["N", 3])
    return _serialize(node, [source], "output", [shape])


def integer_model() -> bytes:
    """Return a model that casts an integer input (N, 3) to floats."""
    node = helper.make_node("Cast", ["input"], ["output"], to=TensorProto.FLOAT)
    return _serialize(node, [_value("input", TensorProto.INT64, ["N", 3])], "output")


def first_values_model(width: int, classes: int) -> bytes:
    """Return a cloud model whose logits are the first values of its input (N, width)."""
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
