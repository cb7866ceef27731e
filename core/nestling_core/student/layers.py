"""Implements the layers of a student as torch modules.

All capacities share the nested weights of a layer. Each capacity also has small arrays that it does
not share: normalizations, or the gains and biases of gates. A capacity's part of a stored weight is
a box that starts at the origin (see `nestling_core.student.plan`). `physical` and `gate_after_gate`
bring the channels of such a box into torch's order.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from nestling_core.student.blocks import Depthwise, Lstm, Shuffle
from nestling_core.student.normalization import CapacityNorm
from nestling_core.student.plan import GATE_ARRAYS, LayerPlan


class Layer(nn.Module):
    """One block of a student as a torch module.

    `forward(x, capacity)` applies the part of the weights that belongs to a capacity.
    """

    def __init__(self, plan: LayerPlan) -> None:
        """Create the layer that `plan` describes."""
        super().__init__()
        self.plan = plan

    def weights(self) -> dict[str, nn.Parameter]:
        """Return the nested weights at the largest capacity, keyed by name within the layer."""
        return {name: getattr(self, name) for name in self.plan.weights(1)}


class ConvLayer(Layer):
    """A convolution followed by a normalization and a ReLU.

    The convolution is dense, grouped or depthwise. Each capacity has its own normalization.
    """

    def __init__(self, plan: LayerPlan) -> None:
        """Create the layer with random weights (He et al. 2015) from torch's global generator."""
        super().__init__(plan)
        count = len(plan.widths)
        shape = plan.weights(count)["weight"]
        # Depthwise and grouped kernels see fewer inputs than the shape's second axis suggests.
        fan_in = math.prod(shape) // plan.channels(count)
        self.weight = nn.Parameter(torch.randn(shape) * math.sqrt(2 / fan_in))
        self.capacities = nn.ModuleList(
            CapacityNorm(plan.channels(capacity)) for capacity in range(1, count + 1)
        )

    def norm(self, capacity: int) -> CapacityNorm:
        """Return the normalization of a capacity (1 to K)."""
        norm = self.capacities[capacity - 1]
        assert isinstance(norm, CapacityNorm)
        return norm

    def convolve(self, x: torch.Tensor, width: int, weight: torch.Tensor) -> torch.Tensor:
        """Return the first `width` channels of every output group of the convolution.

        Neither the normalization nor the ReLU is applied.

        Args:
            x: the input at any width, (N, C_in, ...).
            width: the number of channels in each output group.
            weight: the whole stored weight, or a tensor of the same shape to use instead.

        Returns:
            The output, (N, C_out, ...).
        """
        plan = self.plan
        source = x.shape[1] // plan.source_groups
        box = weight[tuple(map(slice, plan.weights_of(width, source)["weight"]))]
        kernel = physical(box, plan)
        convolution = functional.conv1d if plan.dims == 1 else functional.conv2d
        groups = x.shape[1] if isinstance(plan.block, Depthwise) else plan.groups
        return convolution(x, kernel, None, plan.stride, kernel.shape[-1] // 2, 1, groups)

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """Return the output of the layer at a capacity, (N, C_in, ...) -> (N, C_out, ...)."""
        convolved = self.convolve(x, self.plan.widths[capacity - 1], self.weight)
        return functional.relu(self.norm(capacity)(convolved))


class ShuffleLayer(Layer):
    """A layer that distributes the channels of every group over all groups."""

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """Return the input with its channels shuffled, (N, C, ...) -> (N, C, ...)."""
        del capacity  # smaller capacities have fewer channels, shuffled in the same way
        assert isinstance(self.plan.block, Shuffle)
        count, channels, *axes = x.shape
        before, after = self.plan.source_groups, self.plan.groups
        split = x.reshape(count, before, channels // (before * after), after, *axes)
        return split.transpose(1, 3).reshape(count, channels, *axes)


class Gates(nn.Module):
    """The gains and biases of one capacity of a recurrent layer, (hidden, gates) each.

    The input and the hidden state have separate gains and biases. Gains are stored as logarithms.
    """

    def __init__(self, hidden: int, gates: int) -> None:
        """Create arrays with gains of 1 and biases of 0.

        Args:
            hidden: the number of hidden units.
            gates: the number of gates, which is 3 for a GRU and 4 for an LSTM.
        """
        super().__init__()
        for name in GATE_ARRAYS:
            self.register_parameter(name, nn.Parameter(torch.zeros(hidden, gates)))


class RecurrentLayer(Layer):
    """A GRU or LSTM whose first hidden units form a smaller GRU or LSTM."""

    def __init__(self, plan: LayerPlan) -> None:
        """Create the layer with random weights from torch's global generator.

        As in torch's own layers, the weights are uniformly distributed between -1 / sqrt(H) and
        1 / sqrt(H), where H is the number of hidden units of the largest capacity.
        """
        super().__init__(plan)
        count = len(plan.widths)
        hidden, gates = plan.own(count)["log_gain_ih"]
        for name, shape in plan.weights(count).items():
            bound = 1 / math.sqrt(hidden)  # torch's default
            self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))
        self.capacities = nn.ModuleList(Gates(width, gates) for width in plan.widths)

    def folded(self, capacity: int) -> list[torch.Tensor]:
        """Return the weights of a capacity in the form that torch's recurrent layers accept.

        Returns:
            Four tensors. Q is the number of gates, H the number of hidden units, and C the number
            of input channels. Rows are ordered by gate, then by hidden unit.

            - the matrix for the input, (Q H, C), multiplied by the capacity's gains;
            - the matrix for the hidden state, (Q H, H), multiplied by the capacity's gains;
            - the bias for the input, (Q H,);
            - the bias for the hidden state, (Q H,).
        """
        own = self.capacities[capacity - 1]
        matrices = []
        for name in ("weight_ih", "weight_hh"):
            box = getattr(self, name)[tuple(map(slice, self.plan.weights(capacity)[name]))]
            gain = getattr(own, name.replace("weight", "log_gain")).exp()
            scaled = box * gain.reshape(*gain.shape, *(1,) * (box.ndim - 2))
            matrices.append(gate_after_gate(scaled, self.plan))
        biases = [getattr(own, name).T.flatten() for name in ("bias_ih", "bias_hh")]
        return [*matrices, *biases]

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """Return the hidden state at every step, (N, C, T) -> (N, H, T)."""
        weights = self.folded(capacity)
        # `len(x)` instead of `x.shape[0]` would fix the batch size in exported graphs.
        state = x.new_zeros(1, x.shape[0], self.plan.widths[capacity - 1])
        options = (True, 1, 0.0, self.training, False, True)  # biases, 1 layer, batch first
        steps = x.transpose(1, 2)
        if isinstance(self.plan.block, Lstm):
            output = torch.lstm(steps, [state, state], weights, *options)[0]
        else:
            output = torch.gru(steps, state, weights, *options)[0]
        return output.transpose(1, 2)


