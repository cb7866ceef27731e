"""Graph templates: one small ONNX graph for each capacity, its int8 weights left outside.

Convolutions are quantised in the QDQ way, the last layer in plain integers (ADR 13). A weight's
initialiser is external: the device hands the tensor in from its rings, a stranger finds it in the
file that the initialiser names (`capacity-2.weights`), where `nestling-cloud bundle export` writes
it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nestling.student.network import HEAD_NAME, kernel_name
from nestling.v1.bundle_pb2 import NestedTensor, Signature
from nestling_cloud.bundles.export import weights_file
from nestling_cloud.quantization import (
    ActivationRange,
    QuantizedCapacity,
    QuantizedLayer,
    QuantizedStudent,
)

OPSET = 17
_IR_VERSION = 9


def build_template(
    student: QuantizedStudent,
    signature: Signature,
    layout: Sequence[NestedTensor],
    capacity: int,
) -> bytes:
    """Make the graph of one capacity: "input" (N, *shape) float32 -> "logits" (N, classes)."""
    entry = student.capacities[capacity - 1]
    graph = _Graph(capacity, layout)
    rank = len(signature.shape)
    x = graph.normalize("input", student, rank)
    x = graph.grid(x, entry.input)
    for number, layer in enumerate(entry.layers):
        x = graph.convolution(x, kernel_name(number), layer)
    x = graph.node("GlobalAveragePool", [x])
    x = graph.node("Flatten", [x], axis=1)
    graph.head(x, entry)
    return graph.serialize(signature)


class _Graph:
    """Nodes and initialisers in the making."""

    def __init__(self, capacity: int, layout: Sequence[NestedTensor]) -> None:
        self._capacity = capacity
        self._shapes = {t.name: tuple(t.prefixes[capacity - 1].shape) for t in layout}
        self._offsets = _offsets(self._shapes)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[TensorProto] = []
        self._scales: dict[str, float] = {}

    def node(
        self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any
    ) -> str:
        name = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self._initializers.append(numpy_helper.from_array(value, name))
        return name

    def normalize(self, x: str, student: QuantizedStudent, rank: int) -> str:
        shape = (1, -1, *(1,) * (rank - 1))
        mean = self.constant("mean", student.mean.reshape(shape))
        deviation = self.constant("deviation", student.deviation.reshape(shape))
        return self.node("Div", [self.node("Sub", [x, mean]), deviation])

    def integers(self, x: str, grid: ActivationRange) -> tuple[str, str, str]:
        """Round activations to unsigned 8-bit integers; returns them, their scale and zero."""
        scale = self.constant(f"{x}.scale", np.array(grid.scale, np.float32))
        zero = self.constant(f"{x}.zero", np.array(grid.zero_point, np.uint8))
        return self.node("QuantizeLinear", [x, scale, zero]), scale, zero

    def grid(self, x: str, grid: ActivationRange) -> str:
        """Round activations to an unsigned 8-bit grid."""
        real = self.node("DequantizeLinear", self.integers(x, grid))
        self._scales[real] = grid.scale
        return real

    def stored(self, name: str) -> str:
        """Name a tensor of the weight store, its bytes left outside."""
        shape = self._shapes[name]
        tensor = TensorProto(name=name, data_type=TensorProto.INT8, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        place = {
            "location": weights_file(self._capacity),
            "offset": self._offsets[name],
            "length": int(np.prod(shape)),
        }
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        self._initializers.append(tensor)
        return name

    def weight(self, name: str, scale: NDArray[np.float32]) -> str:
        scales = self.constant(f"{name}.scale", scale)
        return self.node("DequantizeLinear", [self.stored(name), scales], axis=0)

    def bias(self, name: str, x: str, scale: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """A bias on the grid of the accumulator, as integer kernels want it."""
        step = (self._scales[x] * scale).astype(np.float32)
        integers = self.constant(f"{name}.bias", _accumulated(bias, step))
        scales = self.constant(f"{name}.bias_scale", step)
        return self.node("DequantizeLinear", [integers, scales], axis=0)

    def convolution(self, x: str, name: str, layer: QuantizedLayer) -> str:
        _, _, *kernel = self._shapes[name]
        pads = [length // 2 for length in kernel]
        convolved = self.node(
            "Conv",
            [
                x,
                self.weight(name, layer.weight_scale),
                self.bias(name, x, layer.weight_scale, layer.bias),
            ],
            kernel_shape=kernel,
            pads=[*pads, *pads],
            strides=[layer.stride] * len(kernel),
        )
        return self.grid(self.node("Relu", [convolved]), layer.output)

    def head(self, x: str, entry: QuantizedCapacity) -> None:
        """Sum in integers and scale once: every processor then gives the very same logits."""
        step = (entry.pooled.scale * entry.head_scale).astype(np.float32)
        integers, _, zero = self.integers(x, entry.pooled)
        weight = self.node("Transpose", [self.stored(HEAD_NAME)], perm=[1, 0])
        products = self.node("MatMulInteger", [integers, weight, zero])
        bias = self.constant(f"{HEAD_NAME}.bias", _accumulated(entry.head_bias, step))
        total = self.node("Cast", [self.node("Add", [products, bias])], to=TensorProto.FLOAT)
        self.node("Mul", [total, self.constant(f"{HEAD_NAME}.step", step)], "logits")

    def serialize(self, signature: Signature) -> bytes:
        source = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", *signature.shape])
        target = helper.make_tensor_value_info(
            "logits", TensorProto.FLOAT, ["N", len(signature.classes)]
        )
        graph = helper.make_graph(
            self._nodes, f"capacity-{self._capacity}", [source], [target], self._initializers
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="nestling",
        )
        return model.SerializeToString(deterministic=True)


def _accumulated(bias: NDArray[np.float32], step: NDArray[np.float32]) -> NDArray[np.int32]:
    """Round a bias to 32-bit integers, in steps of the accumulator."""
    limit = float(2**30)
    integers: NDArray[np.int32] = np.clip(np.rint(bias / step), -limit, limit).astype(np.int32)
    return integers


def _offsets(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return {name: int(start) for name, start in zip(shapes, starts, strict=True)}
