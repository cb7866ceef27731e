"""A student's layers as torch modules: nested weights, and what each capacity has for itself.

Stored weights are boxes from the origin (`nestling_core.student.plan`); `physical` puts a box into
the order in which channels lie where they are computed, group after group.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from nestling_core.student.blocks import Depthwise, Lstm, Shuffle
from nestling_core.student.normalization import CapacityNorm
from nestling_core.student.plan import GATE_ARRAYS, LayerPlan


class Layer(nn.Module):
    """One block of a student: `forward(x, capacity)` runs a prefix of its weights."""

    def __init__(self, plan: LayerPlan) -> None:
        """Stand where `plan` says."""
        super().__init__()
        self.plan = plan

    def weights(self) -> dict[str, nn.Parameter]:
        """Nested weights at the largest capacity, by their names within the layer."""
        return {name: getattr(self, name) for name in self.plan.weights(1)}


class ConvLayer(Layer):
    """A dense, grouped or depthwise convolution, each capacity's normalisation, a rectifier."""

    def __init__(self, plan: LayerPlan) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__(plan)
        count = len(plan.widths)
        shape = plan.weights(count)["weight"]
        # Depthwise and grouped kernels see fewer inputs than the shape's second axis may say.
        fan_in = math.prod(shape) // plan.channels(count)
        self.weight = nn.Parameter(torch.randn(shape) * math.sqrt(2 / fan_in))
        self.capacities = nn.ModuleList(
            CapacityNorm(plan.channels(capacity)) for capacity in range(1, count + 1)
        )

    def norm(self, capacity: int) -> CapacityNorm:
        """The normalisation of a capacity (from 1)."""
        found = self.capacities[capacity - 1]
        assert isinstance(found, CapacityNorm)
        return found

    def convolve(self, x: torch.Tensor, width: int, weight: torch.Tensor) -> torch.Tensor:
        """The convolution alone, (N, C, ...), with the first `width` places of every group.

        Args:
            x: input, at any width.
            width: places of each output group.
            weight: the whole stored weight, or what stands for it.
        """
        plan = self.plan
        source = x.shape[1] // plan.source_groups
        box = weight[tuple(map(slice, plan.weights_of(width, source)["weight"]))]
        kernel = physical(box, plan)
        convolution = functional.conv1d if plan.dims == 1 else functional.conv2d
        groups = x.shape[1] if isinstance(plan.block, Depthwise) else plan.groups
        return convolution(x, kernel, None, plan.stride, kernel.shape[-1] // 2, 1, groups)

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """(N, C_in, ...) -> (N, C_out, ...)."""
        convolved = self.convolve(x, self.plan.widths[capacity - 1], self.weight)
        return functional.relu(self.norm(capacity)(convolved))


class ShuffleLayer(Layer):
    """Deals every group's channels out to all groups."""

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """(N, C, ...) -> (N, C, ...)."""
        del capacity  # a smaller one has fewer channels and deals them alike
        assert isinstance(self.plan.block, Shuffle)
        count, channels, *axes = x.shape
        before, after = self.plan.source_groups, self.plan.groups
        dealt = x.reshape(count, before, channels // (before * after), after, *axes)
        return dealt.transpose(1, 3).reshape(count, channels, *axes)


class Gates(nn.Module):
    """What one capacity of a recurrent layer has for itself, (hidden, gates) each."""

    def __init__(self, hidden: int, gates: int) -> None:
        """Start with gains of 1 and biases of 0."""
        super().__init__()
        for name in GATE_ARRAYS:
            self.register_parameter(name, nn.Parameter(torch.zeros(hidden, gates)))


class RecurrentLayer(Layer):
    """A GRU or LSTM whose first hidden units are a smaller one's."""

    def __init__(self, plan: LayerPlan) -> None:
        """Draw the weights from torch's global generator."""
        super().__init__(plan)
        count = len(plan.widths)
        hidden, gates = plan.own(count)["log_gain_ih"]
        for name, shape in plan.weights(count).items():
            bound = 1 / math.sqrt(hidden)  # torch's own
            self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))
        self.capacities = nn.ModuleList(Gates(width, gates) for width in plan.widths)

    def folded(self, capacity: int) -> list[torch.Tensor]:
        """What torch's own cell takes: two weights with the gains in them, two biases.

        Shapes (Q H, C), (Q H, H), (Q H,), (Q H,), gate after gate.
        """
        own = self.capacities[capacity - 1]
        found = []
        for name in ("weight_ih", "weight_hh"):
            box = getattr(self, name)[tuple(map(slice, self.plan.weights(capacity)[name]))]
            gain = getattr(own, name.replace("weight", "log_gain")).exp()
            scaled = box * gain.reshape(*gain.shape, *(1,) * (box.ndim - 2))
            found.append(gate_after_gate(scaled, self.plan))
        biases = [getattr(own, name).T.flatten() for name in ("bias_ih", "bias_hh")]
        return [*found, *biases]

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """(N, C, T) -> the hidden state at every step, (N, H, T)."""
        weights = self.folded(capacity)
        state = x.new_zeros(
            1, x.shape[0], self.plan.widths[capacity - 1]
        )  # len(x) fixes it in exports
        options = (True, 1, 0.0, self.training, False, True)  # biases, 1 layer, batch first
        steps = x.transpose(1, 2)
        if isinstance(self.plan.block, Lstm):
            output = torch.lstm(steps, [state, state], weights, *options)[0]
        else:
            output = torch.gru(steps, state, weights, *options)[0]
        return output.transpose(1, 2)


class Pool(nn.Module):
    """The mean over what is left of the axes."""

    def forward(self, x: torch.Tensor, capacity: int) -> torch.Tensor:
        """(N, C, ...) -> (N, C)."""
        del capacity  # all do alike
        return x.flatten(2).mean(2)


def physical(box: torch.Tensor, plan: LayerPlan) -> torch.Tensor:
    """A convolution's stored box as torch wants it: (C_out, C_in / groups, K...)."""
    if plan.groups > 1:  # (W, G, ...) -> (G W, ...)
        return box.transpose(0, 1).flatten(0, 1)
    if plan.joins:  # (W, S, R, ...) -> (W, R S, ...)
        return box.transpose(1, 2).flatten(1, 2)
    return box


def gate_after_gate(box: torch.Tensor, plan: LayerPlan) -> torch.Tensor:
    """A recurrent layer's stored box as torch wants it: (H, Q, S[, R]) -> (Q H, R S)."""
    if box.ndim > 3:
        assert plan.joins
        box = box.transpose(2, 3).flatten(2, 3)
    return box.transpose(0, 1).flatten(0, 1)


def make_layer(plan: LayerPlan) -> Layer:
    """The module of a block."""
    match plan.block.kind:
        case "gru" | "lstm":
            return RecurrentLayer(plan)
        case "shuffle":
            return ShuffleLayer(plan)
        case _:
            return ConvLayer(plan)