class Pool(nn.Module):
    """A layer that computes the mean over all axes after the channels."""

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """Return the mean of every channel, (N, C, ...) -> (N, C)."""
        del capacity  # all capacities pool in the same way
        return x.flatten(2).mean(2)


def physical(box: torch.Tensor, plan: LayerPlan) -> torch.Tensor:
    """Return a convolution's stored box in torch's layout, (C_out, C_in / groups, K...).

    The output channels are ordered by group. If the layer joins the groups of its input, the input
    channels are ordered by group too.

    Args:
        box: one capacity's part of the stored weight, which is a box that starts at the origin.
        plan: the layer's plan.
    """
    if plan.groups > 1:  # (W, G, ...) -> (G W, ...)
        return box.transpose(0, 1).flatten(0, 1)
    if plan.joins:  # (W, S, R, ...) -> (W, R S, ...)
        return box.transpose(1, 2).flatten(1, 2)
    return box


def gate_after_gate(box: torch.Tensor, plan: LayerPlan) -> torch.Tensor:
    """Return one capacity's part of a recurrent weight with the rows ordered by gate, as in torch.

    The shape changes from (H, Q, S) or (H, Q, S, R) to (Q H, S) or (Q H, R S). H is the number of
    hidden units. `nestling_core.student.plan` defines the other letters.

    Args:
        box: the capacity's part of the stored weight, which is a box that starts at the origin.
        plan: the layer's plan.
    """
    if box.ndim > 3:
        assert plan.joins
        box = box.transpose(2, 3).flatten(2, 3)
    return box.transpose(0, 1).flatten(0, 1)


def make_layer(plan: LayerPlan) -> Layer:
    """Return the torch module of a planned layer."""
    match plan.block.kind:
        case "gru" | "lstm":
            return RecurrentLayer(plan)
        case "shuffle":
            return ShuffleLayer(plan)
        case _:
            return ConvLayer(plan)
