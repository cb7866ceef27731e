"""Defines the parameters of a quantized student, whose int8 weights serve all capacities (sizes).

Each row of the largest capacity's weights is quantized with its own scale and no zero point.
Smaller capacities use prefix slices of the same integers. The parameters that differ between
capacities (batch normalization, gate gains, activation ranges) become scales and biases. These are
small, and are stored in the template (the ONNX graph) of each capacity.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nestling_cloud.learning.quantization.grid import ActivationRange, Floats
from nestling_core.student.log_mel import LogMel
from nestling_core.student.plan import LayerPlan


@dataclass(frozen=True, kw_only=True)
class QuantizedConv:
    """The scales, biases and output range of one convolution at one capacity.

    Attributes:
        weight_scale: the scale of each output channel's weights, times the normalization's gain,
            (C_out,).
        bias: the bias of each output channel, not quantized, (C_out,).
        output: the 8-bit grid of the activations after the ReLU.
    """

    weight_scale: Floats
    bias: Floats
    output: ActivationRange


@dataclass(frozen=True, kw_only=True)
class QuantizedRecurrent:
    """The scales, biases and output range of one recurrent layer at one capacity.

    Each array has shape (Q H,) for Q gates and H hidden units, gate after gate in torch's order.
    The weights are stored as int8, but the layer computes in float32, because onnxruntime has no
    integer GRU.

    Attributes:
        scale_ih: the scale of each row of the input's weights, times the row's gain.
        scale_hh: the scale of each row of the hidden state's weights, times the row's gain.
        bias_ih: the biases added to the weighted input, not quantized.
        bias_hh: the biases added to the weighted hidden state, not quantized.
        output: the 8-bit grid of the hidden state.
    """

    scale_ih: Floats
    scale_hh: Floats
    bias_ih: Floats
    bias_hh: Floats
    output: ActivationRange


QuantizedLayer = QuantizedConv | QuantizedRecurrent | None


@dataclass(frozen=True, kw_only=True)
class QuantizedCapacity:
    """The parameters of one capacity (size of the student) other than its int8 weights.

    Attributes:
        input: the 8-bit grid of the normalized input.
        layers: the scales, biases and output range of each layer, in order; None for a shuffle.
        pooled: the 8-bit grid of the pooled features.
        head_scale: the scale of the last layer's weights for each output, (O,).
        head_bias: the bias of each output, not quantized, (O,).
    """

    input: ActivationRange
    layers: tuple[QuantizedLayer, ...]
    pooled: ActivationRange
    head_scale: Floats
    head_bias: Floats


@dataclass(frozen=True, kw_only=True)
class QuantizedStudent:
    """The int8 weights of a student, with the scales and biases of each capacity (size).

    Attributes:
        plans: the blocks and shapes of the layers, in order.
        tensors: a mapping from the name of each weight tensor to its integers at the largest
            capacity.
        capacities: the other parameters of each capacity, the smallest capacity first.
        mean: the mean of each input channel, which normalization subtracts, (C,).
        deviation: the standard deviation of each input channel, by which normalization divides,
            (C,).
        front_end: the layer that turns an input into the features that are normalized; None if the
            input itself is normalized.
        center: in a regression task, the constant that is added to each output after the
            multiplication by `spread`, (O,); None in other tasks.
        spread: in a regression task, the factor by which each output is multiplied, (O,); None in
            other tasks.
    """

    plans: tuple[LayerPlan, ...]
    tensors: Mapping[str, NDArray[np.int8]]
    capacities: tuple[QuantizedCapacity, ...]
    mean: Floats
    deviation: Floats
    front_end: LogMel | None = None
    center: Floats | None = None
    spread: Floats | None = None
