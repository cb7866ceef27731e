"""Builds an ONNX graph node by node, with int8 weights that stay outside the graph's file."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nestling.v1.bundle_pb2 import Signature
from nestling_core.kinds.of_signature import kind_of

_OPSET = 17
_IR_VERSION = 9


class GraphBuilder:
    """The nodes and initializers of a graph under construction.

    The methods that add something return the name by which nodes can use it.

    Args:
        name: the name of the graph.
        weights_file: the name of the file with the int8 weights, to which the graph refers.
        shapes: the shapes of the int8 weights by name, in the order of the file.

    Attributes:
        shapes: the shapes of the int8 weights by name.
    """

    def __init__(self, name: str, weights_file: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.shapes = shapes
        self._name = name
        self._weights_file = weights_file
        self._offsets = _offsets(shapes)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[TensorProto] = []

    def node(
        self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any
    ) -> str:
        """Add a node with one output.

        Args:
            kind: the ONNX operator.
            inputs: the names of the operator's inputs.
            output: the name of the output; None to generate a name.
            **attributes: the operator's attributes.
        """
        name = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add an array whose values are stored in the graph's own file."""
        self._initializers.append(numpy_helper.from_array(value, name))
        return name

    def integers(self, values: Sequence[int]) -> str:
        """Add a list of integers, such as a shape."""
        return self.constant(f"integers_{len(self._nodes)}", np.array(values, np.int64))

    def stored(self, name: str) -> str:
        """Add an int8 weight tensor whose values are stored outside the graph's file."""
        shape = self.shapes[name]
        tensor = TensorProto(name=name, data_type=TensorProto.INT8, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        place = {
            "location": self._weights_file,
            "offset": self._offsets[name],
            "length": int(np.prod(shape)),
        }
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._initializers.append(tensor)
        return name

    def arranged(self, name: str, order: Sequence[int], shape: Sequence[int]) -> str:
        """Transpose and then reshape a stored tensor.

        onnxruntime does both only once, when it opens the model.
        """
        turned = self.node("Transpose", [name], perm=list(order))
        return self.node("Reshape", [turned, self.integers(shape)])

    def serialize(self, signature: Signature) -> bytes:
        """Return the serialized model, which maps "input" to "logits" in float32.

        Args:
            signature: the shape of an input, and the kind of the task.
        """
        source = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *signature.shape])
        target = helper.make_tensor_value_info(
            "logits", TensorProto.FLOAT, ["N", kind_of(signature).student_outputs]
        )
        graph = helper.make_graph(self._nodes, self._name, [source], [target], self._initializers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="nestling",
        )
        return model.SerializeToString(deterministic=True)


def _offsets(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return {name: int(start) for name, start in zip(shapes, starts, strict=True)}
