"""Builds templates, which are small ONNX graphs without their int8 weights.

There is one template for each capacity (size of a student) and each type of activations.

Convolutions are quantized in the QDQ format (QuantizeLinear and DequantizeLinear nodes), and the
last layer computes in plain integers (ADR 13). A template refers to its weights by the name of a
file. A device supplies the weights from its rings (the parts in which it stores them). For other
ONNX runtimes, `nestling-cloud bundle export` writes the file, for example `capacity-2.weights`.

Activations are unsigned integers, which x86 kernels prefer, or signed integers (each 128 less),
which ARM kernels prefer. Both types give the same logits with the same weights.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from nestling.v1.bundle_pb2 import NestedTensor, Signature
from nestling_cloud.learning.onnx.front_end import add_log_mel
from nestling_cloud.learning.onnx.graph_builder import GraphBuilder
from nestling_cloud.learning.quantization import (
    ActivationRange,
    QuantizedCapacity,
    QuantizedConv,
    QuantizedRecurrent,
    QuantizedStudent,
)
from nestling_core.nest.bundle_files import Activations, weights_file
from nestling_core.student.blocks import Conv, Depthwise, Lstm
from nestling_core.student.log_mel import LogMel
from nestling_core.student.plan import HEAD_NAME, LayerPlan


def build_template(
    student: QuantizedStudent,
    signature: Signature,
    layout: Sequence[NestedTensor],
    capacity: int,
    activations: Activations = "uint8",
) -> bytes:
    """Return the serialized graph of one capacity, without its weights.

    The graph maps "input" (N, *shape), in float32, to "logits" (N, O), the outputs.

    Args:
        student: the quantized student, with all its capacities.
        signature: the shape and kind of the task.
        layout: the names and shapes of the student's int8 weight tensors.
        capacity: the number of the capacity, 1 to K.
        activations: the integer type of the activations, which does not change the logits.
    """
    entry = student.capacities[capacity - 1]
    read = student.front_end.shape(signature.shape) if student.front_end else signature.shape
    graph = _StudentGraph(capacity, read[1:], layout, activations)
    x = graph.normalize(graph.front_end("input", student.front_end), student)
    x = graph.grid(x, entry.input)
    for plan, layer in zip(student.plans, entry.layers, strict=True):
        x = graph.layer(x, plan, layer)
    x = graph.node("GlobalAveragePool", [x])
    x = graph.node("Flatten", [x], axis=1)
    graph.head(x, entry, student)
    return graph.serialize(signature)


class _StudentGraph(GraphBuilder):
    """The graph of one capacity under construction, layer by layer.

    Unless stated otherwise, the methods that add nodes return the name of their output.
    """

    def __init__(
        self,
        capacity: int,
        axes: Sequence[int],
        layout: Sequence[NestedTensor],
        activations: Activations,
    ) -> None:
        shapes = {t.name: tuple(t.prefixes[capacity - 1].shape) for t in layout}
        super().__init__(f"capacity-{capacity}", weights_file(capacity), shapes)
        self._capacity = capacity
        self._axes = list(axes)
        self._activations = activations
        self._grids: dict[str, ActivationRange] = {}

    def front_end(self, x: str, sizes: LogMel | None) -> str:
        return add_log_mel(self, x, sizes) if sizes else x

    def normalize(self, x: str, student: QuantizedStudent) -> str:
        shape = (1, -1, *(1,) * len(self._axes))
        mean = self.constant("mean", student.mean.reshape(shape))
        deviation = self.constant("deviation", student.deviation.reshape(shape))
        return self.node("Div", [self.node("Sub", [x, mean]), deviation])

    def quantized(self, x: str, grid: ActivationRange) -> tuple[str, str, str]:
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
        """Round activations to the numbers on an 8-bit grid, and return the result's name."""
        real = self.node("DequantizeLinear", self.quantized(x, grid))
        self._grids[real] = grid
        return real

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
        """Add a kernel in the shape that a convolution reads, and return its name.

        The shape is (C_out, C_in / groups, K...).
        """
        shape, stored = self.shapes[name], self.stored(name)
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
        split = self.node("Reshape", [x, self.integers([0, before, width, after, -1])])
        transposed = self.node("Transpose", [split], perm=[0, 3, 2, 1, 4])
        channels = plan.channels(self._capacity)
        # The shape is a constant: a shape computed from x would be a second use of x, and
        # onnxruntime would no longer compute in integers.
        joined = self.node("Reshape", [transposed, self.integers([0, channels, *self._axes])])
        self._grids[joined] = self._grids[x]
        return joined

    def recurrent(self, x: str, plan: LayerPlan, layer: QuantizedRecurrent) -> str:
        """Add a recurrent layer, and return the name of its hidden states (N, H, T).

        Its input is (N, C, T), and it computes in float32.
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
        squeezed = self.node("Squeeze", [states, self.integers([1])])
        output = self.node("Transpose", [squeezed], perm=[1, 2, 0])
        return self.grid(output, layer.output)

    def _rows(self, name: str, order: Sequence[int], scale: NDArray[np.float32]) -> str:
        """Add the nodes that dequantize a recurrent weight, and return the name of the result.

        The result has the shape (1, Q H, C), with its gates in ONNX's order.
        """
        shape = self.shapes[name]
        stored = self.node("Gather", [self.stored(name), self.integers(order)], axis=1)
        axes = [1, 0, 3, 2] if len(shape) > 3 else [1, 0, 2]
        rows = shape[0] * shape[1]
        arranged = self.arranged(stored, axes, [1, rows, -1])
        real = self.node("Cast", [arranged], to=TensorProto.FLOAT)
        scales = self.constant(f"{name}.scale", _gates(scale, order)[None, :, None])
        return self.node("Mul", [real, scales])

    def head(self, x: str, entry: QuantizedCapacity, student: QuantizedStudent) -> None:
        """Add the last layer, which computes "logits".

        It sums in integers and scales once, so that all processors give exactly the same logits.
        The values of a regression task are scaled to their units.
        """
        step = (entry.pooled.scale * entry.head_scale).astype(np.float32)
        integers, _, zero = self.quantized(x, entry.pooled)
        shape, stored = self.shapes[HEAD_NAME], self.stored(HEAD_NAME)
        if len(shape) > 2:  # (classes, W, G) -> (G W, classes)
            weight = self.arranged(stored, [2, 1, 0], [-1, shape[0]])
        else:
            weight = self.node("Transpose", [stored], perm=[1, 0])
        products = self.node("MatMulInteger", [integers, weight, zero])
        bias = self.constant(f"{HEAD_NAME}.bias", _accumulated(entry.head_bias, step))
        total = self.node("Cast", [self.node("Add", [products, bias])], to=TensorProto.FLOAT)
        if student.center is None or student.spread is None:
            self.node("Mul", [total, self.constant(f"{HEAD_NAME}.step", step)], "logits")
            return
        scaled = self.constant(f"{HEAD_NAME}.step", (step * student.spread).astype(np.float32))
        center = self.constant(f"{HEAD_NAME}.center", student.center)
        self.node("Add", [self.node("Mul", [total, scaled]), center], "logits")


def _accumulated(bias: NDArray[np.float32], step: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return a bias as 32-bit integers that count steps of the accumulator."""
    limit = float(2**30)
    integers: NDArray[np.int32] = np.clip(np.rint(bias / step), -limit, limit).astype(np.int32)
    return integers


def _gates(rows: NDArray[np.float32], order: Sequence[int]) -> NDArray[np.float32]:
    """Return values (Q H,), where Q is the number of gates, with the gates in another order."""
    return rows.reshape(len(order), -1)[list(order)].flatten()
