"""Builds templates, which are small ONNX graphs that leave the int8 weights outside.

There is one template for each capacity (size of a student).

Convolutions are quantized in the QDQ format (QuantizeLinear and DequantizeLinear nodes), and the
last layer computes in plain integers (ADR 13). The initializers of weights are external. A device
passes their tensors in from its rings (the parts in which it stores the weights). Any other ONNX
runtime finds the tensors in the file that the initializer names, for example `capacity-2.weights`,
which `nestling-cloud bundle export` writes.

Activations are unsigned integers, which x86 kernels prefer, or signed integers (each 128 less),
which ARM kernels prefer. Both compute the same numbers with the same weights.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from nestling.v1.bundle_pb2 import NestedTensor, Signature
from nestling_cloud.learning.quantization import (
    ActivationRange,
    QuantizedCapacity,
    QuantizedConv,
    QuantizedRecurrent,
    QuantizedStudent,
)
from nestling_core.nest.bundle_files import Activations, weights_file
from nestling_core.student.blocks import Conv, Depthwise, Lstm
from nestling_core.student.plan import HEAD_NAME, LayerPlan

OPSET = 17
_IR_VERSION = 9


def build_template(
    student: QuantizedStudent,
    signature: Signature,
    layout: Sequence[NestedTensor],
    capacity: int,
    activations: Activations = "uint8",
) -> bytes:
    """Return the serialized graph of one capacity, without its weights.

    The graph maps "input" (N, *shape), in float32, to "logits" (N, classes).

    Args:
        student: the quantized student, which holds all capacities.
        signature: the shape and classes of the task.
        layout: the names and shapes of the student's int8 weight tensors.
        capacity: the number of the capacity, 1 to K.
        activations: the integer type of the activations, which does not change the logits.
    """
    entry = student.capacities[capacity - 1]
    graph = _Graph(capacity, signature, layout, activations)
    x = graph.normalize("input", student)
    x = graph.grid(x, entry.input)
    for plan, layer in zip(student.plans, entry.layers, strict=True):
        x = graph.layer(x, plan, layer)
    x = graph.node("GlobalAveragePool", [x])
    x = graph.node("Flatten", [x], axis=1)
    graph.head(x, entry)
    return graph.serialize()


class _Graph:
    """The nodes and initializers of a graph under construction.

    Its methods add nodes and return the names of their outputs.
    """

    def __init__(
        self,
        capacity: int,
        signature: Signature,
        layout: Sequence[NestedTensor],
        activations: Activations,
    ) -> None:
        self._capacity = capacity
        self._signature = signature
        self._axes = list(signature.shape[1:])
        self._activations = activations
        self._shapes = {t.name: tuple(t.prefixes[capacity - 1].shape) for t in layout}
        self._offsets = _offsets(self._shapes)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[TensorProto] = []
        self._grids: dict[str, ActivationRange] = {}

    def node(
        self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any
    ) -> str:
        name = output or f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self._initializers.append(numpy_helper.from_array(value, name))
        return name

    def normalize(self, x: str, student: QuantizedStudent) -> str:
        shape = (1, -1, *(1,) * len(self._axes))
        mean = self.constant("mean", student.mean.reshape(shape))
        deviation = self.constant("deviation", student.deviation.reshape(shape))
        return self.node("Div", [self.node("Sub", [x, mean]), deviation])

    def integers(self, x: str, grid: ActivationRange) -> tuple[str, str, str]:
        """Round activations to 8-bit integers.

        Return the names of the integers, of their scale and of their zero point.
        """
        scale = self.constant(f"{x}.scale", np.array(grid.scale, np.float32))
        zero = self.constant(f"{x}.zero", self._zero(grid))
        return self.node("QuantizeLinear", [x, scale, zero]), scale, zero

    def _zero(self, grid: ActivationRange) -> NDArray[np.generic]:
        if self._activations == "int8":
            return np.array(grid.zero_point - 128, np.int8)
        return np.array(grid.zero_point, np.uint8)

    def grid(self, x: str, grid: ActivationRange) -> str:
        """Round activations to the numbers on an 8-bit grid, and return their name."""
        real = self.node("DequantizeLinear", self.integers(x, grid))
        self._grids[real] = grid
        return real

    def stored(self, name: str) -> str:
        """Add an int8 weight tensor as an external initializer, and return its name."""
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

    def arranged(self, name: str, order: Sequence[int], shape: Sequence[int]) -> str:
        """Transpose and then reshape a stored tensor, and return the name of the result.

        onnxruntime does both only once, when it opens the model.
        """
        turned = self.node("Transpose", [name], perm=list(order))
        return self.node("Reshape", [turned, self._integers(shape)])

    def _integers(self, values: Sequence[int]) -> str:
        return self.constant(f"integers_{len(self._nodes)}", np.array(values, np.int64))

    def bias(self, name: str, x: str, scale: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """Add a bias rounded to the steps of the accumulator, and return its name.

        Integer kernels require such a bias.
        """
        step = (self._grids[x].scale * scale).astype(np.float32)
        integers = self.constant(f"{name}.bias", _accumulated(bias, step))
        scales = self.constant(f"{name}.bias_scale", step)
        return self.node("DequantizeLinear", [integers, scales], axis=0)

    def layer(
        self, x: str, plan: LayerPlan, layer: QuantizedConv | QuantizedRecurrent | None
    ) -> str:
        match layer:
            case QuantizedConv():
                return self.convolution(x, plan, layer)
            case QuantizedRecurrent():
                return self.recurrent(x, plan, layer)
            case None:
                return self.shuffle(x, plan)

    def convolution(self, x: str, plan: LayerPlan, layer: QuantizedConv) -> str:
        name = plan.tensor_name("weight")
        assert isinstance(plan.block, Conv | Depthwise)
        kernel = [plan.block.kernel] * plan.dims
        pads = [plan.block.kernel // 2] * plan.dims
        channels = plan.channels(self._capacity)
        depthwise = isinstance(plan.block, Depthwise)
        self._axes = [(length - 1) // plan.stride + 1 for length in self._axes]
        scales = self.constant(f"{name}.scale", layer.weight_scale)
        convolved = self.node(
            "Conv",
            [
                x,
                self.node("DequantizeLinear", [self._kernel(plan, name), scales], axis=0),
                self.bias(name, x, layer.weight_scale, layer.bias),
            ],
            kernel_shape=kernel,
            pads=[*pads, *pads],
            strides=[plan.stride] * plan.dims,
            group=channels if depthwise else plan.groups,
        )
        return self.grid(self.node("Relu", [convolved]), layer.output)

    def _kernel(self, plan: LayerPlan, name: str) -> str:
        """Return the name of a kernel as a convolution reads it, (C_out, C_in / groups, K...)."""
        shape, stored = self._shapes[name], self.stored(name)
        axes = range(len(shape))
        if plan.groups > 1:  # (W, G, ...) -> (G W, ...)
            return self.arranged(stored, [1, 0, *axes[2:]], [-1, *shape[2:]])
        if plan.joins and isinstance(plan.block, Conv):  # (W, S, R, ...) -> (W, R S, ...)
            return self.arranged(stored, [0, 2, 1, *axes[3:]], [shape[0], -1, *shape[3:]])
        return stored

    def shuffle(self, x: str, plan: LayerPlan) -> str:
        """Distribute the channels of every group over all groups, and return the result's name."""
        before, after = plan.source_groups, plan.groups
        width = plan.channels(self._capacity) // (before * after)
        # A 0 keeps the axis; the axes after the channels are merged into one meanwhile.
        split = self.node("Reshape", [x, self._integers([0, before, width, after, -1])])
        transposed = self.node("Transpose", [split], perm=[0, 3, 2, 1, 4])
        channels = plan.channels(self._capacity)
        # The shape is a constant: a shape computed from x would be a second use of x, and
        # onnxruntime would no longer compute in integers.
        joined = self.node("Reshape", [transposed, self._integers([0, channels, *self._axes])])
        self._grids[joined] = self._grids[x]
        return joined

    def recurrent(self, x: str, plan: LayerPlan, layer: QuantizedRecurrent) -> str:
        """Add a recurrent layer, and return the name of its hidden states (N, H, T).

        Its input is (N, C, T), and it computes in 32 bits.
        """
        lstm = isinstance(plan.block, Lstm)
        order = (0, 3, 1, 2) if lstm else (1, 0, 2)  # torch's index of each ONNX gate
        hidden = plan.widths[self._capacity - 1]
        weights = [
            self._rows(plan.tensor_name(name), order, scale)
            for name, scale in (("weight_ih", layer.scale_ih), ("weight_hh", layer.scale_hh))
        ]
        biases = [_gates(bias, order) for bias in (layer.bias_ih, layer.bias_hh)]
        bias = self.constant(f"{plan.tensor_name('bias')}", np.concatenate(biases)[None])
        steps = self.node("Transpose", [x], perm=[2, 0, 1])  # (T, N, C)
        inputs = [steps, *weights, bias]
        if lstm:
            states = self.node("LSTM", inputs, hidden_size=hidden)
        else:
            states = self.node("GRU", inputs, hidden_size=hidden, linear_before_reset=1)
        # (T, 1, N, H) -> (N, H, T)
        squeezed = self.node("Squeeze", [states, self._integers([1])])
        output = self.node("Transpose", [squeezed], perm=[1, 2, 0])
        return self.grid(output, layer.output)

    def _rows(self, name: str, order: Sequence[int], scale: NDArray[np.float32]) -> str:
        """Return the name of a recurrent weight in real numbers, (1, Q H, C).

        Its gates are in ONNX's order.
        """
        shape = self._shapes[name]
        stored = self.node("Gather", [self.stored(name), self._integers(order)], axis=1)
        axes = [1, 0, 3, 2] if len(shape) > 3 else [1, 0, 2]
        rows = shape[0] * shape[1]
        arranged = self.arranged(stored, axes, [1, rows, -1])
        real = self.node("Cast", [arranged], to=TensorProto.FLOAT)
        scales = self.constant(f"{name}.scale", _gates(scale, order)[None, :, None])
        return self.node("Mul", [real, scales])

    def head(self, x: str, entry: QuantizedCapacity) -> None:
        """Add the last layer, which computes "logits".

        It sums in integers and scales once, so that all processors give exactly the same logits.
        """
        step = (entry.pooled.scale * entry.head_scale).astype(np.float32)
        integers, _, zero = self.integers(x, entry.pooled)
        shape, stored = self._shapes[HEAD_NAME], self.stored(HEAD_NAME)
        if len(shape) > 2:  # (classes, W, G) -> (G W, classes)
            weight = self.arranged(stored, [2, 1, 0], [-1, shape[0]])
        else:
            weight = self.node("Transpose", [stored], perm=[1, 0])
        products = self.node("MatMulInteger", [integers, weight, zero])
        bias = self.constant(f"{HEAD_NAME}.bias", _accumulated(entry.head_bias, step))
        total = self.node("Cast", [self.node("Add", [products, bias])], to=TensorProto.FLOAT)
        self.node("Mul", [total, self.constant(f"{HEAD_NAME}.step", step)], "logits")

    def serialize(self) -> bytes:
        signature = self._signature
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
    """Return a bias as 32-bit integers that count steps of the accumulator."""
    limit = float(2**30)
    integers: NDArray[np.int32] = np.clip(np.rint(bias / step), -limit, limit).astype(np.int32)
    return integers


def _gates(rows: NDArray[np.float32], order: Sequence[int]) -> NDArray[np.float32]:
    """Return values (Q H,) with their gates in another order."""
    return rows.reshape(len(order), -1)[list(order)].flatten()


def _offsets(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return {name: int(start) for name, start in zip(shapes, starts, strict=True)}
